"""A small shop with real parts: the embedded database, features and log, and a model of a few pasts."""

import asyncio
from collections import Counter
from collections.abc import Callable, Collection, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from io import StringIO
from itertools import chain, count
from typing import Any, TypeVar

import msgspec
import numpy as np
import pytest

from shortlist.candidates.item_knn import ItemKnn
from shortlist.candidates.popular import Popular
from shortlist.candidates.trained import TrainedSource
from shortlist.candidates.transitions import Transitions
from shortlist.catalog.item import Item
from shortlist.catalog.store import Change
from shortlist.catalog.table import ItemTable
from shortlist.database import Database, open_database
from shortlist.events.event import Event, EventType, encode
from shortlist.events.interactions import Interactions
from shortlist.events.log import EVENTS, ITEMS, SERVED, Stored
from shortlist.events.log_rocksdb import RocksLog
from shortlist.events.partition import partition_of
from shortlist.features.processor import OnFolded
from shortlist.features.store import Folded
from shortlist.features.store_rocksdb import RocksFeatures
from shortlist.features.view import user_view
from shortlist.home import Home
from shortlist.models.model import Model
from shortlist.ops.logs import set_up
from shortlist.ranking.blend import untrained
from shortlist.serving.cache_memory import MemorySlateCache
from shortlist.serving.serving import Serving
from shortlist.settings import CandidateSettings, RuleSettings, ServingSettings, Settings

T = TypeVar("T")
PARTITIONS = 4
NOW = 1_700_000_000_000  # ms

# 7 people, 40 items in 5 categories and 6 brands, unequal counts: nothing here is square or symmetric.
CATEGORIES = ("Kettles", "Lamps", "Chairs", "Books", "Toys")
PASTS = {
    "ann": "k0 k1 k2 k3 l0",
    "bob": "k1 k2 k0 l1",
    "cat": "l0 l1 l2 l3 l4 k0",
    "dan": "l1 l2 l0 c0",
    "eve": "c0 c1 c2 c3 b0",
    "fay": "c1 c2 b0 b1 b2",
    "gus": "b0 b1 t0 t1 t2 k0",
}


def catalog() -> list[Item]:
    """Ids are the category's letter and a number; 12 kettles, 10 lamps, 8 chairs, 6 books, 4 toys."""
    sizes = zip(CATEGORIES, (12, 10, 8, 6, 4), strict=True)
    return [
        Item(
            item_id=f"{category[0].lower()}{number}",
            title=f"{category[:-1]} {number}",
            categories=(category,),
            brand=f"brand {number % 6}",
            price=10.0 + number,
            currency="EUR",
            margin=0.3,
        )
        for category, size in sizes
        for number in range(size)
    ]


def fitted(version: str = "1", items: Sequence[Item] | None = None) -> Model:
    """A model of the pasts above; every source is exact, so that slates are known."""
    table = ItemTable(items or catalog(), 1)
    users, codes, ts = [], [], []
    for user, past in enumerate(PASTS.values()):
        for step, item_id in enumerate(past.split()):
            users.append(user)
            codes.append(table.position(item_id))
            ts.append(NOW / 1000 - 86_400 + 600 * step)
    order = np.argsort(ts, kind="stable")
    n = len(ts)
    data = Interactions(
        users=np.array(users, np.int32)[order],
        items=np.array(codes, np.int32)[order],
        ts_s=np.array(ts, np.float64)[order],
        weights=np.ones(n, np.float32),
        sessions=np.zeros(n, np.int32),
        purchases=np.zeros(n, bool),
        user_ids=list(PASTS),
        item_ids=list(table.ids),
    )
    kinds: tuple[type[TrainedSource], ...] = (Transitions, ItemKnn, Popular)
    return Model(
        version=version,
        trained_ms=NOW - 3_600_000,
        data_end_s=NOW / 1000,
        item_ids=list(table.ids),
        sources={kind.name: kind.fit(data, table, Settings().training) for kind in kinds},
        ranker=None,
        blend=untrained(),
        metrics={},
        params={},
    )


class Noted:
    """A ledger of new items by hand: what was seen, and what was decided."""

    def __init__(self) -> None:
        self.impressions: Counter[tuple[str, str]] = Counter()
        self.verdicts: dict[str, str] = {}

    def seen(self, item_id: str, user_id: str) -> int:
        return self.impressions[item_id, user_id]

    def verdict(self, item_id: str) -> str:
        return self.verdicts.get(item_id, "")

    def watch(self, new: Collection[str]) -> None:
        """Nothing to do: everything is counted."""

    def on_folded(self, folded: Sequence[Folded]) -> None:
        for event in chain.from_iterable(one.events for one in folded):
            self.impressions[event.item_id, event.user_id] += event.type is EventType.IMPRESSION


