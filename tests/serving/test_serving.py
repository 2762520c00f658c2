"""Slates of a small shop: what comes, what must never come, and when it is computed."""

import asyncio
import gc
import threading
import weakref
from collections.abc import Callable, Mapping, Sequence

import msgspec
import numpy as np
import pytest
from tests.serving.conftest import Noted, Shop, catalog, fitted, ids, run

from shortlist.arrays import FloatArray, IntArray
from shortlist.candidates.source import NOTHING, Candidates, CandidateSource, Query
from shortlist.catalog.item import Item
from shortlist.catalog.store import ItemUnknown
from shortlist.coldstart.exploration import Exploration
from shortlist.features.store import Features, FeatureStore, StoreUnavailable
from shortlist.models.model import Model
from shortlist.ops import telemetry
from shortlist.serving.serving import Serving
from shortlist.serving.slate import Ask, AskInvalid
from shortlist.settings import ExplorationSettings


class Gate:
    """The real store behind a gate: reads wait while it is shut, fail while it is broken, and are counted."""

    def __init__(self, store: FeatureStore) -> None:
        self.store, self.open, self.reads, self.is_broken = store, threading.Event(), 0, False
        self.open.set()

    def read(self, user_ids: Sequence[str], now_ms: int) -> list[Features]:
        self.reads += 1
        self.open.wait(10)
        if self.is_broken:
            raise StoreUnavailable("gate: broken for the test")
        return self.store.read(user_ids, now_ms)


class Stuck(CandidateSource):
    """A source that does not come back until it is let go."""

    name = "popular"

    def __init__(self) -> None:
        self.let_go = threading.Event()

    def candidates(self, query: Query, limit: int) -> Candidates:
        self.let_go.wait(10)
        raise RuntimeError("let go")

    def score(self, query, positions):  # type: ignore[no-untyped-def]
        raise AssertionError("never asked: it brought nothing")


class Trends:
    """Trending lists by hand."""

    def __init__(self, *item_ids: str) -> None:
        self.item_ids = item_ids

    def top(self, category: str | None, n: int) -> Sequence[str]:
        return self.item_ids[:n] if category is None else ()

    def weights(self) -> Mapping[str, float]:
        return dict.fromkeys(self.item_ids, 1.0)


async def until(is_so: Callable[[], bool]) -> None:
    """Let others run until something holds."""
    for _ in range(2_000):
        if is_so():
            return
        await asyncio.sleep(0.001)
    raise AssertionError("not so after 2 s")


async def recomputed(serving: Serving, user_id: str) -> bytes:
    """The user's ready body, once the background has made it."""
    await until(lambda: serving.instant(user_id) is not None)
    return serving.instant(user_id) or b""


def test_who_looked_at_kettles_gets_what_others_took_next(shop: Shop, model: Model) -> None:
    async def scenario() -> None:
        with shop.serving(model=model) as serving:
            shop.fold("zoe", "view", "k1")
            slate = await serving.recommend(Ask(user_id="zoe"))
            assert slate.tier == "fresh"
            assert ids(slate)[:2] == ["k2", "k0"]
            assert slate.items[0].reason == "Because you viewed Kettle 1"
            assert len(ids(slate)) == 10

    run(scenario)


@pytest.mark.parametrize("asked", ["candidates", "score"])
@pytest.mark.parametrize("why", ["late", "failed"])
def test_a_source_that_sleeps_or_fails_costs_no_slate(
    shop: Shop, model: Model, monkeypatch: pytest.MonkeyPatch, asked: str, why: str
) -> None:
    let_go = threading.Event()

    def broken(*_: object) -> None:
        let_go.wait(10 if why == "late" else 0)
        raise RuntimeError("no more")

    async def scenario() -> None:
        with shop.serving(model=model) as serving:
            shop.fold("zoe", "view", "k1")
            monkeypatch.setattr(type(model.sources["item_knn"]), asked, broken)
            slate = await serving.recommend(Ask(user_id="zoe"))
            let_go.set()
            assert slate.tier == "fresh"
            assert slate.missing == {"item_knn": why}
            assert len(ids(slate)) == 10
            assert slate.items[0].reason == "Because you viewed Kettle 1"

    run(scenario)


