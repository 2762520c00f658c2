"""A slate that was served can be made again bit for bit, or what is missing is named."""

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from tests.serving.conftest import PARTITIONS, catalog, fitted
from tests.serving.lived import Lived

from shortlist.catalog.item import Item
from shortlist.catalog.rule import Rule
from shortlist.database import Database, open_database
from shortlist.events.log import EVENTS, SERVED
from shortlist.home import Home
from shortlist.serving.explaining import Explaining
from shortlist.serving.remade import DIFFERS, EQUAL, NAMED
from shortlist.serving.serving import Serving
from shortlist.serving.slate import Ask
from shortlist.serving.trace import Trace
from shortlist.settings import (
    CandidateSettings,
    ExplorationSettings,
    RuleSettings,
    ServingSettings,
    Settings,
    WeightSettings,
)

ITEMS = [item.item_id for item in catalog()]
SETTINGS = Settings(
    candidates=CandidateSettings(deadline_ms=5_000.0),
    serving=ServingSettings(budget_ms=10_000.0),
    exploration=ExplorationSettings(share=1.0),
    rules=RuleSettings(max_per_brand=3),
)
MODELS = {"1": fitted("1"), "2": fitted("2", list(reversed(catalog())))}
RULES = [
    Rule(id="hide", action="hide", where="category = Lamps and price > 15"),
    Rule(id="boost", action="boost", where="category = Books", factor=50.0, contexts=("browsing",)),
    Rule(id="pin", action="pin", where="category = Toys", position=1),
    Rule(id="old", action="bury", where="age_days > 1"),
]
USERS = ("u1", "u2", "u3")


@pytest.fixture
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    opened = open_database(Home(tmp_path_factory.mktemp("replay") / "home"))
    yield opened
    opened.close()


item_ids = st.sampled_from(ITEMS[:16] + ITEMS[-4:] + ["n1", "n2"])
users = st.sampled_from(USERS)
CHANGES = (
    {"hidden": True},
    {"stock": 0},
    {"stock": 5},
    {"price": 99.0},
    {"margin": 0.01},
    {"categories": ("Toys",)},
    {"brand": "brand 1"},
    None,
)
TYPES = ("view", "purchase", "cancel", "dislike", "like", "rating", "impression")
ASKS: tuple[dict[str, Any], ...] = (
    {},
    {"limit": 30},
    {"limit": 3, "page": 2},
    {"page": 2},
    {"category": "Lamps"},
    {"filter": "price < 18 or stock = 5"},
    {"exclude": ("k0", "k3")},
    {"context": "cart"},
)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("happen"), users, st.sampled_from(TYPES), item_ids),
        st.tuples(st.just("see"), users, item_ids),
        st.tuples(st.just("answer"), users, st.sampled_from([(), ("Toys",), ("Kettles", "Books")])),
        st.tuples(st.just("change"), item_ids, st.sampled_from(CHANGES)),
        st.tuples(st.just("ask"), users, st.sampled_from(ASKS)),
        st.tuples(st.just("rules"), st.sets(st.sampled_from(range(4)))),
        st.tuples(st.just("trends"), st.lists(item_ids, max_size=12, unique=True)),
        st.tuples(st.just("later"), st.sampled_from([1_000, 3_700_000, 90_000_000])),
        st.tuples(st.just("swap"), st.sampled_from(["1", "2"])),
    ),
    min_size=5,
    max_size=25,
)


