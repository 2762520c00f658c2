"""A shop whose every event and catalog change is in its log, so that what it served can be made again."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import msgspec
from tests.serving.conftest import NOW, PARTITIONS, Noted, catalog

from shortlist.catalog.item import Item
from shortlist.catalog.past import CatalogPast
from shortlist.catalog.rule import Rule
from shortlist.catalog.store import Change
from shortlist.catalog.table import ItemTable
from shortlist.coldstart.exploration import Exploration
from shortlist.database import Database
from shortlist.events.event import Event, EventType, encode
from shortlist.events.log import EVENTS, ITEMS, SERVED, Record
from shortlist.events.log_rocksdb import RocksLog
from shortlist.events.partition import partition_of
from shortlist.features.store_rocksdb import RocksFeatures
from shortlist.features.view import user_view
from shortlist.models.model import Model
from shortlist.models.registry import ModelUnknown
from shortlist.serving.cache_memory import MemorySlateCache
from shortlist.serving.replay import Replayer
from shortlist.serving.serving import Serving
from shortlist.serving.snapshot import Snapshot, snapshot
from shortlist.serving.trace import Traces
from shortlist.serving.world import Worlds
from shortlist.settings import Settings


class Moving:
    """What trends, set by hand; published as a whole, as the real one does."""

    def __init__(self) -> None:
        self.show([])

    def show(self, ids: Sequence[str]) -> None:
        self._ids = list(ids)
        self._weights = {item_id: float(len(ids) - place) for place, item_id in enumerate(ids)}

    def top(self, category: str | None, n: int) -> list[str]:
        mine = self._ids if category is None else [i for i in self._ids if i[0] == category[0].lower()]
        return mine[:n]

    def weights(self) -> Mapping[str, float]:
        return self._weights


class Lived:
    """One shop over a database of its own. Its clock stands still unless something happens."""

    def __init__(self, database: Database, settings: Settings, models: Mapping[str, Model]) -> None:
        self.now, self.settings, self.models = NOW, settings, dict(models)
        self.log = RocksLog(database, {EVENTS: PARTITIONS, SERVED: 2, ITEMS: 1})
        window = settings.log.dedup_window
        self.features = RocksFeatures(
            database, user_view(settings), partitions=PARTITIONS, dedup_window=window
        )
        self.noted, self.trends = Noted(), Moving()
        self.exploration = Exploration(settings.exploration, self.noted)
        self.items: dict[str, Item] = {}
        self.version = self.events = 0

    async def open(self) -> None:
        """Put the catalog in."""
        for item in catalog():
            await self.change(item.item_id, item)

    @contextmanager
    def serving(self, model: str = "1", rules: Sequence[Rule] = (), **parts: Any) -> Iterator[Serving]:
        made = self.models[model]
        self.current = Serving(
            settings=self.settings,
            features=self.features,
            cache=MemorySlateCache(self.settings.cache, lambda: self.now),
            log=self.log,
            table=ItemTable(self.items.values(), self.version, made.item_ids),
            trends=self.trends,
            model=made,
            exploration=self.exploration,
            rules=rules,
            now_ms=lambda: self.now,
            **parts,
        )
        try:
            yield self.current
        finally:
            self.current.close()

    async def happen(self, user_id: str, type_: str, item_id: str, **fields: Any) -> None:
        """One event: logged, folded, told."""
        self.now += 1
        self.events += 1
        item = self.items.get(item_id)
        event = Event(
            event_id=f"e{self.events}",
            user_id=user_id,
            type=EventType(type_),
            item_id=item_id,
            ts=self.now,
            category=item.category if item is not None else None,
            **fields,
        )
        ((partition, offset),) = await self.log.append(EVENTS, [Record(user_id, encode(event))])
        assert partition == partition_of(user_id, PARTITIONS)
        batch = self.log.read(EVENTS, partition, offset, 1)
        expect = self.features.offset(partition)
        folded = self.features.fold(partition, batch, expect=expect, next_offset=offset + 1)
        self.noted.on_folded([folded])
        self.current.on_folded([folded])

    async def change(self, item_id: str, item: Item | None) -> None:
        """One change of the catalog: logged, and shown."""
        self.version += 1
        change = Change(self.version, item_id, item)
        await self.log.append(ITEMS, [Record(item_id, msgspec.json.encode(change))])
        if item is None:
            self.items.pop(item_id, None)
        else:
            self.items[item_id] = item
        if hasattr(self, "current"):
            self.current.apply([change])

    def load(self, version: str) -> Model:
        if version not in self.models:
            raise ModelUnknown(f"no version {version}")
        return self.models[version]

    def replayer(self, today: Snapshot | None = None) -> Replayer:
        """Replays in the world that serves, or in another process's."""
        worlds = Worlds(lambda: today or self.current.snapshot, self.load, CatalogPast(self.log))
        return Replayer(worlds, self.log, self.features)

    def elsewhere(self, model: str = "1") -> Snapshot:
        """The snapshot of a process that was started now."""
        made = self.models[model]
        items = [self.items[item_id] for item_id in sorted(self.items)]
        return snapshot(made, ItemTable(items, self.version, made.item_ids), None, self.settings.candidates)

    def traces(self) -> Traces:
        """Of the log alone."""
        self.current._served.flush()
        return Traces(self.log, lambda request_id: None)
