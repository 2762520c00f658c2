"""1,000 slates of a busy shop, made again from their records: equal bit for bit, or what is gone is named.

10k items, all sources and the ranker; events, catalog changes, operator rules, trends, surveys, new items
that are tried out, filters and categories, all at random. Replayed twice: in the process that served them,
and as another one finds the log, the catalog and the models (`shortlist replay`).
"""

import asyncio
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

import faiss
import msgspec
import numpy as np
import uvloop
from threadpoolctl import threadpool_limits

from bench._catalog import CATEGORIES, fitted_model, items_of
from bench._server import report
from shortlist.catalog.item import Item
from shortlist.catalog.past import CatalogPast
from shortlist.catalog.rule import Rule
from shortlist.catalog.store import Change
from shortlist.catalog.table import ItemTable
from shortlist.coldstart.exploration import Exploration
from shortlist.database import open_database
from shortlist.events.event import Event, EventType, encode
from shortlist.events.log import EVENTS, ITEMS, SERVED, Record
from shortlist.events.log_rocksdb import RocksLog
from shortlist.features.processor import Processor
from shortlist.features.store_rocksdb import RocksFeatures
from shortlist.features.trending import TrendingCounts
from shortlist.features.view import user_view
from shortlist.home import Home
from shortlist.models.model import Model
from shortlist.models.registry import ModelUnknown
from shortlist.ops.logs import set_up
from shortlist.serving.cache_memory import MemorySlateCache
from shortlist.serving.newcomers import bring_new_items
from shortlist.serving.remade import DIFFERS, EQUAL, NAMED, Replay
from shortlist.serving.replay import Replayer
from shortlist.serving.serving import Serving, clock_ms
from shortlist.serving.slate import Ask
from shortlist.serving.snapshot import Snapshot, snapshot
from shortlist.serving.trace import Trace, Traces
from shortlist.serving.world import Worlds
from shortlist.settings import CandidateSettings, ExplorationSettings, ServingSettings, Settings

SIZE, USERS, PAST, TRACES, NEW = 10_000, 500, 20_000, 1_000, 30
ASKS: tuple[dict[str, object], ...] = (
    {},
    {},
    {},
    {"limit": 30},
    {"limit": 5, "page": 3},
    {"category": "category 7"},
    {"filter": 'price < 40 and not brand in ("brand 3", "brand 9")'},
    {"exclude": ("item-1", "item-2")},
    {"context": "cart"},
)
RULES = (
    Rule(id="hide", action="hide", where="price > 90"),
    Rule(id="boost", action="boost", where='brand in ("brand 7", "brand 14")', factor=3.0),
    Rule(id="bury", action="bury", where="margin < 0.2"),
    Rule(id="pin", action="pin", where='category = "category 5"', position=2, contexts=("browsing",)),
    Rule(id="fresh", action="boost", where="age_days < 30", factor=1.5),
)


class Book:
    """A ledger that counts impressions."""

    def __init__(self) -> None:
        self.impressions: Counter[tuple[str, str]] = Counter()

    def seen(self, item_id: str, user_id: str) -> int:
        return self.impressions[item_id, user_id]

    def verdict(self, item_id: str) -> str:
        return ""

    def watch(self, new: Iterable[str]) -> None:
        pass


