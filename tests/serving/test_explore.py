"""New items in slates: where they come, to whom, and until when."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from tests.serving.conftest import Noted, Shop, fitted, ids, run

from shortlist.catalog.item import Item
from shortlist.catalog.rule import Rule
from shortlist.coldstart.exploration import PROMOTED, RETIRED, Exploration
from shortlist.models.model import Model
from shortlist.serving.serving import Serving
from shortlist.serving.slate import Ask
from shortlist.settings import ExplorationSettings

TREND = "t3"


class Trends:
    """One item trends."""

    item_id = TREND

    def top(self, category: str | None, n: int) -> Sequence[str]:
        return [self.item_id] if category is None else []

    def weights(self) -> Mapping[str, float]:
        return {}


class Trying:
    """A shop with new items; everybody may see them unless a test says otherwise."""

    def __init__(
        self, shop: Shop, serving: Serving, exploration: Exploration, noted: Noted, trends: Trends
    ) -> None:
        self.shop, self.serving, self.exploration, self.noted = shop, serving, exploration, noted
        self.trends = trends

    async def slate(self, user: str = "zoe", **asked: Any) -> Any:
        slate = await self.serving.recommend(Ask(user_id=user, **asked))
        return msgspec.json.decode(slate.body)

    def explored(self, answer: dict[str, Any]) -> list[dict[str, Any]]:
        """What the slate's record says of its new items."""
        trace = self.serving.trace(answer["request_id"])
        assert trace is not None
        explored: list[dict[str, Any]] = msgspec.json.decode(msgspec.json.encode(trace.slate.explored))
        return explored

    async def hot(self, user: str = "zoe") -> bytes | None:
        """The ready body, after whatever it takes to make it."""
        for _ in range(2):
            await self.slate(user)
        return self.serving.instant(user)


@contextmanager
def trying(shop: Shop, model: Model, *new: str, **changed: Any) -> Iterator[Trying]:
    noted = Noted()
    shop.listeners = [noted.on_folded]
    exploration = Exploration(ExplorationSettings(**{"share": 1.0, **changed}), noted)
    trends = Trends()
    with shop.serving(model=model, exploration=exploration, trends=trends) as serving:
        for item_id in new:
            shop.change(item_id, title=item_id.title(), categories=("Toys",))
        shop.fold("zoe", "view", "k1")
        yield Trying(shop, serving, exploration, noted, trends)


def reasons(slate: Any) -> list[str]:
    return [item["reason_code"] for item in slate["recommendations"]]


def test_eight_of_ten_stay_the_users_own_and_one_is_new_and_one_trends(shop: Shop, model: Model) -> None:
    async def scenario() -> None:
        with trying(shop, model) as without:
            before = ids(await without.serving.recommend(Ask(user_id="zoe")))
        with trying(shop, model, "n1") as now:
            slate = await now.slate()
            items = slate["recommendations"]
            assert [item["item_id"] for item in items] == [*before[:8], "n1", TREND]
            assert [item["position"] for item in items] == list(range(10))
            assert items[8]["reason"] == "New in our shop"
            assert items[8]["sources"] == ["exploration"]
            assert items[9]["reason_code"] == "trending"

    run(scenario)


def test_the_record_has_place_propensity_and_candidates(shop: Shop, model: Model) -> None:
    async def scenario() -> None:
        with trying(shop, model, "n1", "n2", "n3", "n4") as now:
            slate = await now.slate()
            body = await now.hot()
            for answer in (slate, msgspec.json.decode(body or b"")):
                (explored,) = now.explored(answer)
                assert explored["item_id"] == answer["recommendations"][8]["item_id"]
                assert explored["position"] == 8
                assert explored["propensity"] == 0.25
                assert explored["candidates"] == ["n1", "n2", "n3", "n4"]
                assert explored["seed"] == "new:0"

    run(scenario)


def test_the_slate_stays_until_an_impression_and_the_cap_ends_it(shop: Shop, model: Model) -> None:
    async def scenario() -> None:
        with trying(shop, model, "n1") as now:
            for _ in range(3):
                body = await now.hot()
                assert body is not None
                assert ids(body)[8] == "n1"
                assert now.serving.instant("zoe") is not None
                shop.fold("zoe", "impression", "n1")
                assert now.serving.instant("zoe") is None
            slate = await now.slate()
            assert slate["tier"] == "cache"  # what was seen is cut anew, not computed anew
            assert "new" not in reasons(slate)
            assert len(slate["recommendations"]) == 10
            body = await now.hot()
            assert "n1" not in ids(body or b"")
            shop.fold("zoe", "impression", "n1")
            assert await now.hot() is not None

    run(scenario)