def test_the_second_answer_comes_from_the_cache_and_is_the_same(shop: Shop, model: Model) -> None:
    async def scenario() -> None:
        with shop.serving(model=model) as serving:
            shop.fold("zoe", "view", "k1")
            first = await serving.recommend(Ask(user_id="zoe"))
            version = shop.features.read(["zoe"], shop.now)[0].version
            body = serving.instant("zoe")
            assert body is not None
            answer = msgspec.json.decode(body)
            assert answer["tier"] == "cache"
            assert ids(body) == ids(first)
            assert (await serving.recommend(Ask(user_id="zoe"))).tier == "cache"
            assert answer["model"] == {"version": "1", "age_s": 3600}
            assert answer["features"] == {"version": version, "interaction_count": 1, "age_ms": 0}
            assert list(answer) == list(msgspec.json.decode(first.body))

    run(scenario)


def test_a_guest_gets_what_is_popular(shop: Shop, model: Model) -> None:
    async def scenario() -> None:
        with shop.serving(model=model) as serving:
            slate = await serving.recommend(Ask(user_id="nobody knows her"))
            assert ids(slate)[0] == "k0"  # four of seven people had it
            assert slate.items[0].reason_code == "popular"
            assert len(ids(slate)) == 10

    run(scenario)


def test_a_slate_has_at_most_three_of_a_category(shop: Shop, model: Model) -> None:
    async def scenario() -> None:
        with shop.serving(model=model) as serving:
            shop.fold("zoe", "view", "k1")
            slate = ids(await serving.recommend(Ask(user_id="zoe")))
            assert max(sum(i[0] == letter for i in slate) for letter in "klcbt") == 3

    run(scenario)


def test_pages_do_not_overlap_and_say_which_comes_next(shop: Shop, model: Model) -> None:
    async def scenario() -> None:
        with shop.serving(model=model) as serving:
            seen: list[str] = []
            page: int | None = 1
            while page is not None:
                slate = await serving.recommend(Ask(user_id="zoe", page=page, limit=12))
                seen += ids(slate)
                page = slate.next_page
            assert len(seen) == len(set(seen)) == 40

    run(scenario)


def test_excluded_items_and_other_categories_do_not_come(shop: Shop, model: Model) -> None:
    async def scenario() -> None:
        with shop.serving(model=model) as serving:
            assert "k0" not in ids(await serving.recommend(Ask(user_id="zoe", exclude=("k0", "unknown"))))
            toys = ids(await serving.recommend(Ask(user_id="zoe", category="Toys")))
            assert sorted(toys) == ["t0", "t1", "t2", "t3"]

    run(scenario)


def test_what_was_bought_a_moment_ago_is_not_served_though_the_pool_is_cached(
    shop: Shop, model: Model
) -> None:
    async def scenario() -> None:
        with shop.serving(model=model) as serving:
            before = ids(await serving.recommend(Ask(user_id="zoe")))
            shop.fold("zoe", "purchase", before[0])
            assert serving.instant("zoe") is None
            for ask in (Ask(user_id="zoe"), Ask(user_id="zoe", limit=40), Ask(user_id="zoe", page=2)):
                assert before[0] not in ids(await serving.recommend(ask))
            shop.fold("zoe", "dislike", before[1])
            assert before[1] not in ids(await serving.recommend(Ask(user_id="zoe", limit=40)))

    run(scenario)


def test_a_shop_with_repeat_purchases_serves_what_was_bought(shop: Shop, model: Model) -> None:
    shop.use(rules={"repeat_purchases": True})

    async def scenario() -> None:
        with shop.serving(model=model) as serving:
            shop.fold("zoe", "purchase", "k0")
            assert "k0" in ids(await serving.recommend(Ask(user_id="zoe", limit=40)))

    run(scenario)