async def _walk(shop: Lived, plan: list[tuple[Any, ...]]) -> list[str]:
    """Live through a plan; the ids of all requests."""
    serving = shop.current
    asked: list[str] = []

    async def look(user: str, **ask: Any) -> None:
        asked.append(f"q{len(asked)}")
        ask_ = Ask(user_id=user, is_shop=True, request_id=asked[-1], **ask)
        if ask or serving.instant(user, asked[-1]) is None:
            await serving.recommend(ask_)

    for user in USERS:
        await look(user)
    for step in plan:
        match step:
            case "happen", user, type_, item_id:
                await shop.happen(user, type_, item_id)
                await look(user)
            case "see", user, item_id:
                for _ in range(5):
                    await shop.happen(user, "impression", item_id)
                await look(user)
            case "answer", user, categories:
                await shop.happen(user, "preferences", "", categories=categories, ratings={"k3": 5.0})
                await look(user)
            case "change", item_id, fields:
                was = shop.items.get(item_id) or Item(item_id=item_id, title=item_id, categories=("Lamps",))
                await shop.change(item_id, msgspec.structs.replace(was, **fields) if fields else None)
                await look(USERS[0])
                await look(USERS[1])
            case "ask", user, ask:
                await look(user, **ask)
            case "rules", numbers:
                serving.rule([RULES[number] for number in sorted(numbers)])
                await look(USERS[1])
            case "trends", ids:
                shop.trends.show(ids)
                await look(USERS[2])
            case "later", ms:
                shop.now += ms
                await look(USERS[0])
            case "swap", version:
                serving.swap(shop.models[version])
                await look(USERS[1])
    return asked


@given(steps)
@example([("happen", "u2", "view", "n1"), ("change", "n1", {"hidden": True})])  # nobody knew it: no past
@example(
    [("change", "n1", {"stock": 5}), ("happen", "u1", "view", "n1"), ("change", "n1", None)]
)  # came, went
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_happens_every_slate_is_made_again_or_what_is_gone_is_named(
    tmp_path_factory: pytest.TempPathFactory, plan: list[tuple[Any, ...]]
) -> None:
    async def scene(database: Database) -> None:
        shop = Lived(database, SETTINGS, MODELS)
        await shop.open()
        with shop.serving() as serving:
            asked = await _walk(shop, plan)
            traces = [serving.trace(request_id) for request_id in asked]
            for replay in shop.replayer().replays([trace for trace in traces if trace is not None]):
                assert replay.verdict == EQUAL or ("swap" in str(plan) and replay.missing), replay
            last = serving.snapshot.model_version
            for replay in shop.replayer(shop.elsewhere(last)).replays([t for t in traces if t is not None]):
                assert replay.verdict in (EQUAL, NAMED), replay
        shop.log.close()

    database = open_database(Home(tmp_path_factory.mktemp("replay") / "home"))
    try:
        asyncio.run(scene(database))
    finally:
        database.close()


async def _served(shop: Lived, serving: Serving) -> Trace:
    """A slate with a rule, a new item and a past."""
    await shop.change("n1", Item(item_id="n1", title="came later", categories=("Lamps",)))
    for item_id in ("k1", "l2", "k3"):
        await shop.happen("ann", "view", item_id)
    await shop.happen("ann", "purchase", "k2")
    slate = await serving.recommend(Ask(user_id="ann", request_id="q"))
    trace = serving.trace(slate.request_id)
    assert trace is not None
    return trace


Scene = Callable[[Lived, Serving], Coroutine[Any, Any, None]]


@pytest.fixture
def lived(database: Database) -> Callable[[Scene], None]:
    """Runs a scene in a shop that has lived a little."""

    def play(scene: Scene) -> None:
        async def all_of_it() -> None:
            shop = Lived(database, SETTINGS, MODELS)
            await shop.open()
            with shop.serving(rules=RULES) as serving:
                await scene(shop, serving)
            shop.log.close()

        asyncio.run(all_of_it())

    return play


def test_a_changed_weight_changes_the_replay(lived: Callable[[Scene], None]) -> None:
    async def scene(shop: Lived, serving: Serving) -> None:
        trace = await _served(shop, serving)
        replayer = shop.replayer()
        assert replayer.replay(trace).verdict == EQUAL
        heavier = msgspec.structs.replace(SETTINGS, weights=WeightSettings(view=0.0))
        changed = replayer.replay(trace, heavier)
        assert changed.verdict == DIFFERS
        assert changed.pool.differences
        capless = msgspec.structs.replace(SETTINGS, rules=RuleSettings(max_per_category=1))
        assert replayer.replay(trace, capless).slate.verdict == DIFFERS

    lived(scene)