def test_what_was_served_too_often_is_cut_anew(shop: Shop, model: Model) -> None:
    async def scenario() -> None:
        with trying(shop, model, "n1") as now:
            assert ids(await now.hot() or b"")[8] == "n1"
            now.noted.impressions["n1", "zoe"] = 3  # as the ledger counts slates without impressions
            now.serving.on_tired({"zoe", "nobody"})
            await asyncio.sleep(0)
            assert now.serving.instant("zoe") is None
            assert "new" not in reasons(await now.slate())

    run(scenario)


def test_impressions_of_what_is_not_tried_out_leave_the_ready_body(shop: Shop, model: Model) -> None:
    async def scenario() -> None:
        with trying(shop, model, "n1") as now:
            await now.hot()
            shop.fold("zoe", "impression", "k2")
            assert now.serving.instant("zoe") is not None

    run(scenario)


def test_who_is_in_no_share_gets_what_they_got_before(shop: Shop, model: Model) -> None:
    async def scenario() -> None:
        with trying(shop, model) as without:
            before = ids(await without.serving.recommend(Ask(user_id="zoe")))
        with trying(shop, model, "n1", "n2", share=0.0) as now:
            assert ids(await now.serving.recommend(Ask(user_id="zoe"))) == before

    run(scenario)


@pytest.mark.parametrize(
    "asked",
    [{"page": 2}, {"category": "Toys"}, {"context": "cart"}, {"exclude": ("n1",)}, {"limit": 4}],
    ids=lambda asked: next(iter(asked)),
)
def test_new_items_come_into_the_first_page_of_the_users_own_list_only(
    shop: Shop, model: Model, asked: dict[str, Any]
) -> None:
    async def scenario() -> None:
        with trying(shop, model, "n1") as now:
            assert "new" not in reasons(await now.slate(**asked))

    run(scenario)


def test_what_gave_way_on_the_first_page_leads_the_second(shop: Shop, model: Model) -> None:
    async def scenario() -> None:
        shop.use(rules={"max_per_category": 0})
        with trying(shop, model) as without:
            own = ids(await without.serving.recommend(Ask(user_id="zoe", limit=40)))
        with trying(shop, model, "n1", "n2") as now:
            first = await now.slate()
            shown = [item["item_id"] for item in first["recommendations"]]
            assert shown[:8] == own[:8]
            # What was seen in between changes who comes next, and not what was shown.
            for _ in range(3):
                shop.fold("zoe", "impression", "n1")
                shop.fold("zoe", "impression", "n2")
            second = ids(await now.serving.recommend(Ask(user_id="zoe", page=2)))
            assert second[:2] == own[8:10]
            assert not {*second} & {*shown}

    run(scenario)


@given(
    new=st.integers(0, 4),
    limit=st.sampled_from([5, 8, 10, 17, 20, 40]),
    cap=st.sampled_from([0, 2]),
    between=st.lists(
        st.one_of(
            st.tuples(st.just("seen"), st.sampled_from(["n1", "n2", "n3"])),
            st.tuples(st.just("trend"), st.sampled_from(["t3", "k5", "l0", "b5", "c1"])),
        ),
        max_size=6,
    ),
    is_shown=st.booleans(),
)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_over_all_pages_no_item_comes_twice_and_none_is_lost(
    shop: Shop,
    model: Model,
    new: int,
    limit: int,
    cap: int,
    between: list[tuple[str, str]],
    is_shown: bool,
) -> None:
    """is_shown: whether the first page was asked for before the others."""
    # Shown in vain five times it tires, which makes another list, and pages of two lists may share items.
    assume(all(between.count(step) < 5 for step in between))

    async def scenario() -> None:
        shop.use(rules={"max_per_category": cap})
        shop.clear()
        with trying(shop, model) as without:
            own = ids(await without.serving.recommend(Ask(user_id="zoe", limit=limit)))
            first_of_next = ids(await without.serving.recommend(Ask(user_id="zoe", limit=limit, page=2)))
        shop.clear()
        with trying(shop, model, *(f"n{number}" for number in range(1, new + 1))) as now:
            pages = [await now.slate(limit=limit)] if is_shown else []
            for what, item_id in between if is_shown else ():
                if what == "seen":
                    shop.fold("zoe", "impression", item_id)
                else:
                    now.trends.item_id = item_id
            while not pages or pages[-1]["next_page"] is not None:
                pages.append(await now.slate(limit=limit, page=len(pages) + 1))
            if not is_shown:
                pages[0] = await now.slate(limit=limit)
            shown = [item["item_id"] for page in pages for item in page["recommendations"]]
            assert len(shown) == len(set(shown))
            assert {*shown} >= {*own, *first_of_next}
            if not cap:
                kept = [item_id for item_id in shown if item_id in {*own} and item_id != now.trends.item_id]
                assert kept == [item_id for item_id in own if item_id != now.trends.item_id]

    run(scenario)