@pytest.mark.parametrize("change", [{"hidden": True}, {"stock": 0}, {"deleted": True}, {"margin": 0.0}])
def test_what_left_the_shop_is_not_served_though_the_pool_is_cached(
    shop: Shop, model: Model, change: dict[str, object]
) -> None:
    async def scenario() -> None:
        with shop.serving(model=model) as serving:
            first = ids(await serving.recommend(Ask(user_id="zoe")))
            shop.change(first[0], **change)
            assert serving.instant("zoe") is None
            slate = await serving.recommend(Ask(user_id="zoe"))
            assert slate.tier == "cache"
            assert first[0] not in ids(slate)
            body = serving.instant("zoe")
            assert body is not None
            assert ids(body) == ids(slate)

    run(scenario)


def test_a_hit_shows_the_price_of_now(shop: Shop, model: Model) -> None:
    async def scenario() -> None:
        with shop.serving(model=model) as serving:
            first = ids(await serving.recommend(Ask(user_id="zoe")))
            shop.change(first[0], price=99.0, title="Sale")
            answer = msgspec.json.decode((await serving.recommend(Ask(user_id="zoe"))).body)
            assert answer["tier"] == "cache"
            assert answer["recommendations"][0]["price"] == 99.0
            assert answer["recommendations"][0]["title"] == "Sale"

    run(scenario)


def test_a_click_changes_the_slate_in_the_background_and_a_control_user_keeps_theirs(
    shop: Shop, model: Model
) -> None:
    async def scenario() -> None:
        with shop.serving(model=model) as serving:
            before = ids(await serving.recommend(Ask(user_id="zoe")))
            control = ids(await serving.recommend(Ask(user_id="control")))
            shop.fold("zoe", "click", "b0")
            after = ids(await recomputed(serving, "zoe"))
            assert after != before
            assert {"b1", "t0"} & set(after[:2])  # what people took after b0
            assert ids(serving.instant("control") or b"") == control

    run(scenario)


def test_impressions_leave_the_ready_slate_alone(shop: Shop, model: Model) -> None:
    async def scenario() -> None:
        with shop.serving(model=model) as serving:
            await serving.recommend(Ask(user_id="zoe"))
            shop.fold("zoe", "impression", "k0")
            assert serving.instant("zoe") is not None

    run(scenario)


def test_slates_are_equal_between_events(shop: Shop, model: Model) -> None:
    async def scenario() -> None:
        with shop.serving(model=model) as serving:
            shop.fold("zoe", "view", "l1")
            first = ids(await serving.recommend(Ask(user_id="zoe", limit=40)))
            await serving.cache.forget("zoe")
            shop.now += 3_000_000
            assert ids(await serving.recommend(Ask(user_id="zoe", limit=40))) == first
        with shop.serving(model=fitted()) as again:
            assert ids(await again.recommend(Ask(user_id="zoe", limit=40))) == first

    run(scenario)


def test_one_computation_serves_however_many_ask(shop: Shop, model: Model) -> None:
    gate = Gate(shop.features)

    async def scenario() -> None:
        with shop.serving(model=model, features=gate) as serving:
            gate.open.clear()
            asked = [asyncio.ensure_future(serving.recommend(Ask(user_id="zoe"))) for _ in range(30)]
            await asyncio.sleep(0)
            gate.open.set()
            slates = await asyncio.gather(*asked)
            assert gate.reads == 1
            assert len({slate.trace_id for slate in slates}) == 1
            assert len({slate.request_id for slate in slates}) == 30

    run(scenario)


def test_who_asks_after_a_fold_does_not_get_a_pool_begun_before_it(shop: Shop, model: Model) -> None:
    gate = Gate(shop.features)

    async def scenario() -> None:
        with shop.serving(model=model, features=gate) as serving:
            gate.open.clear()
            early = asyncio.ensure_future(serving.recommend(Ask(user_id="zoe")))
            await until(lambda: gate.reads == 1)
            shop.fold("zoe", "purchase", "k0")
            late = asyncio.ensure_future(serving.recommend(Ask(user_id="zoe")))
            await asyncio.sleep(0)
            gate.open.set()
            assert "k0" not in ids(await late)
            assert "k0" not in ids(await early)

    run(scenario)


