"""Operator rules and requests' filters, as slates show them."""

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from tests.serving.conftest import NOW, Shop, catalog, ids, run

from shortlist.catalog.rule import Rule, RuleInvalid
from shortlist.catalog.store import CatalogUnavailable
from shortlist.models.model import Model
from shortlist.serving.slate import Ask, AskInvalid

HOUR_MS = 3_600_000
START = datetime.fromtimestamp(NOW / 1000, UTC)


def rule(action: Any, where: str, **more: Any) -> Rule:
    return Rule(id=more.pop("id", action), action=action, where=where, **more)


def test_a_boost_lifts_and_a_bury_sinks_what_is_proposed(shop: Shop, model: Model) -> None:
    async def scenario() -> None:
        shop.use(rules={"max_per_category": 0})
        with shop.serving(model=model) as serving:
            shop.fold("u", "view", "l0")
            before = ids(await serving.recommend(Ask(user_id="u")))
            serving.rule([rule("boost", f"item_id = {before[5]}", factor=1_000)])
            lifted = ids(await serving.recommend(Ask(user_id="u")))
            assert lifted[0] == before[5]
            assert set(lifted) == set(before)
            serving.rule([rule("bury", f"item_id = {before[0]}", factor=0.001)])
            assert ids(await serving.recommend(Ask(user_id="u")))[0] == before[1]
            serving.rule([])
            assert ids(await serving.recommend(Ask(user_id="u"))) == before

    run(scenario)


def test_boosts_rearrange_what_is_popular_where_nothing_personal_answers(shop: Shop) -> None:
    async def scenario() -> None:
        with shop.serving(model=None, rules=[rule("boost", "category = Toys", factor=50)]) as serving:
            slate = ids(await serving.recommend(Ask(user_id="u", limit=3)))
            assert [item[0] for item in slate] == ["t", "t", "t"]

    run(scenario)


def test_a_pin_stands_in_its_place_on_every_path_and_says_so(shop: Shop, model: Model) -> None:
    async def scenario() -> None:
        shop.use(rules={"max_per_category": 1})
        pins = [
            rule("pin", "item_id in (k11, k10)", id="first", position=0, priority=9),
            rule("pin", "category = Kettles", id="second", position=0),
            rule("pin", "item_id = t3", id="later", position=12),
            rule("pin", "item_id = gone", id="nothing", position=3),
        ]
        with shop.serving(model=model, rules=pins) as serving:
            shop.fold("u", "purchase", "k10")
            slate = await serving.recommend(Ask(user_id="u"))
            assert ids(slate)[0] == "k11"  # k10 was bought
            assert ids(slate)[1][0] == "k"  # the place is taken: the next
            assert len(ids(slate)) == len(set(ids(slate))) == 10
            first = msgspec.json.decode(slate.body)["recommendations"][0]
            assert (first["reason_code"], first["reason"]) == ("pinned", "Picked for you by the shop")
            assert ids(await serving.recommend(Ask(user_id="u", page=2)))[2] == "t3"
            body = serving.instant("u")
            assert body is not None
            assert ids(body)[0] == "k11"
            shop.change("k11", stock=0)
            assert "k11" not in ids(await serving.recommend(Ask(user_id="u")))
            trace = serving.trace(slate.request_id)
            assert trace is not None
            assert trace.pool is not None
            assert trace.slate.pinned == {"k11": "first", ids(slate)[1]: "second"}
            assert trace.pool.rules == ("first", "later", "nothing", "second")

    run(scenario)