_serial = count(1)  # events are never repeated, whatever test they are of


class Shop:
    """One shop under test, with nobody in it. Its clock stands still unless a test moves it."""

    def __init__(self, database: Database) -> None:
        self.now = NOW
        self.settings = Settings(
            rules=RuleSettings(max_per_brand=0),
            # a busy machine is no failing source: tests of lateness say how long
            candidates=CandidateSettings(deadline_ms=5_000.0),
            serving=ServingSettings(budget_ms=10_000.0),
        )
        self.log = RocksLog(database, {EVENTS: PARTITIONS, SERVED: 2, ITEMS: 1})
        self.features = RocksFeatures(
            database, user_view(self.settings), partitions=PARTITIONS, dedup_window=1000
        )
        self.served_before = self.log.ends(SERVED)
        self.listeners: list[OnFolded] = []  # told of folds before serving is
        self.clear()

    def clear(self) -> None:
        """Forget everybody."""
        for partition in range(PARTITIONS):
            for user_id, _ in list(self.features.users(partition)):
                self.features.delete(user_id)

    def use(self, **sections: dict[str, Any]) -> None:
        """Change settings, by section, before `serving`."""
        changed = {
            name: msgspec.structs.replace(getattr(self.settings, name), **values)
            for name, values in sections.items()
        }
        self.settings = msgspec.structs.replace(self.settings, **changed)

    @contextmanager
    def serving(
        self, *, model: Model | None = None, items: Sequence[Item] = (), **parts: Any
    ) -> Iterator[Serving]:
        """A Serving over this shop, closed at the end."""
        order = model.item_ids if model is not None else ()
        table = ItemTable(items or catalog(), 1, order)
        self.version = 1
        made = Serving(
            settings=self.settings,
            features=parts.pop("features", self.features),
            cache=MemorySlateCache(self.settings.cache, lambda: self.now),
            log=self.log,
            table=table,
            model=model,
            now_ms=lambda: self.now,
            **parts,
        )
        self.current = made
        try:
            yield made
        finally:
            made.close()

    def fold(self, user_id: str, type_: str, item_id: str, *, tell: bool = True, **fields: Any) -> None:
        """One event, folded; serving is told as the processor would."""
        self.now += 1
        event = Event(
            event_id=f"e{next(_serial)}",
            user_id=user_id,
            type=EventType(type_),
            item_id=item_id,
            ts=self.now,
            category=self.current.table.category_of(item_id),
            **fields,
        )
        partition = partition_of(user_id, PARTITIONS)
        offset = self.features.offset(partition)
        stored = Stored(partition, offset, self.now, encode(event))
        folded = self.features.fold(partition, [stored], expect=offset, next_offset=offset + 1)
        for listener in self.listeners:
            listener([folded])
        if tell:
            self.current.on_folded([folded])

    def change(self, item_id: str, **changes: Any) -> None:
        """Change or (deleted=True) delete an item in the catalog that serving shows."""
        self.version += 1
        table = self.current.table
        position = table.position(item_id)
        item = table.items[position] if position >= 0 else None
        if changes.pop("deleted", False):
            after = None
        else:
            after = msgspec.structs.replace(item or Item(item_id=item_id), **changes)
        self.current.apply([Change(self.version, item_id, after)])

    def served(self) -> list[dict[str, Any]]:
        """Everything in the log of slates served: pools, then slates."""
        stored = [
            record
            for partition, begin in enumerate(self.served_before)
            for record in self.log.read(SERVED, partition, begin, 10_000)
        ]
        records = [msgspec.json.decode(record.value) for record in stored]
        pools = [record for record in records if record["kind"] == "pool"]
        slates = [slate for record in records if record["kind"] == "slates" for slate in record["slates"]]
        return pools + [{"kind": "slate", **slate} for slate in slates]


@pytest.fixture(autouse=True, scope="session")
def quiet() -> None:
    """Lines of log without coloured tracebacks, which take a second each to draw."""
    set_up("info", StringIO())


@pytest.fixture(scope="session")
def model() -> Model:
    return fitted()


@pytest.fixture(scope="session")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """One for all tests: opening one takes longer than most of them."""
    opened = open_database(Home(tmp_path_factory.mktemp("serving") / "home"))
    yield opened
    opened.close()


@pytest.fixture
def shop(database: Database) -> Iterator[Shop]:
    """A shop with nobody in it."""
    made = Shop(database)
    yield made
    made.log.close()


def run(scenario: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run a test's coroutine to its end."""
    return asyncio.run(scenario())


def ids(slate: Any) -> list[str]:
    """The item ids of a slate's JSON."""
    body = slate if isinstance(slate, bytes) else slate.body
    return [item["item_id"] for item in msgspec.json.decode(body)["recommendations"]]
