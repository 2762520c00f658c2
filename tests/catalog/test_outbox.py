"""Every change reaches the log: in the order of commits, at least once, whenever the process ends."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing

import msgspec
import pytest

from shortlist.catalog.engine import open_engine
from shortlist.catalog.item import Item
from shortlist.catalog.outbox import Publisher
from shortlist.catalog.outbox_sql import SqlOutbox
from shortlist.catalog.store import Change, ItemUnknown
from shortlist.catalog.store_sql import SqlCatalog
from shortlist.database import open_database
from shortlist.events.log import ITEMS, EventLog, LogUnavailable
from shortlist.events.log_rocksdb import RocksLog
from shortlist.home import Home


@pytest.fixture
def log(home: Home) -> Iterator[EventLog]:
    with closing(open_database(home)) as database, closing(RocksLog(database, {ITEMS: 1})) as log:
        yield log


def published(log: EventLog) -> list[Change]:
    return [msgspec.json.decode(stored.value, type=Change) for stored in log.read(ITEMS, 0, 0, 10_000)]


def run(home: Home, test: Callable[[SqlCatalog, SqlOutbox], Awaitable[None]]) -> None:
    async def main() -> None:
        async with open_engine("sqlite:", home.make().catalog) as engine:
            await test(SqlCatalog(engine), SqlOutbox(engine))

    asyncio.run(main())


def test_each_change_is_published_once_in_order_and_then_forgotten(home: Home, log: EventLog) -> None:
    async def test(items: SqlCatalog, outbox: SqlOutbox) -> None:
        await items.put([Item(item_id="a", title="A"), Item(item_id="b")])
        await items.create(Item(item_id="c", attributes={"colour": "red"}))
        await items.patch("a", {"stock": 0})
        await items.add_missing(["a", "d"])
        await items.delete("b")
        assert await Publisher(outbox, log).publish() == 6
        assert await outbox.waiting(10) == []
        assert await Publisher(outbox, log).publish() == 0

    run(home, test)
    changes = published(log)
    assert [(c.version, c.item_id) for c in changes] == [
        (1, "a"), (2, "b"), (3, "c"), (4, "a"), (5, "d"), (6, "b"),
    ]  # fmt: skip
    assert changes[2].item == Item(item_id="c", attributes={"colour": "red"})
    assert changes[3].item == Item(item_id="a", title="A", stock=0)
    assert changes[5].item is None


def test_a_change_that_is_refused_or_changes_nothing_leaves_nothing(home: Home, log: EventLog) -> None:
    async def test(items: SqlCatalog, outbox: SqlOutbox) -> None:
        await items.put([Item(item_id="a")])
        await Publisher(outbox, log).publish()
        with pytest.raises(ItemUnknown):
            await items.patch("none", {"stock": 1})
        await items.put([Item(item_id="a")])
        await items.patch("a", {"title": ""})
        assert await outbox.waiting(10) == []

    run(home, test)


def test_more_than_a_batch_is_published_in_order(home: Home, log: EventLog) -> None:
    async def test(items: SqlCatalog, outbox: SqlOutbox) -> None:
        await items.put([Item(item_id=f"{n:04}") for n in range(5_000)])
        assert await Publisher(outbox, log).publish() == 5_000

    run(home, test)
    assert [c.version for c in published(log)] == list(range(1, 5_001))


def test_what_the_log_refuses_waits_for_the_next_time(home: Home) -> None:
    with closing(open_database(home)) as database:
        closed = RocksLog(database, {ITEMS: 1})
        closed.close()

        async def refused(items: SqlCatalog, outbox: SqlOutbox) -> None:
            await items.put([Item(item_id="a")])
            with pytest.raises(LogUnavailable):
                await Publisher(outbox, closed).publish()
            assert [waits.key for waits in await outbox.waiting(10)] == ["a"]

        run(home, refused)
        with closing(RocksLog(database, {ITEMS: 1})) as log:

            async def taken(items: SqlCatalog, outbox: SqlOutbox) -> None:
                assert await Publisher(outbox, log).publish() == 1

            run(home, taken)


CRASH = """
import asyncio, os, signal, sys
from pathlib import Path
from shortlist.catalog.engine import open_engine
from shortlist.catalog.item import Item
from shortlist.catalog.outbox import Publisher
from shortlist.catalog.outbox_sql import SqlOutbox
from shortlist.catalog.store_sql import SqlCatalog
from shortlist.database import open_database
from shortlist.events.log import ITEMS
from shortlist.events.log_rocksdb import RocksLog
from shortlist.home import Home

home, when = Home(Path(sys.argv[1])), sys.argv[2]

class Dying(SqlOutbox):
    async def forget(self, through):
        os.kill(os.getpid(), signal.SIGKILL)

async def main():
    log = RocksLog(open_database(home), {ITEMS: 1})
    async with open_engine("sqlite:", home.make().catalog) as engine:
        items = SqlCatalog(engine)
        await items.put([Item(item_id=f"i{n}") for n in range(5)])
        if when == "written":
            os.kill(os.getpid(), signal.SIGKILL)
        await Publisher(Dying(engine), log).publish()

asyncio.run(main())
"""


@pytest.mark.parametrize(("when", "times"), [("written", 1), ("published", 2)])
def test_a_kill_after_the_write_or_after_the_append_loses_nothing(home: Home, when: str, times: int) -> None:
    """Killed between append and delete, the batch comes twice; a version tells that it is the same."""
    died = subprocess.run(
        [sys.executable, "-c", CRASH, str(home.path), when], env=os.environ, check=False, timeout=60
    )
    assert died.returncode == -signal.SIGKILL

    with closing(open_database(home)) as database, closing(RocksLog(database, {ITEMS: 1})) as log:

        async def test(items: SqlCatalog, outbox: SqlOutbox) -> None:
            assert len([item async for item in items.all()]) == 5
            assert await Publisher(outbox, log).publish() == 5
            assert await outbox.waiting(10) == []

        run(home, test)
        assert [c.version for c in published(log)] == [1, 2, 3, 4, 5] * times