def test_only_age_serves_stale_and_the_next_answer_is_new(shop: Shop, model: Model) -> None:
    async def scenario() -> None:
        with shop.serving(model=model) as serving:
            first = await serving.recommend(Ask(user_id="zoe"))
            shop.now += 3_600_000
            assert serving.instant("zoe") is None
            stale = await serving.recommend(Ask(user_id="zoe"))
            assert stale.tier == "stale"
            assert stale.trace_id == first.trace_id
            assert msgspec.json.decode(await recomputed(serving, "zoe"))["tier"] == "cache"
            shop.now += 86_400_000 + 1
            assert (await serving.recommend(Ask(user_id="zoe"))).tier == "fresh"

    run(scenario)


def test_as_many_slates_as_threads_have_all_their_sources(shop: Shop, model: Model) -> None:
    shop.use(serving={"miss_threads": 6})
    together = threading.Barrier(6)

    class Meets(Stuck):
        def candidates(self, query: Query, limit: int) -> Candidates:
            together.wait(10)
            return NOTHING

        def score(self, query: Query, positions: IntArray) -> FloatArray:
            return np.zeros(len(positions), np.float32)

    async def scenario() -> None:
        sources = {**model.sources, "popular": Meets()}
        slow = Model(**{**{f: getattr(model, f) for f in model.__slots__}, "sources": sources})
        with shop.serving(model=slow) as serving:
            asked = [serving.recommend(Ask(user_id=f"user {n}")) for n in range(6)]
            assert [slate.missing for slate in await asyncio.gather(*asked)] == [{}] * 6

    run(scenario)


def test_a_source_that_hangs_costs_its_own_candidates(shop: Shop, model: Model) -> None:
    stuck = Stuck()
    shop.use(candidates={"deadline_ms": 200.0})

    async def scenario() -> None:
        sources = {**model.sources, "popular": stuck}
        broken = Model(**{**{f: getattr(model, f) for f in model.__slots__}, "sources": sources})
        with shop.serving(model=broken) as serving:
            shop.fold("zoe", "view", "k1")
            slate = await serving.recommend(Ask(user_id="zoe"))
            assert slate.missing == {"popular": "late"}
            assert slate.tier == "fresh"
            assert ids(slate)[:2] == ["k2", "k0"]
            assert len(ids(slate)) == 10
            other = await serving.recommend(Ask(user_id="yan"))
            assert other.missing == {"popular": "busy"}
            stuck.let_go.set()

    run(scenario)


def test_past_its_budget_a_miss_is_answered_by_the_stale_pool_then_by_what_is_popular(
    shop: Shop, model: Model
) -> None:
    shop.use(serving={"budget_ms": 300.0})
    gate = Gate(shop.features)

    async def scenario() -> None:
        with shop.serving(model=model, features=gate) as serving:
            shop.fold("zoe", "view", "l1")
            first = ids(await serving.recommend(Ask(user_id="zoe")))
            gate.open.clear()
            shop.fold("zoe", "view", "c1")
            stale = await serving.recommend(Ask(user_id="zoe"))
            assert stale.tier == "stale"
            assert ids(stale) == first
            assert stale.missing == {"features": "late"}
            popular = await serving.recommend(Ask(user_id="yan"))
            assert popular.tier == "popular"
            assert ids(popular)[0] == "k0"
            gate.open.set()

    run(scenario)