def test_a_window_that_opens_or_closes_shows_at_the_next_request(shop: Shop, model: Model) -> None:
    async def scenario() -> None:
        window = rule(
            "hide", "category = Lamps", start=START + timedelta(hours=1), end=START + timedelta(hours=2)
        )
        shop.use(cache={"ttl_s": 1e6, "stale_s": 1e7})
        with shop.serving(model=model, rules=[window]) as serving:
            for hour, shows in ((0, True), (1, False), (2, True)):
                shop.now = NOW + hour * HOUR_MS
                assert serving.instant("u") is None  # what was ready holds no more
                slate = ids(await serving.recommend(Ask(user_id="u")))
                assert any(item[0] == "l" for item in slate) is shows
                assert ids(serving.instant("u") or b"") == slate
            shop.now += 10 * HOUR_MS
            assert serving.instant("u") is not None

    run(scenario)


def test_rules_may_ask_for_context_category_and_who_it_is(shop: Shop, model: Model) -> None:
    async def scenario() -> None:
        rules = [
            rule("hide", "category = Lamps", id="a", contexts=("cart",)),
            rule("hide", "item_id in (k0, k1)", id="b", categories=("Kettles",)),
            rule("filter", "category = Books", id="c", users="plan = pro"),
            rule("hide", "item_id = l1", id="d", contexts=("similar",)),
        ]
        plans = {"ann": {"plan": "pro"}}
        with shop.serving(model=model, rules=rules, attributes=lambda user: plans.get(user, {})) as serving:

            async def kinds(**more: Any) -> set[str]:
                return {item[0] for item in ids(await serving.recommend(Ask(**{"user_id": "u"} | more)))}

            assert "l" in await kinds()
            assert "l" not in await kinds(context="cart")
            kettles = ids(await serving.recommend(Ask(user_id="u", category="Kettles", limit=12)))
            assert {"k0", "k1"}.isdisjoint(kettles)
            assert len(kettles) == 10
            assert await kinds(user_id="ann") == {"b"}
            assert "l1" not in [item for item, _ in (await serving.similar("l0", 40)).items]

    run(scenario)


def test_what_might_be_hidden_from_somebody_stays_hidden_while_their_attributes_are_not_known(
    shop: Shop, model: Model
) -> None:
    def late(user: str) -> dict[str, Any]:
        raise CatalogUnavailable("late")

    async def scenario() -> None:
        rules = [
            rule("hide", "category = Lamps", users="age < 18"),
            rule("pin", "item_id = t3", users="age >= 18"),
        ]
        with shop.serving(model=model, rules=rules, attributes=late) as serving:
            slate = ids(await serving.recommend(Ask(user_id="u", limit=20)))
            assert len(slate) == 20
            assert not [item for item in slate if item[0] == "l"]
            assert slate[0] != "t3"
            assert "l0" in ids(await serving.recommend_history(["l1"]))  # of nobody there is nothing to know

    run(scenario)


def test_a_filter_makes_a_pool_of_its_own_that_holds(shop: Shop, model: Model) -> None:
    async def scenario() -> None:
        with shop.serving(model=model) as serving:
            shop.fold("u", "view", "l0")
            fits = {item.item_id for item in catalog() if (item.price or 0) < 13}
            ask = Ask(user_id="u", filter="price < 13")
            first = await serving.recommend(ask)
            assert set(ids(first)) <= fits
            assert first.tier == "fresh"
            await serving.recommend(Ask(user_id="u"))
            again = await serving.recommend(ask)
            assert (again.tier, ids(again)) == ("cache", ids(first))
            assert set(ids(await serving.recommend_history(["l0"], where="price < 13"))) <= fits
            assert {item for item, _ in (await serving.similar("l0", 9, where="price < 13")).items} <= fits

    run(scenario)


def test_a_filter_that_cannot_be_read_or_tells_secrets_is_refused(shop: Shop, model: Model) -> None:
    async def scenario() -> None:
        with shop.serving(model=model) as serving:
            with pytest.raises(AskInvalid, match="filter, at character 8: expected a value"):
                await serving.recommend(Ask(user_id="u", filter="price < )"))
            with pytest.raises(AskInvalid, match="margin is known to the shop only"):
                await serving.recommend(Ask(user_id="u", filter="price < 5 or not margin > 0.2"))
            with pytest.raises(AskInvalid, match="margin"):
                await serving.similar("l0", where="margin > 0.1")
            await serving.recommend(Ask(user_id="u", filter="margin > 0.2", is_shop=True))
            await serving.recommend(Ask(user_id="u", filter="stock = null"))  # as every page shows it

    run(scenario)