def test_longer_slates_have_as_many_of_ten(shop: Shop, model: Model) -> None:
    async def scenario() -> None:
        with trying(shop, model, "n1", "n2", "n3") as now:
            slate = await now.slate(limit=20)
            assert [at for at, reason in enumerate(reasons(slate)) if reason == "new"] == [8, 18]
            assert len(set(ids(msgspec.json.encode(slate)))) == 20
            assert reasons(await now.slate(limit=6)).index("new") == 5

    run(scenario)


@pytest.mark.parametrize("gone", [{"hidden": True}, {"stock": 0}, {"deleted": True}])
def test_what_leaves_the_shop_leaves_the_place_at_once(
    shop: Shop, model: Model, gone: dict[str, Any]
) -> None:
    async def scenario() -> None:
        with trying(shop, model, "n1") as now:
            await now.hot()
            shop.change("n1", **gone)
            assert now.serving.instant("zoe") is None
            assert "new" not in reasons(await now.slate())

    run(scenario)


def test_what_was_bought_or_disliked_is_no_candidate(shop: Shop, model: Model) -> None:
    async def scenario() -> None:
        with trying(shop, model, "n1", "n2", "n3") as now:
            shop.fold("zoe", "purchase", "n1")
            shop.fold("zoe", "dislike", "n2")
            (explored,) = now.explored(await now.slate())
            assert explored["candidates"] == ["n3"]
            assert explored["propensity"] == 1.0

    run(scenario)


def test_a_decision_holds_for_ready_bodies_too(shop: Shop, model: Model) -> None:
    async def scenario() -> None:
        with trying(shop, model, "n1", share=0.0, promoted_share=1.0) as now:
            assert "n1" not in ids(await now.hot() or b"")
            now.noted.verdicts["n1"] = PROMOTED
            now.exploration.renew()
            assert now.serving.instant("zoe") is None
            assert ids(await now.hot() or b"")[8] == "n1"
            now.noted.verdicts["n1"] = RETIRED
            now.exploration.renew()
            assert now.serving.instant("zoe") is None
            assert "n1" not in ids(await now.hot() or b"")

    run(scenario)


def test_the_next_training_makes_it_an_ordinary_item(shop: Shop, model: Model) -> None:
    async def scenario() -> None:
        with trying(shop, model, "n1") as now:
            assert "new" in reasons(await now.slate())
            items = [item for item in now.serving.table.items if item is not None]
            now.serving.swap(fitted("2", items))
            assert not now.exploration.trial.items
            assert "new" not in reasons(await now.slate())
            shop.change("n2", title="Later")
            assert [item.item_id for item in now.exploration.trial.items] == ["n2"]

    run(scenario)


def test_a_past_without_a_user_and_lists_of_other_kinds_have_none(shop: Shop, model: Model) -> None:
    async def scenario() -> None:
        with trying(shop, model, "n1") as now:
            history = await now.serving.recommend_history(["k1"])
            assert "new" not in [item.reason_code for item in history.items]
            assert not [of for of, _ in (await now.serving.similar("k1")).items if of == "n1"]

    run(scenario)


def test_a_catalog_without_a_model_has_nothing_new(shop: Shop) -> None:
    async def scenario() -> None:
        noted = Noted()
        exploration = Exploration(ExplorationSettings(share=1.0), noted)
        with shop.serving(
            exploration=exploration, items=[Item(item_id=f"i{n}") for n in range(12)]
        ) as serving:
            slate = await serving.recommend(Ask(user_id="zoe"))
            assert {item.reason_code for item in slate.items} == {"catalog"}

    run(scenario)


def test_variants_of_one_thing_take_one_place_and_none_beside_their_sister(shop: Shop, model: Model) -> None:
    async def scenario() -> None:
        with trying(shop, model, "n1", "n2", "n3") as now:
            own = ids(msgspec.json.encode(await now.slate()))[0]
            shop.change("n1", variant_of=own)  # its sister is in the slate
            shop.change("n2", variant_of="n3")
            (explored,) = now.explored(await now.slate())
            assert explored["candidates"] == ["n2"]

    run(scenario)


def test_a_pin_that_finds_the_first_page_full_leads_the_second_beside_a_new_item(
    shop: Shop, model: Model
) -> None:
    async def scenario() -> None:
        with trying(shop, model, "new") as shown:
            pins = [("k11", 9, 2), ("k10", 9, 1), ("b5", 10, 3), ("c7", 3, 0)]
            shown.serving.rule(
                [
                    Rule(id=item, action="pin", where=f"item_id = {item}", position=place, priority=priority)
                    for item, place, priority in pins
                ]
            )
            first, second = await shown.slate(), await shown.slate(page=2)
            assert "new" in ids_of(first)
            assert (ids_of(first)[3], ids_of(first)[9]) == ("c7", "k11")
            assert ids_of(second)[:2] == ["b5", "k10"]
            assert second["recommendations"][1]["reason_code"] == "pinned"

    run(scenario)


def ids_of(answer: dict[str, Any]) -> list[str]:
    return [item["item_id"] for item in answer["recommendations"]]