def test_without_scores_the_users_own_categories_answer(shop: Shop, model: Model) -> None:
    async def scenario() -> None:
        with shop.serving(model=model) as serving:
            shop.fold("zoe", "view", "c5")
            shop.fold("zoe", "purchase", "c0")
            chain = serving._snapshot.chain
            assert chain is not None
            chain.ranking = None  # type: ignore[assignment,method-assign]  # what calls it fails
            slate = await serving.recommend(Ask(user_id="zoe"))
            assert slate.tier == "popular_category"
            assert ids(slate)[:3] == ["c2", "c1", "k0"] or ids(slate)[:2] == ["c1", "c2"]
            assert "c0" not in ids(slate)
            assert slate.items[0].reason == "Popular in Chairs"

    run(scenario)


def test_when_features_cannot_be_read_popular_items_answer(shop: Shop, model: Model) -> None:
    gate = Gate(shop.features)

    async def scenario() -> None:
        with shop.serving(model=model, features=gate) as serving:
            gate.is_broken = True
            slate = await serving.recommend(Ask(user_id="zoe"))
            assert slate.tier == "popular"
            assert slate.missing == {"features": "late"}
            assert len(ids(slate)) == 10

    run(scenario)


def test_before_the_first_training_trending_answers_then_the_catalog(shop: Shop) -> None:
    async def scenario() -> None:
        with shop.serving(trends=Trends("t3", "l9")) as serving:
            slate = await serving.recommend(Ask(user_id="zoe"))
            assert slate.tier == "trending"
            assert set(ids(slate)[:2]) == {"t3", "l9"} or {"t3", "l9"} <= set(ids(slate))
            assert msgspec.json.decode(slate.body)["model"] is None
        with shop.serving() as serving:
            slate = await serving.recommend(Ask(user_id="zoe"))
            assert slate.tier == "catalog"
            assert len(ids(slate)) == 10
        with shop.serving(items=[Item(item_id="only")]) as serving:
            assert ids(await serving.recommend(Ask(user_id="zoe"))) == ["only"]

    run(scenario)


def test_a_category_that_lost_its_items_is_empty_whatever_trends(shop: Shop, model: Model) -> None:
    async def scenario() -> None:
        with shop.serving(model=model, trends=Trends("k0")) as serving:
            shop.change("boat", categories=("Boats",))
            shop.change("boat", deleted=True)
            slate = await serving.recommend(Ask(user_id="zoe", category="Boats"))
            assert ids(slate) == []
            assert slate.missing == {}

    run(scenario)


def test_a_trending_item_rises(shop: Shop, model: Model) -> None:
    async def scenario() -> None:
        with shop.serving(model=model) as serving:
            shop.fold("zoe", "view", "k1")
            plain = await serving.recommend(Ask(user_id="zoe", limit=40))
        with shop.serving(model=model, trends=Trends("k0")) as serving:
            boosted = await serving.recommend(Ask(user_id="zoe", limit=40))
        was = next(item for item in plain.items if item.item_id == "k0")
        now = next(item for item in boosted.items if item.item_id == "k0")
        assert now.score > was.score * 1.09
        assert now.position <= was.position

    run(scenario)


def test_nothing_of_an_old_model_waits_for_a_collection(shop: Shop, model: Model) -> None:
    # What serves is frozen out of the collector's sight after each swap: a circle would stay for good.
    async def scenario() -> None:
        exploration = Exploration(ExplorationSettings(), Noted())
        with shop.serving(model=model, exploration=exploration) as serving:
            serving.swap(fitted("2"))  # the first table is the fixture's, too
            shop.change("n1", title="New")
            await serving.recommend(Ask(user_id="zoe"))
            old = [
                weakref.ref(one)
                for one in (
                    serving.table,
                    serving.snapshot.rulebook,
                    serving.snapshot.chain,
                    exploration.trial,
                )
                if one is not None
            ]
            gc.collect()
            gc.disable()
            try:
                serving.swap(fitted("3", [*catalog(), Item(item_id="n1")]))
                await until(lambda: not any(one() for one in old))
            finally:
                gc.enable()

    run(scenario)