class Lived:
    """One shop, its log, and a clock of its own for events."""

    def __init__(self, folder: str, settings: Settings, model: Model) -> None:
        self.settings, self.model, self.rng = settings, model, np.random.default_rng(11)
        self.database = open_database(Home(Path(folder)))
        self.log = RocksLog(self.database, {EVENTS: 16, SERVED: 8, ITEMS: 1})
        self.features = RocksFeatures(
            self.database, user_view(settings), partitions=16, dedup_window=settings.log.dedup_window
        )
        self.items = {item.item_id: item for item in items_of(SIZE)}
        self.trends = TrendingCounts(self.log, self.features, settings)
        self.folding = Processor(self.log, self.features, on_folded=[self.trends.on_folded])
        self.version = self.events = 0

    def event(self, user: int, type_: str, item_id: str, **more: object) -> Record:
        """One event, now."""
        self.events += 1
        item = self.items.get(item_id)
        event = Event(
            event_id=f"e{self.events}",
            user_id=f"u{user}",
            type=EventType(type_),
            item_id=item_id,
            ts=clock_ms(),
            category=item.category if item is not None else None,
            **more,  # type: ignore[arg-type]
        )
        return Record(event.user_id, encode(event))

    async def happen(self, *records: Record) -> None:
        """Log and fold."""
        await self.log.append(EVENTS, list(records))
        self.folding.fold_all()

    async def change(self, item_id: str, item: Item | None, serving: Serving | None = None) -> None:
        """One change of the catalog."""
        self.version += 1
        change = Change(self.version, item_id, item)
        await self.log.append(ITEMS, [Record(item_id, msgspec.json.encode(change))])
        if item is None:
            self.items.pop(item_id, None)
        else:
            self.items[item_id] = item
        if serving is not None:
            serving.apply([change])

    def any_item(self) -> str:
        """An item, the first more often."""
        rank = min(int(self.rng.zipf(1.3)) - 1, SIZE // CATEGORIES - 1)
        return f"item-{rank * CATEGORIES + int(self.rng.integers(CATEGORIES))}"


async def lived(shop: Lived, serving: Serving) -> None:
    """As many slates as there are to be traces, while everything moves."""
    rng = shop.rng
    for number in range(TRACES):
        user = int(rng.integers(USERS + USERS // 5))  # the last ones are new
        kind = rng.random()
        if kind < 0.4:
            types = ["view", "click", "purchase", "cart", "dislike", "rating"]
            await shop.happen(shop.event(user, str(rng.choice(types)), shop.any_item()))
        elif kind < 0.5:
            item_id = shop.any_item()
            await shop.happen(*(shop.event(user, "impression", item_id) for _ in range(5)))
        elif kind < 0.55:
            chosen = (f"category {rng.integers(CATEGORIES)}",)
            await shop.happen(shop.event(user, "preferences", "", categories=chosen))
        elif kind < 0.75:
            await moved(shop, serving)
        elif kind < 0.8:
            some = rng.choice(len(RULES), int(rng.integers(len(RULES))), replace=False)
            serving.rule([RULES[at] for at in sorted(some.tolist())])
        shop.trends.publish()
        ask = dict(ASKS[int(rng.integers(len(ASKS)))])
        request_id = f"request-{number}"
        if ask or serving.instant(f"u{user}", request_id) is None:
            await serving.recommend(Ask(user_id=f"u{user}", is_shop=True, request_id=request_id, **ask))  # type: ignore[arg-type]


async def moved(shop: Lived, serving: Serving) -> None:
    """One item comes, goes or changes."""
    rng = shop.rng
    kind, item_id = rng.random(), shop.any_item()
    if kind < 0.3:
        new = msgspec.structs.replace(shop.items["item-1"], item_id=f"new-{rng.integers(NEW)}")
        await shop.change(new.item_id, new, serving)
    elif kind < 0.4:
        await shop.change(item_id, None, serving)
    elif item_id in shop.items:
        changes: list[dict[str, object]] = [{"stock": 0}, {"price": 95.0}, {"hidden": True}, {"margin": 0.01}]
        item = msgspec.structs.replace(shop.items[item_id], **changes[int(rng.integers(4))])
        await shop.change(item_id, item, serving)


@contextmanager
def running(folder: str) -> Iterator[tuple[Lived, Serving]]:
    """The shop with its past, served."""
    settings = Settings(
        candidates=CandidateSettings(deadline_ms=5_000.0),
        serving=ServingSettings(budget_ms=10_000.0),
        exploration=ExplorationSettings(share=0.5),
    )
    shop = Lived(folder, settings, fitted_model(SIZE))

    async def past() -> None:
        for item in list(shop.items.values()):
            shop.version += 1
            change = msgspec.json.encode(Change(shop.version, item.item_id, item))
            shop.log.append_soon(ITEMS, [Record(item.item_id, change)])
        rng = shop.rng
        events = [shop.event(int(rng.integers(USERS)), "view", shop.any_item()) for _ in range(PAST)]
        for start in range(0, PAST, 1_000):
            await shop.happen(*events[start : start + 1_000])

    asyncio.run(past())
    serving = Serving(
        settings=settings,
        features=shop.features,
        cache=MemorySlateCache(settings.cache, clock_ms),
        log=shop.log,
        table=ItemTable(shop.items.values(), shop.version, shop.model.item_ids),
        trends=shop.trends,
        model=shop.model,
        exploration=Exploration(settings.exploration, Book()),
    )
    shop.folding.on_folded(serving.on_folded)
    try:
        yield shop, serving
    finally:
        serving.close()
        shop.log.close()
        shop.database.close()


def replayed(name: str, shop: Lived, today: Snapshot, traces: list[Trace]) -> dict[str, float]:
    """Replay all of them; print and return what came of it."""

    def load(version: str) -> Model:
        if version != shop.model.version:
            raise ModelUnknown(f"no version {version}")
        return shop.model

    replayer = Replayer(Worlds(lambda: today, load, CatalogPast(shop.log)), shop.log, shop.features)
    began = perf_counter()
    found: list[Replay] = list(replayer.replays(traces))
    took = perf_counter() - began
    verdicts = Counter(replay.verdict for replay in found)
    why = Counter(missing.input for replay in found for missing in replay.missing)
    print(
        f"{name}: {len(found):,} traces, {verdicts[EQUAL]:,} equal, {verdicts[NAMED]:,} with an input named "
        f"({', '.join(f'{input_} {count}' for input_, count in why.items()) or 'none'}), "
        f"{verdicts[DIFFERS]:,} differ; {len(found) / took:,.0f} a second"
    )
    for replay in [replay for replay in found if replay.verdict == DIFFERS][:5]:
        print("  differs:", replay)
    return {
        "traces": len(found),
        "equal": verdicts[EQUAL],
        "named": verdicts[NAMED],
        "differ": verdicts[DIFFERS],
        "per_s": round(len(found) / took, 1),
    }


def main() -> None:
    threadpool_limits(1)
    faiss.omp_set_num_threads(1)
    set_up("warning")
    with TemporaryDirectory() as folder, running(folder) as (shop, serving):
        uvloop.run(lived(shop, serving))
        serving._served.flush()
        shop.log.wait(SERVED, shop.log.ends(SERVED), 1.0)
        traces = Traces(shop.log, lambda request_id: None).last(TRACES)
        tiers = Counter(trace.slate.tier for trace in traces)
        print(f"tiers: {dict(tiers)}; {sum(bool(t.slate.explored) for t in traces)} with a new item")
        same = replayed("the process that served", shop, serving.snapshot, traces)
        items = [shop.items[item_id] for item_id in sorted(shop.items)]
        table = ItemTable(items, shop.version, shop.model.item_ids)
        fresh = snapshot(shop.model, table, None, shop.settings.candidates)
        bring_new_items(fresh)
        other = replayed("another process", shop, fresh, traces)
    report(bench="replay", **same, **{f"other_{name}": value for name, value in other.items()})


if __name__ == "__main__":
    main()