def test_what_is_gone_is_named(lived: Callable[[Scene], None]) -> None:
    async def scene(shop: Lived, serving: Serving) -> None:
        trace = await _served(shop, serving)
        del shop.models["1"]
        serving.swap(shop.models["2"])
        (missing,) = shop.replayer().replay(trace).missing
        assert (missing.input, "model 1 is gone" in missing.why) == ("model", True)

        shop.models["1"] = fitted("1")
        await shop.happen("ann", "view", "k4")
        for partition in range(PARTITIONS):
            shop.features.checkpoint(partition)
            shop.log.truncate(EVENTS, partition, shop.log.ends(EVENTS)[partition])
        (missing,) = shop.replayer().replay(trace).missing
        assert missing.input == "events"
        assert "checkpoint" in missing.why or "begins" in missing.why

        shop.features.delete("ann")
        (missing,) = shop.replayer().replay(trace).missing
        assert (missing.input, "deleted" in missing.why) == ("events", True)

    lived(scene)


def test_a_past_that_a_request_brought_is_not_kept_and_that_is_said(lived: Callable[[Scene], None]) -> None:
    async def scene(shop: Lived, serving: Serving) -> None:
        slate = await serving.recommend_history(["k1", "l2"])
        trace = serving.trace(slate.request_id)
        assert trace is not None
        replay = shop.replayer().replay(trace)
        assert ([missing.input for missing in replay.missing], replay.slate.verdict) == (["past"], EQUAL)

    lived(scene)


def test_traces_are_found_in_the_log_when_memory_has_forgotten(lived: Callable[[Scene], None]) -> None:
    async def scene(shop: Lived, serving: Serving) -> None:
        trace = await _served(shop, serving)
        assert serving.instant("ann", "hit") is not None
        traces = shop.traces()
        shop.log.wait(SERVED, shop.log.ends(SERVED), 0.2)
        found = traces.find("hit")
        assert found is not None
        assert (found.pool, found.settings, found.user_id) == (trace.pool, trace.settings, "ann")
        assert traces.find("never") is None
        assert [one.slate.request_id for one in traces.last(2)] == ["hit", "q"]
        replays = list(shop.replayer().replays(traces.last(10)))
        assert [replay.verdict for replay in replays] == [EQUAL, EQUAL]

    lived(scene)


def test_an_explanation_tells_past_places_rules_and_the_draw(lived: Callable[[Scene], None]) -> None:
    async def scene(shop: Lived, serving: Serving) -> None:
        trace = await _served(shop, serving)
        explaining = Explaining(serving, shop.log, shop.features, shop.load)
        told = await explaining.explain(trace, replays=True, against_today=True)
        assert [step.item_id for step in told.past][:2] == ["k2", "k3"]
        (new,) = [item for item in told.items if item.propensity is not None]
        assert (new.item_id, new.propensity, new.candidates, new.reason_code) == ("n1", 1.0, ("n1",), "new")
        assert [item.pinned_by for item in told.items if item.pinned_by] == ["pin"]
        assert told.pool is not None
        assert {rule.id for rule in told.pool.written} == {"hide", "boost", "pin", "old"}
        assert told.pool.candidates > 10
        assert any("rules.max_per_category" in out.why for out in told.left_out)
        assert told.replay is not None
        assert told.replay.verdict == EQUAL
        assert told.today is not None
        assert told.today.moved <= 2, "the new item has no part in it"

        serving.rule([RULES[0]])
        await shop.happen("ann", "view", "b1")
        await shop.change(trace.slate.items[0], None)
        told = await explaining.explain(trace, against_today=True)
        assert told.today is not None
        assert told.today.rules_gone == ["boost", "old", "pin"]
        gone = told.today.items[0]
        assert (gone.now, gone.why) == (0, "it was deleted from the catalog")

    lived(scene)