def test_a_model_is_swapped_under_running_requests(shop: Shop, model: Model) -> None:
    async def scenario() -> None:
        with shop.serving(model=model) as serving:
            shop.fold("zoe", "view", "k1")
            first = await serving.recommend(Ask(user_id="zoe"))
            shop.change("n0", title="New", categories=("Toys",))
            other = fitted("2", list(reversed(catalog())))
            await asyncio.to_thread(serving.swap, other)
            assert serving.table.ids[0] == "t3"
            assert serving.table.ids[-1] == "n0"
            assert serving.instant("zoe") is None
            second = await serving.recommend(Ask(user_id="zoe"))
            assert (second.tier, second.model_version) == ("fresh", "2")
            assert ids(second)[:2] == ids(first)[:2]

    run(scenario)


def test_an_item_that_came_after_training_can_be_served(shop: Shop, model: Model) -> None:
    async def scenario() -> None:
        with shop.serving(model=model) as serving:
            with pytest.raises(AskInvalid, match="Boats"):
                await serving.recommend(Ask(user_id="zoe", category="Boats"))
            shop.change("boat", title="Boat", categories=("Boats",))
            assert ids(await serving.recommend(Ask(user_id="zoe", category="Boats"))) == ["boat"]
            shop.fold("zoe", "purchase", "boat")
            assert ids(await serving.recommend(Ask(user_id="zoe", category="Boats"))) == []

    run(scenario)


def test_an_item_bought_before_the_catalog_knew_it_stays_out_when_it_comes(shop: Shop, model: Model) -> None:
    async def scenario() -> None:
        with shop.serving(model=model) as serving:
            shop.fold("zoe", "purchase", "x9")
            await serving.recommend(Ask(user_id="zoe"))
            shop.change("x9", title="Late")
            assert "x9" not in ids(await serving.recommend(Ask(user_id="zoe", limit=100)))
            assert "x9" in ids(await serving.recommend(Ask(user_id="yan", limit=100)))

    run(scenario)


def test_every_slate_is_logged_and_a_hit_points_to_its_pool(shop: Shop, model: Model) -> None:
    async def scenario() -> None:
        with shop.serving(model=model) as serving:
            first = await serving.recommend(Ask(user_id="zoe"))
            body = serving.instant("zoe", "req-2")
            assert body is not None
            assert msgspec.json.decode(body)["request_id"] == "req-2"
            trace = serving.trace("req-2")
            assert trace is not None
            assert trace.pool is not None
            assert trace.user_id == "zoe"
            assert trace.slate.items == ids(first)
            assert trace.slate.trace_id == first.trace_id == trace.pool.trace_id
            assert len(trace.pool.items) == 40
            assert serving.trace("unknown") is None

    run(scenario)
    shop.log.close()
    kinds = [(record["kind"], record.get("request_id")) for record in shop.served()]
    assert [kind for kind, _ in kinds] == ["pool", "slate", "slate"]
    assert kinds[2][1] == "req-2"


def test_a_pool_made_in_the_background_is_logged_when_it_first_serves(shop: Shop, model: Model) -> None:
    async def scenario() -> None:
        with shop.serving(model=model) as serving:
            await serving.recommend(Ask(user_id="zoe"))
            shop.fold("zoe", "view", "b0")
            request_id = msgspec.json.decode(await recomputed(serving, "zoe"))["request_id"]
            trace = serving.trace(request_id)
            assert trace is not None
            assert trace.pool is not None
            assert trace.pool.trace_id == trace.slate.trace_id

    run(scenario)
    shop.log.close()
    pools = [record["pool"]["trace_id"] for record in shop.served() if record["kind"] == "pool"]
    assert len(pools) == len(set(pools)) == 2


def test_a_forgotten_user_starts_anew(shop: Shop, model: Model) -> None:
    async def scenario() -> None:
        with shop.serving(model=model) as serving:
            shop.fold("zoe", "purchase", "k0")
            await serving.recommend(Ask(user_id="zoe"))
            shop.features.delete("zoe")
            await serving.forget("zoe")
            assert serving.instant("zoe") is None
            assert "k0" in ids(await serving.recommend(Ask(user_id="zoe")))

    run(scenario)


