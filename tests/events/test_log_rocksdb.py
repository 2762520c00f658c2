"""What the embedded log promises beyond the port: fsync before the answer, detection of damage, readers."""

import asyncio
import signal
import subprocess
import sys
import threading
import time
from typing import Any

import pytest

from shortlist.database import (
    Database,
    DatabaseError,
    DatabaseMissing,
    DatabaseOwned,
    SyncFailed,
    open_database,
    open_reader,
)
from shortlist.events.log import EVENTS, SERVED, LogOwned, LogUnavailable, Record, RecordCorrupt
from shortlist.events.log_rocksdb import RocksLog
from shortlist.home import Home


class Gated(Database):
    """A database whose disk can be made to wait, or to fail."""

    gate: threading.Event
    refuses: str = ""
    forgets: str = ""

    @classmethod
    def over(cls, database: Database) -> "Gated":
        database.__class__ = cls
        assert isinstance(database, Gated)
        database.gate = threading.Event()
        database.gate.set()
        return database

    def write(self, batch: Any, *, sync: bool = False) -> None:
        if self.refuses:
            raise DatabaseError(self.refuses)
        super().write(batch, sync=sync)

    def sync(self) -> None:
        assert self.gate.wait(30)
        if self.forgets:
            raise SyncFailed(self.forgets)
        super().sync()


def test_no_append_resolves_before_its_fsync(database: Database) -> None:
    gated = Gated.over(database)
    log = RocksLog(gated, {EVENTS: 4})

    async def scenario() -> None:
        gated.gate.clear()
        waiting = [asyncio.ensure_future(log.append(EVENTS, [Record(f"u{n}", b"x")])) for n in range(20)]
        done, _ = await asyncio.wait(waiting, timeout=0.2)
        assert not done
        assert sum(log.ends(EVENTS)) == 0
        gated.gate.set()
        await asyncio.wait_for(asyncio.gather(*waiting), 10)
        assert sum(log.ends(EVENTS)) == 20

    asyncio.run(scenario())
    log.close()


def test_appends_that_wait_together_share_an_fsync(database: Database) -> None:
    gated = Gated.over(database)
    log = RocksLog(gated, {EVENTS: 4})

    async def scenario() -> None:
        gated.gate.clear()
        waiting = [asyncio.ensure_future(log.append(EVENTS, [Record(f"u{n}", b"x")])) for n in range(500)]
        await asyncio.sleep(0)
        gated.gate.set()
        await asyncio.gather(*waiting)

    asyncio.run(scenario())
    log.close()
    assert log.synced <= 3


def test_a_full_queue_refuses_and_loses_nothing_it_accepted(database: Database) -> None:
    gated = Gated.over(database)
    log = RocksLog(gated, {EVENTS: 4}, max_waiting=10)

    async def scenario() -> int:
        gated.gate.clear()
        accepted = [asyncio.ensure_future(log.append(EVENTS, [Record("u", b"x")] * 5)) for _ in range(2)]
        await asyncio.sleep(0)
        with pytest.raises(LogUnavailable, match="send again"):
            await log.append(EVENTS, [Record("u", b"x")])
        log.append_soon(EVENTS, [Record("u", b"soon")])
        gated.gate.set()
        await asyncio.gather(*accepted)
        return len(await log.append(EVENTS, [Record("u", b"x")] * 50))

    assert asyncio.run(scenario()) == 50  # more than the queue holds, when nothing else waits
    log.close()
    assert log.dropped == 1
    assert sum(log.ends(EVENTS)) == 60


def test_a_disk_that_refuses_is_an_error_and_no_record(database: Database) -> None:
    gated = Gated.over(database)
    log = RocksLog(gated, {EVENTS: 4})
    gated.refuses = "No space left on device"
    with pytest.raises(LogUnavailable, match="No space left"):
        asyncio.run(log.append(EVENTS, [Record("u", b"x")]))
    assert sum(log.ends(EVENTS)) == 0
    gated.refuses = ""
    assert len(asyncio.run(log.append(EVENTS, [Record("u", b"x")]))) == 1
    log.close()


def test_a_disk_that_does_not_confirm_ends_all_accepting(database: Database) -> None:
    """A second fsync may succeed without the first one's data: only starting anew tells what is there."""
    gated = Gated.over(database)
    log = RocksLog(gated, {EVENTS: 4})
    gated.forgets = "Input/output error"
    with pytest.raises(LogUnavailable, match="Input/output error"):
        asyncio.run(log.append(EVENTS, [Record("u", b"x")]))
    assert sum(log.ends(EVENTS)) == 0
    gated.forgets = ""
    with pytest.raises(LogUnavailable, match="started anew"):
        asyncio.run(log.append(EVENTS, [Record("u", b"x")]))
    log.close()


