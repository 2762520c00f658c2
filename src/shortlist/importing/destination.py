"""Where an import writes: the home's own engines, or a server that runs on it."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence

from shortlist.catalog.item import Item
from shortlist.catalog.store import CatalogStore
from shortlist.events.event import Event, decode, encode
from shortlist.events.log import EVENTS, EventLog, Record
from shortlist.progress import Report

READ = 5_000


class Destination(ABC):
    """Takes items and events. `batch`: how many events one call should bring."""

    batch: int

    @abstractmethod
    async def put_items(self, items: Sequence[Item]) -> None:
        """Insert or replace items."""

    @abstractmethod
    async def put_where_bare(self, items: Sequence[Item]) -> int:
        """Fill in items that the catalog knows nothing of but their id, or not even that; how many."""

    @abstractmethod
    async def add_missing(self, item_ids: Sequence[str]) -> int:
        """Insert bare items for ids never seen; how many."""

    @abstractmethod
    async def categories(self) -> dict[str, str]:
        """The primary category of every item that has one."""

    @abstractmethod
    async def append(self, events: Sequence[Event]) -> None:
        """Append events in this order; durable when it returns."""

    @abstractmethod
    def ends(self) -> list[int]:
        """Where the log ends now, per partition."""

    @abstractmethod
    def ids_since(self, ends: Sequence[int]) -> Iterator[str]:
        """The event_id of everything in the log beyond `ends`."""

    @abstractmethod
    def fold(self, report: Report) -> None:
        """Bring features up to date with the log."""


class Engines(Destination):
    """The home's own engines, while no server runs.

    Batches of 20,000 are five shared fsyncs and 10 MB of memory."""

    batch = 20_000

    def __init__(self, catalog: CatalogStore, log: EventLog, fold: Callable[[Report], object]) -> None:
        """fold: folds everything that the log holds."""
        self._catalog = catalog
        self._log = log
        self._fold = fold

    async def put_items(self, items: Sequence[Item]) -> None:
        """See the port."""
        await self._catalog.put(items)

    async def put_where_bare(self, items: Sequence[Item]) -> int:
        """See the port."""
        filled = await where_bare(self._catalog, items)
        await self._catalog.put(filled)
        return len(filled)

    async def add_missing(self, item_ids: Sequence[str]) -> int:
        """See the port."""
        return await self._catalog.add_missing(item_ids)

    async def categories(self) -> dict[str, str]:
        """See the port."""
        return await categories_in(self._catalog)

    async def append(self, events: Sequence[Event]) -> None:
        """See the port."""
        await self._log.append(EVENTS, [Record(event.user_id, encode(event)) for event in events])

    def ends(self) -> list[int]:
        """See the port."""
        return self._log.ends(EVENTS)

    def ids_since(self, ends: Sequence[int]) -> Iterator[str]:
        """See the port."""
        return ids_since(self._log, ends)

    def fold(self, report: Report) -> None:
        """See the port."""
        self._fold(report)


async def categories_in(catalog: CatalogStore) -> dict[str, str]:
    """The primary category of every item of a catalog that has one."""
    return {item.item_id: item.category async for item in catalog.all() if item.category}


async def where_bare(catalog: CatalogStore, items: Sequence[Item]) -> list[Item]:
    """Those of `items` that the catalog knows nothing of but their id. A deleted one stays deleted."""
    await catalog.add_missing([item.item_id for item in items])
    known = await catalog.get([item.item_id for item in items])
    return [item for item, now in zip(items, known, strict=True) if now == Item(item_id=item.item_id) != item]


def ids_since(log: EventLog, ends: Sequence[int]) -> Iterator[str]:
    """The event_id of everything that `log` holds beyond `ends`."""
    return (event.event_id for event in events_since(log, ends))


def events_since(log: EventLog, ends: Sequence[int]) -> Iterator[Event]:
    """Everything that `log` holds beyond `ends`, partition by partition."""
    begins = log.begins(EVENTS)
    for partition, end in enumerate(log.ends(EVENTS)):
        offset = max(ends[partition], begins[partition])
        while offset < end:
            records = log.read(EVENTS, partition, offset, READ)
            for record in records:
                yield decode(record.value)
            offset = records[-1].offset + 1