@pytest.mark.parametrize("user_id", ['quo"te', "../up", "😀", "x" * 1024, "a'b;--", "with space"])
def test_ids_of_every_kind_come_back_as_they_were(shop: Shop, model: Model, user_id: str) -> None:
    async def scenario() -> None:
        with shop.serving(model=model) as serving:
            shop.change(user_id, title=user_id, categories=("Odd",))
            slate = await serving.recommend(Ask(user_id=user_id, category="Odd"))
            answer = msgspec.json.decode(slate.body)
            assert answer["user_id"] == user_id
            assert ids(slate) == [user_id]
            await serving.recommend(Ask(user_id=user_id))
            assert msgspec.json.decode(serving.instant(user_id) or b"")["user_id"] == user_id

    run(scenario)


@pytest.mark.parametrize(
    "ask",
    [
        Ask(user_id=""),
        Ask(user_id="u", limit=101),
        Ask(user_id="u", page=0),
        Ask(user_id="u", context="a\nb"),
        Ask(user_id="u", request_id='a"b'),
    ],
)
def test_what_cannot_be_is_refused(shop: Shop, model: Model, ask: Ask) -> None:
    async def scenario() -> None:
        with shop.serving(model=model) as serving, pytest.raises(AskInvalid):
            await serving.recommend(ask)

    run(scenario)


def test_somebody_without_a_name_brings_a_past(shop: Shop, model: Model) -> None:
    async def scenario() -> None:
        with shop.serving(model=model) as serving:
            shop.fold("zoe", "view", "k1")
            named = await serving.recommend(Ask(user_id="zoe"))
            slate = await serving.recommend_history(["unknown", "k1"])
            assert ids(slate) == ids(named)
            answer = msgspec.json.decode(slate.body)
            assert answer["user_id"] is None
            assert slate.items[0].reason == "Because you viewed Kettle 1"

    run(scenario)


def test_similar_items_leave_out_what_this_user_bought_and_what_is_gone(shop: Shop, model: Model) -> None:
    async def scenario() -> None:
        with shop.serving(model=model) as serving:
            slate = await serving.similar("k1", 5)
            assert [item for item, _ in slate.items][:2] == ["k2", "k0"]
            answer = msgspec.json.decode(slate.body)
            assert answer["recommendations"][0]["title"] == "Kettle 2"
            shop.fold("zoe", "purchase", "k2")
            shop.change("k0", stock=0)
            mine = [item for item, _ in (await serving.similar("k1", 5, "zoe")).items]
            assert not {"k0", "k1", "k2"} & set(mine)
            assert len(mine) == 5
            assert len((await serving.similar("k1")).items) == 20
            with pytest.raises(ItemUnknown):
                await serving.similar("nothing like it")

    run(scenario)


def test_a_list_that_the_caller_brings_is_put_in_order_and_unknown_ids_are_named(
    shop: Shop, model: Model
) -> None:
    async def scenario() -> None:
        with shop.serving(model=model) as serving:
            shop.fold("zoe", "view", "k1")
            answer = await serving.rank(["t3", "k2", "?", "l0", "k2"], user_id="zoe")
            assert answer.items[0].item_id == "k2"
            assert len(answer.items) == 3
            assert answer.unknown == ["?"]
            past = await serving.rank(["t3", "k2", "l0"], history=["k1"])
            assert [item.item_id for item in past.items] == [item.item_id for item in answer.items]
            scores = [item.score for item in past.items]
            assert scores == sorted(scores, reverse=True)

    run(scenario)


def test_metrics_say_how_much_is_served_and_how_old_the_model_is(shop: Shop, model: Model) -> None:
    with shop.serving(model=model) as serving:
        text = telemetry.exposition().decode()
        assert f"shortlist_catalog_items {serving.table.servable.sum():.1f}" in text
        assert "shortlist_model_age_seconds 3600.0" in text
