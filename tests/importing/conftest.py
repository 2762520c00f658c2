import asyncio
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from shortlist.app.catalog import catalog
from shortlist.app.loop import followed, owned, processor
from shortlist.catalog.item import Item
from shortlist.events.event import Event
from shortlist.events.partition import partition_of
from shortlist.features.store import Features
from shortlist.home import Home
from shortlist.importing.destination import Destination, Engines, events_since
from shortlist.importing.importer import Request, import_files
from shortlist.importing.problem import Outcome
from shortlist.progress import silent
from shortlist.settings import Settings

NOW_MS = 1_700_000_000_000
PARTITIONS = 100


class Shop:
    """A home that files are imported into, with what one looks at afterwards."""

    def __init__(self, path: Path) -> None:
        self.home = Home(path)
        self.settings = Settings()

    def imports(self, path: Path | None = None, **how: Any) -> Outcome:
        async def main() -> Outcome:
            async with catalog(self.settings, self.home) as items:
                with owned(self.settings, self.home) as loop:
                    to = Engines(items, loop.log, processor(self.settings, loop).fold_all)
                    request = Request(path=path, **how)
                    return await import_files(request, to, self.home, silent, now_ms=NOW_MS, threads=1)

        return asyncio.run(main())

    def log(self) -> list[list[Event]]:
        """The events of each partition, in order."""
        found: list[list[Event]] = [[] for _ in range(PARTITIONS)]
        with followed(self.settings, self.home) as loop:
            for event in events_since(loop.log, [0] * PARTITIONS):
                found[partition_of(event.user_id, PARTITIONS)].append(event)
        return found

    def events(self) -> list[Event]:
        """All events by time."""
        return sorted((e for events in self.log() for e in events), key=lambda e: e.ts)

    def features(self, user: str) -> Features:
        with followed(self.settings, self.home) as loop:
            return loop.features.read([user], NOW_MS)[0]

    def items(self) -> dict[str, Item]:
        async def main() -> dict[str, Item]:
            async with catalog(self.settings, self.home) as items:
                return {item.item_id: item async for item in items.all()}

        return asyncio.run(main())

    def delete_item(self, item_id: str) -> None:
        async def main() -> None:
            async with catalog(self.settings, self.home) as items:
                await items.delete(item_id)

        asyncio.run(main())


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path / "home")


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Write lines to a file below the test's folder; the file."""

    def write_file(name: str, *lines: str, encoding: str = "utf-8") -> Path:
        path = tmp_path / "files" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes("".join(f"{line}\n" for line in lines).encode(encoding))
        return path

    return write_file


class Killed(BaseException):
    """The process is gone."""


class Ledger(Destination):
    """A destination in memory that can die in the middle of an append, keeping what was written."""

    batch = 7

    def __init__(self) -> None:
        self.written: list[Event] = []
        self.known: dict[str, Item] = {}
        self.dies_at: int | None = None
        self.folded = 0

    async def put_items(self, items: Sequence[Item]) -> None:
        self.known.update((item.item_id, item) for item in items)

    async def put_where_bare(self, items: Sequence[Item]) -> int:
        bare = [item for item in items if self.known.get(item.item_id, Item(item_id="")).title == ""]
        await self.put_items(bare)
        return len(bare)

    async def add_missing(self, item_ids: Sequence[str]) -> int:
        new = [item_id for item_id in item_ids if item_id not in self.known]
        await self.put_items([Item(item_id=item_id) for item_id in new])
        return len(new)

    async def categories(self) -> dict[str, str]:
        return {i: item.category for i, item in self.known.items() if item.category}

    async def append(self, events: Sequence[Event]) -> None:
        for event in events:
            if self.dies_at == len(self.written):
                raise Killed
            self.written.append(event)

    def ends(self) -> list[int]:
        return [len(self.written)]

    def ids_since(self, ends: Sequence[int]) -> Iterator[str]:
        return (event.event_id for event in self.written[ends[0] :])

    def fold(self, report: object) -> None:
        self.folded = len(self.written)