def test_a_closed_log_says_so(database: Database) -> None:
    log = RocksLog(database, {EVENTS: 4})
    log.close()
    with pytest.raises(LogUnavailable, match="closing"):
        asyncio.run(log.append(EVENTS, [Record("u", b"x")]))


def test_the_number_of_partitions_is_fixed_once_made(database: Database) -> None:
    RocksLog(database, {EVENTS: 4}).close()
    log = RocksLog(database, {EVENTS: 8})
    assert log.partitions(EVENTS) == 4
    log.close()


@pytest.mark.parametrize("at", [0, 3, 4, 11, 12, 20])
def test_a_flipped_bit_anywhere_in_a_record_is_detected(database: Database, at: int) -> None:
    log = RocksLog(database, {EVENTS: 1})
    asyncio.run(
        log.append(EVENTS, [Record("u", b'{"good":1}'), Record("u", b'{"bad":2}'), Record("u", b"{}")])
    )
    entries = database.families["log"]
    key = list(entries.keys())[1]
    value = bytearray(entries[key])
    value[at] ^= 0x40
    entries[key] = bytes(value)
    assert [stored.offset for stored in log.read(EVENTS, 0, 0, 10)] == [0]
    with pytest.raises(RecordCorrupt) as corrupt:
        log.read(EVENTS, 0, 1, 10)
    assert corrupt.value.offset == 1
    assert [stored.offset for stored in log.read(EVENTS, 0, 2, 10)] == [2]
    log.close()


def test_a_record_in_anothers_place_and_a_missing_one_are_detected(database: Database) -> None:
    log = RocksLog(database, {EVENTS: 1})
    asyncio.run(log.append(EVENTS, [Record("u", b"0"), Record("u", b"1"), Record("u", b"2")]))
    entries = database.families["log"]
    first, second, third = list(entries.keys())
    entries[second] = entries[first]
    with pytest.raises(RecordCorrupt, match="checksum"):
        log.read(EVENTS, 0, 1, 1)
    del entries[third]
    with pytest.raises(RecordCorrupt, match="missing"):
        log.read(EVENTS, 0, 2, 1)
    log.close()


@pytest.mark.parametrize("where", [0.05, 0.5, 0.9])
def test_a_flipped_byte_in_the_write_ahead_log_never_goes_unnoticed(home: Home, where: float) -> None:
    """Records are either all there and right, or opening says what is wrong: never fewer, in silence."""
    child = "\n".join(
        [
            "import asyncio, os, pathlib, sys",
            "from shortlist.database import open_database",
            "from shortlist.events.log import EVENTS, Record",
            "from shortlist.events.log_rocksdb import RocksLog",
            "from shortlist.home import Home",
            "log = RocksLog(open_database(Home(pathlib.Path(sys.argv[1]))), {EVENTS: 1})",
            "for n in range(50):",
            "    asyncio.run(log.append(EVENTS, [Record('u', b'%04d' % n * 50)]))",
            "os.kill(os.getpid(), 9)",  # nothing is flushed: the records are in the write-ahead log
        ]
    )
    subprocess.run([sys.executable, "-c", child, str(home.path)], check=False)
    wal = max(home.database.glob("*.log"), key=lambda file: file.stat().st_size)
    data = bytearray(wal.read_bytes())
    data[int(len(data) * where)] ^= 0x01
    wal.write_bytes(data)
    try:
        database = open_database(home)
    except DatabaseError:
        return
    log = RocksLog(database, {EVENTS: 1})
    try:
        values = [stored.value for stored in log.read(EVENTS, 0, 0, 100)]
        assert values == [b"%04d" % n * 50 for n in range(50)]
    finally:
        log.close()
        database.close()


def test_a_second_owner_is_told_who_the_first_is(database: Database, home: Home) -> None:
    home.server.write_text('{"pid": 4711, "url": "http://127.0.0.1:8000"}')
    with pytest.raises(DatabaseOwned, match=r"http://127.0.0.1:8000 \(pid 4711\)"):
        open_database(home)
    home.server.unlink()
    with pytest.raises(DatabaseOwned, match="another process"):
        open_database(home)


def test_a_reader_needs_a_database(home: Home) -> None:
    with pytest.raises(DatabaseMissing, match="shortlist import"):
        open_reader(home)


