"""That verification finds what is wrong, and nothing where nothing is."""

import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shortlist.database import open_reader
from shortlist.events.event import Event, EventType
from shortlist.events.log import EVENTS
from shortlist.events.log_rocksdb import RocksLog
from shortlist.features.processor import Processor
from shortlist.features.retention import Retention, retain
from shortlist.features.store_rocksdb import RocksFeatures
from shortlist.features.verify import verify
from shortlist.features.view import user_view
from shortlist.home import Home
from shortlist.settings import LogSettings, Settings
from tests.features.conftest import PARTITIONS, Opened, Room
from tests.features.made import DAY_MS, START_MS, event, values

SMALL = Settings(log=LogSettings(dedup_window=20))


def shopping(count: int, *, start: int = 0) -> list[Event]:
    kinds = list(EventType)
    return [
        event(
            f"i{n % 13}",
            user_id=f"u{n % 7}",
            type=kinds[n % len(kinds)],
            ts=START_MS + n * 1_000,
            event_id=f"e{n - n % 3 if n % 10 == 0 else n}",
            category=f"c{n % 4}",
        )
        for n in range(start, start + count)
    ]


def test_features_that_were_folded_do_not_differ(room: Room) -> None:
    room.append(*shopping(500))
    Processor(room.log, room.store, batch=17).fold_all()
    found = verify(room.log, room.store, Settings())
    assert (found.users, found.records, found.differing) == (7, 500, 0)


def test_every_kind_of_wrong_is_found(room: Room) -> None:
    room.append(*shopping(300))
    Processor(room.log, room.store).fold_all()
    states = room.store._database.families["features"]
    first, second, *_ = list(states.keys())
    states[first] = states[second]  # another's features
    del states[second]  # none at all
    found = verify(room.log, room.store, Settings(), shown=3)
    assert found.differing == 2
    assert len(found.differences) == 3
    assert found.differences[0].expected != found.differences[0].stored


def test_only_what_is_folded_is_compared(room: Room) -> None:
    room.append(*shopping(100))
    Processor(room.log, room.store).fold_all()
    room.append(*shopping(50, start=100))
    found = verify(room.log, room.store, Settings())
    assert (found.records, found.differing) == (100, 0)


def test_a_deleted_user_stays_deleted(room: Room) -> None:
    room.append(*shopping(100))
    processor = Processor(room.log, room.store)
    processor.fold_all()
    room.store.delete("u3")
    assert verify(room.log, room.store, Settings()).users == 6
    room.append(*shopping(50, start=100))
    processor.fold_all()
    found = verify(room.log, room.store, Settings())
    assert (found.users, found.differing) == (7, 0)


def test_it_works_beside_the_owner(room: Room, home: Home) -> None:
    room.append(*shopping(200))
    processor = Processor(room.log, room.store)
    processor.fold_all()
    database = open_reader(home)
    log = RocksLog(database, {})
    store = RocksFeatures(database, user_view(Settings()), partitions=PARTITIONS, dedup_window=10_000)
    room.append(*shopping(200, start=200))
    processor.fold_all()
    found = verify(log, store, Settings())
    log.close()
    database.close()
    assert (found.records, found.differing) == (400, 0)


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.lists(values(), max_size=15), max_size=4), st.booleans())
def test_whatever_is_appended_the_two_agree(room: Room, batches: list[list[bytes]], checkpoint: bool) -> None:
    """One log that only grows: each example adds to what the ones before left."""
    processor = Processor(room.log, room.store, batch=4)
    for batch in batches:
        room.append_values("u1", batch)
        processor.fold_all()
    if checkpoint:
        for partition in range(PARTITIONS):
            room.store.checkpoint(partition)
    found = verify(room.log, room.store, Settings())
    assert found.differences == []


def test_old_records_go_behind_a_checkpoint_and_everything_still_agrees(opened: Opened) -> None:
    clock = [START_MS]
    with opened(SMALL, lambda: clock[0]) as room:
        processor = Processor(room.log, room.store)
        room.append(*shopping(2_000))
        processor.fold_all()
        clock[0] += 40 * DAY_MS
        room.append(*shopping(500, start=2_000))
        processor.fold_all()
        before = [dict(room.store.users(partition)) for partition in range(PARTITIONS)]
        forgotten = retain(room.log, room.store, days=30, dedup_window=20, now_ms=clock[0], least=50)
        ends, begins = room.log.ends(EVENTS), room.log.begins(EVENTS)
        assert forgotten == sum(begins) > 1_000
        assert all(end - begin >= 20 for end, begin in zip(ends, begins, strict=True) if end)
        found = verify(room.log, room.store, SMALL)
        assert (found.users, found.differing) == (7, 0)
        assert found.records < 2_000
        room.append(*shopping(100, start=2_450))  # half of them repeats
        processor.fold_all()
        assert verify(room.log, room.store, SMALL).differing == 0
    assert sum(len(users) for users in before) == 7