def test_what_no_item_has_is_refused_with_the_nearest_names(shop: Shop, model: Model) -> None:
    async def scenario() -> None:
        with shop.serving(model=model) as serving:
            for asked, said in (
                (
                    {"category": "kettle"},
                    'category: no item has the category "kettle"; did you mean Kettles?',
                ),
                ({"category": "Ships"}, "known here: Kettles, Lamps, Chairs, Books, Toys"),
                ({"category": "x" * 5_000}, "x" * 60 + "…"),
                ({"filter": "prize < 50"}, 'filter: no item has an attribute "prize"; did you mean price?'),
                (
                    {"filter": "price < 50 and not `glow in` = 1"},
                    'an attribute "glow in"; known here: added, ',
                ),
                ({"filter": "attributes.price < 50"}, "did you mean price?"),
            ):
                with pytest.raises(AskInvalid) as refused:
                    await serving.recommend(msgspec.structs.replace(Ask(user_id="u"), **asked))
                assert said in str(refused.value)
            with pytest.raises(AskInvalid, match="did you mean price"):
                await serving.recommend_history(["l0"], where="prize < 50")
            with pytest.raises(AskInvalid, match="did you mean price"):
                await serving.similar("l0", where="prize < 50")

    run(scenario)


def test_what_is_for_the_shop_alone_is_not_told_by_a_hint(shop: Shop, model: Model) -> None:
    async def scenario() -> None:
        with shop.serving(model=model) as serving:
            shop.change("k0", categories=("Launches",), hidden=True)
            for ask, said in (
                (Ask(user_id="u", filter="margn > 0.2"), "margin"),
                (Ask(user_id="u", category="Launch"), "Launches"),
            ):
                with pytest.raises(AskInvalid) as refused:
                    await serving.recommend(ask)
                assert said not in str(refused.value)
            with pytest.raises(AskInvalid, match="did you mean margin"):
                await serving.recommend(Ask(user_id="u", filter="margn > 0.2", is_shop=True))
            assert ids(await serving.recommend(Ask(user_id="u", category="Launches"))) == []

    run(scenario)


def test_what_is_known_follows_the_catalog_and_what_it_lost_is_an_empty_list(
    shop: Shop, model: Model
) -> None:
    async def scenario() -> None:
        bright = Ask(user_id="u", filter="glow > 5")
        with shop.serving(model=model) as serving:
            with pytest.raises(AskInvalid):
                await serving.recommend(bright)
            shop.change("l0", attributes={"glow": 9})
            assert ids(await serving.recommend(bright)) == ["l0"]
            shop.change("l0", attributes={"glow": "bright"})  # another type is another value
            assert ids(await serving.recommend(bright)) == []
            shop.change("l0", deleted=True)
            assert ids(await serving.recommend(bright)) == []
            with pytest.raises(AskInvalid) as refused:
                await serving.recommend(Ask(user_id="u", filter="glows > 5"))
            assert "did you mean glow" not in str(refused.value)

    run(scenario)


def test_rules_that_cannot_be_leave_those_there_are(shop: Shop, model: Model) -> None:
    async def scenario() -> None:
        with shop.serving(model=model, rules=[rule("hide", "category = Lamps")]) as serving:
            with pytest.raises(RuleInvalid):
                serving.rule([rule("hide", "category =")])
            assert not [i for i in ids(await serving.recommend(Ask(user_id="u"))) if i[0] == "l"]
            serving.swap(None)
            assert not [i for i in ids(await serving.recommend(Ask(user_id="u"))) if i[0] == "l"]

    run(scenario)