def test_a_reader_sees_what_the_owner_appends(database: Database, home: Home) -> None:
    log = RocksLog(database, {EVENTS: 4})
    asyncio.run(log.append(EVENTS, [Record("u", b"1")]))
    reader = open_reader(home)
    seen = RocksLog(reader, {})
    ends = seen.ends(EVENTS)
    assert ends == log.ends(EVENTS)
    asyncio.run(log.append(EVENTS, [Record("u", b"2")]))
    database.flush()
    asyncio.run(log.append(EVENTS, [Record("u", b"3")]))
    assert seen.wait(EVENTS, ends, 10.0) == log.ends(EVENTS)
    [partition] = [p for p, end in enumerate(log.ends(EVENTS)) if end]
    assert [stored.value for stored in seen.read(EVENTS, partition, 0, 10)] == [b"1", b"2", b"3"]
    with pytest.raises(LogOwned):
        asyncio.run(seen.append(EVENTS, [Record("u", b"4")]))
    with pytest.raises(LogOwned):
        seen.truncate(EVENTS, partition, 1)
    seen.close()
    reader.close()
    log.close()


def test_a_reader_works_without_an_owner_and_leaves_nothing_behind(home: Home) -> None:
    database = open_database(home)
    log = RocksLog(database, {EVENTS: 4})
    asyncio.run(log.append(EVENTS, [Record("u", b"1")]))
    log.close()
    database.close()
    before = sorted(file.name for file in home.database.iterdir())
    reader = open_reader(home)
    assert sum(RocksLog(reader, {}).ends(EVENTS)) == 1
    reader.close()
    assert sorted(file.name for file in home.database.iterdir()) == before


WRITER = """
import asyncio, pathlib, sys
from shortlist.database import open_database
from shortlist.events.log import EVENTS, Record
from shortlist.events.log_rocksdb import RocksLog
from shortlist.home import Home

log = RocksLog(open_database(Home(pathlib.Path(sys.argv[1]))), {EVENTS: 4})

async def client(name):
    n = 0
    while True:
        await log.append(EVENTS, [Record(name, f"{sys.argv[2]} {name} {n} {i}".encode()) for i in range(3)])
        print(sys.argv[2], name, n, flush=True)  # the acknowledgement
        n += 1

async def main():
    await asyncio.gather(*(client(f"u{c}") for c in range(8)))

asyncio.run(main())
"""


@pytest.mark.slow
def test_no_acknowledged_record_is_lost_by_kill_nine(home: Home) -> None:
    acknowledged: list[str] = []
    for run, seconds in enumerate((0.05, 0.21, 0.34, 0.13, 0.4)):
        child = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(home.path), str(run)], stdout=subprocess.PIPE, text=True
        )
        assert child.stdout is not None
        acknowledged.append(child.stdout.readline())  # it is up
        killer = threading.Timer(seconds, child.send_signal, [signal.SIGKILL])
        killer.start()
        acknowledged += child.stdout.readlines()
        child.wait()
        killer.join()
        child.stdout.close()
    started = time.perf_counter()
    database = open_database(home)
    log = RocksLog(database, {EVENTS: 4})
    assert time.perf_counter() - started < 1.0
    values = {
        stored.value.decode()
        for partition in range(4)
        for stored in log.read(EVENTS, partition, 0, 1_000_000)
    }
    log.close()
    database.close()
    whole = [line.strip() for line in acknowledged if line.endswith("\n")]
    assert len(whole) > 5
    assert all(f"{line} {i}" in values for line in whole for i in range(3))


def test_the_last_records_that_somebody_waited_for_stay_in_memory(database: Database) -> None:
    log = RocksLog(database, {EVENTS: 4, SERVED: 2})
    for n in range(30):
        asyncio.run(log.append(EVENTS, [Record(f"u{k}", f"{n}".encode()) for k in range(100)]))
    ends = log.ends(EVENTS)
    assert log.recent(EVENTS, [0] * 4) == {}  # too far back: there is more than memory holds
    back = [end - 5 for end in ends]
    assert log.recent(EVENTS, back) == {p: log.read(EVENTS, p, back[p], 10) for p in range(4)}
    log.append_soon(SERVED, [Record("u", b"slate")])
    log.wait(SERVED, [0, 0], 10.0)
    assert log.recent(SERVED, [0, 0]) == {}
    asyncio.run(log.append(EVENTS, [Record("u", b"x")] * 5_000))
    assert log.recent(EVENTS, ends) == {}  # as much at once is read from the disk as fast
    log.close()


def test_records_are_recent_only_once_they_are_durable(database: Database) -> None:
    gated = Gated.over(database)
    log = RocksLog(gated, {EVENTS: 4})

    async def scenario() -> None:
        gated.gate.clear()
        waiting = asyncio.ensure_future(log.append(EVENTS, [Record("u", b"x")]))
        await asyncio.wait([waiting], timeout=0.1)
        assert log.recent(EVENTS, [0] * 4) == {}
        gated.gate.set()
        await waiting
        assert sum(map(len, log.recent(EVENTS, [0] * 4).values())) == 1

    asyncio.run(scenario())
    log.close()