def test_records_that_are_not_folded_or_not_old_stay(opened: Opened) -> None:
    clock = [START_MS]
    with opened(SMALL, lambda: clock[0]) as room:
        room.append(*shopping(500))
        clock[0] += 40 * DAY_MS
        assert retain(room.log, room.store, days=30, dedup_window=20, now_ms=clock[0], least=1) == 0
        Processor(room.log, room.store).fold_all()
        assert retain(room.log, room.store, days=50, dedup_window=20, now_ms=clock[0], least=1) == 0


def test_retention_runs_at_once_and_stops(opened: Opened) -> None:
    clock = [START_MS]
    with opened(SMALL, lambda: clock[0]) as room:
        room.append(*(event(f"i{n}", event_id=str(n), ts=START_MS) for n in range(2_000)))
        Processor(room.log, room.store).fold_all()
        retention = Retention(
            room.log, room.store, days=1, dedup_window=20, now_ms=lambda: START_MS + 2 * DAY_MS
        )
        retention.start()
        retention.stop()
        assert sum(room.log.begins(EVENTS)) == 1_980
        off = Retention(room.log, room.store, days=0, dedup_window=20)
        off.start()
        off.stop()


SHOP = """
import asyncio, pathlib, sys
from shortlist.database import open_database
from shortlist.events.event import Event, EventType, encode
from shortlist.events.log import EVENTS, Record
from shortlist.events.log_rocksdb import RocksLog
from shortlist.features.processor import Processor
from shortlist.features.store_rocksdb import RocksFeatures
from shortlist.features.view import user_view
from shortlist.home import Home
from shortlist.settings import Settings

database = open_database(Home(pathlib.Path(sys.argv[1])))
log = RocksLog(database, {EVENTS: 5})
store = RocksFeatures(database, user_view(Settings()), partitions=5, dedup_window=10_000)
Processor(log, store, batch=7).start()
kinds = list(EventType)

async def client(c):
    n = 0
    while True:
        events = [
            Event(
                event_id=f"{sys.argv[2]}-{c}-{n}-{i}",
                user_id=f"u{(n + i) % 20}",
                item_id=f"i{n * i % 50}",
                type=kinds[(n * 3 + i) % 9],
                ts=1_700_000_000_000 + n * 1000 - i * 977,
                category=f"c{n % 5}",
            )
            for i in range(5)
        ]
        records = [Record(e.user_id, encode(e)) for e in events]
        await log.append(EVENTS, records)
        print(sys.argv[2], c, n, flush=True)
        if n % 3 == 0:
            await log.append(EVENTS, records[:2])  # a client that tries again
        n += 1

async def main():
    await asyncio.gather(*(client(c) for c in range(4)))

asyncio.run(main())
"""


@pytest.mark.slow
def test_kill_nine_while_folding_leaves_nothing_wrong(home: Home, opened: Opened, tmp_path: Path) -> None:
    acknowledged: list[str] = []
    for run, seconds in enumerate((0.11, 0.3, 0.05, 0.22, 0.41, 0.17)):
        child = subprocess.Popen(
            [sys.executable, "-c", SHOP, str(home.path), str(run)], stdout=subprocess.PIPE, text=True
        )
        assert child.stdout is not None
        acknowledged.append(child.stdout.readline())  # it is up
        killer = threading.Timer(seconds, child.send_signal, [signal.SIGKILL])
        killer.start()
        acknowledged += child.stdout.readlines()
        child.wait()
        killer.join()
        child.stdout.close()
    with opened() as room:
        assert verify(room.log, room.store, Settings()).differing == 0  # as the last kill left it
        processor = Processor(room.log, room.store)
        processor.fold_all()
        found = verify(room.log, room.store, Settings())
        assert (found.differing, found.users) == (0, 20)
        whole = [line.split() for line in acknowledged if line.endswith("\n")]
        assert len(whole) > 6
        assert processor.lag() == 0
        in_log = {
            record.value.split(b'"', 4)[3].decode()
            for partition in range(5)
            for record in room.log.read(EVENTS, partition, 0, 10_000_000)
        }
        assert {f"{run}-{c}-{n}-{i}" for run, c, n in whole for i in range(5)} <= in_log
