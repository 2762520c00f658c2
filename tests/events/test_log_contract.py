"""What every event log must do. New adapters are found by their file's name: events/log_<engine>.py."""

import asyncio
import importlib
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import shortlist.events
from shortlist.events.log import EVENTS, SERVED, EventLog, EventLogError, OffsetGone, Record
from shortlist.events.partition import partition_of
from shortlist.home import Home

PARTITIONS = 7
TOPICS = {EVENTS: PARTITIONS, SERVED: 3}
Clock = Callable[[], int]
Opener = Callable[[Path, Clock], AbstractContextManager[EventLog]]


@contextmanager
def rocksdb(folder: Path, now_ms: Clock) -> Iterator[EventLog]:
    from shortlist.database import open_database
    from shortlist.events.log_rocksdb import RocksLog

    database = open_database(Home(folder))
    log = RocksLog(database, TOPICS, now_ms=now_ms)
    try:
        yield log
    finally:
        log.close()
        database.close()


OPENERS: dict[str, Opener] = {"rocksdb": rocksdb}


def adapters() -> list[str]:
    """Every log_<engine> module of the room."""
    folder = Path(next(iter(shortlist.events.__path__)))
    return sorted(file.stem.removeprefix("log_") for file in folder.glob("log_*.py"))


@pytest.fixture(params=adapters())
def opener(request: pytest.FixtureRequest) -> Opener:
    return OPENERS[request.param]


@pytest.fixture
def log(opener: Opener, tmp_path: Path) -> Iterator[EventLog]:
    with opener(tmp_path, lambda: 1_700_000_000_000) as opened:
        yield opened


def append(log: EventLog, records: Sequence[Record], topic: str = EVENTS) -> list[tuple[int, int]]:
    return asyncio.run(log.append(topic, records))


def everything(log: EventLog, topic: str = EVENTS) -> list[list[bytes]]:
    return [
        [stored.value for stored in log.read(topic, partition, log.begins(topic)[partition], 10_000)]
        for partition in range(log.partitions(topic))
    ]


def flat(parts: list[list[bytes]]) -> list[bytes]:
    return [value for part in parts for value in part]


def test_every_adapter_subclasses_the_port_and_is_tested_here() -> None:
    for engine in adapters():
        module = importlib.import_module(f"shortlist.events.log_{engine}")
        kinds: list[Any] = [k for k in vars(module).values() if isinstance(k, type)]
        assert any(issubclass(k, EventLog) and k.__module__ == module.__name__ for k in kinds)
        assert engine in OPENERS


def test_a_new_log_is_empty(log: EventLog) -> None:
    assert log.begins(EVENTS) == log.ends(EVENTS) == [0] * PARTITIONS
    assert log.read(EVENTS, 0, 0, 10) == []


def test_a_record_comes_back_from_where_append_said(log: EventLog) -> None:
    [(partition, offset)] = append(log, [Record("u1", b'{"a":1}')])
    [stored] = log.read(EVENTS, partition, offset, 10)
    assert (stored.partition, stored.offset, stored.value) == (partition, offset, b'{"a":1}')
    assert stored.appended_ms == 1_700_000_000_000


def test_the_key_chooses_the_partition_by_murmur2(log: EventLog) -> None:
    keys = [f"user-{n}" for n in range(50)]
    placed = append(log, [Record(key, b"{}") for key in keys])
    assert [partition for partition, _ in placed] == [partition_of(key, PARTITIONS) for key in keys]


def test_nothing_appended_is_nothing(log: EventLog) -> None:
    assert append(log, []) == []


def test_a_key_keeps_its_order(log: EventLog) -> None:
    append(log, [Record("u", str(n).encode()) for n in range(100)])
    append(log, [Record("u", str(n).encode()) for n in range(100, 120)])
    values = everything(log)[partition_of("u", PARTITIONS)]
    assert values == [str(n).encode() for n in range(120)]


def test_topics_are_apart(log: EventLog) -> None:
    append(log, [Record("u", b"event")])
    append(log, [Record("u", b"served")], SERVED)
    assert flat(everything(log)) == [b"event"]
    assert flat(everything(log, SERVED)) == [b"served"]
    assert (log.partitions(EVENTS), log.partitions(SERVED)) == (PARTITIONS, 3)


def test_an_unknown_topic_is_named(log: EventLog) -> None:
    with pytest.raises(EventLogError, match=r"no\.such"):
        log.ends("no.such")


def test_reading_stops_at_the_limit_and_at_the_end(log: EventLog) -> None:
    [(partition, first), *_] = append(log, [Record("u", str(n).encode()) for n in range(5)])
    assert [s.value for s in log.read(EVENTS, partition, first + 1, 2)] == [b"1", b"2"]
    assert [s.value for s in log.read(EVENTS, partition, first + 3, 100)] == [b"3", b"4"]
    assert log.read(EVENTS, partition, first + 5, 100) == []
    assert log.read(EVENTS, partition, first + 500, 100) == []


def test_what_is_recent_is_what_reading_gives(log: EventLog) -> None:
    append(log, [Record(f"u{n}", f"{n}".encode()) for n in range(30)])
    before = log.ends(EVENTS)
    assert log.recent(EVENTS, before) == {}
    log.append_soon(EVENTS, [Record(f"u{n}", b"soon") for n in range(5)])
    for n in range(20):
        append(log, [Record(f"u{n}", f"more {n}".encode()), Record("u", b"x")])
    for back in range(9):
        offsets = [max(0, end - back) for end in before]
        for partition, found in log.recent(EVENTS, offsets).items():
            assert found == log.read(EVENTS, partition, offsets[partition], len(found))
            assert found
    assert log.recent(SERVED, [0] * log.partitions(SERVED)) == {}
    assert log.recent(EVENTS, log.ends(EVENTS)) == {}


def test_what_is_truncated_is_recent_no_more(log: EventLog) -> None:
    [(partition, _), *_] = append(log, [Record("u", str(n).encode()) for n in range(10)])
    log.truncate(EVENTS, partition, 4)
    assert partition not in log.recent(EVENTS, [0] * PARTITIONS)


def test_neighbouring_partitions_do_not_leak_into_each_other(log: EventLog) -> None:
    append(log, [Record(f"u{n}", f"u{n}".encode()) for n in range(100)])
    for partition, values in enumerate(everything(log)):
        assert {partition_of(value.decode(), PARTITIONS) for value in values} <= {partition}


def test_ends_are_one_past_the_last_record(log: EventLog) -> None:
    placed = append(log, [Record(f"u{n}", b"x") for n in range(20)])
    for partition, end in enumerate(log.ends(EVENTS)):
        assert end == max((offset + 1 for p, offset in placed if p == partition), default=0)


def test_append_soon_arrives_without_anybody_waiting(log: EventLog) -> None:
    before = log.ends(SERVED)
    log.append_soon(SERVED, [Record("u", b"slate")])
    after = log.wait(SERVED, before, 10.0)
    assert sum(after) == sum(before) + 1
    assert flat(everything(log, SERVED)) == [b"slate"]


def test_append_soon_keeps_its_place_before_a_later_append(log: EventLog) -> None:
    log.append_soon(EVENTS, [Record("u", b"first")])
    append(log, [Record("u", b"second")])
    assert flat(everything(log)) == [b"first", b"second"]


def test_waiting_ends_when_something_comes(log: EventLog) -> None:
    ends = log.ends(EVENTS)
    found: list[list[int]] = []
    waiter = threading.Thread(target=lambda: found.append(log.wait(EVENTS, ends, 30.0)))
    waiter.start()
    append(log, [Record("u", b"x")])
    waiter.join(10.0)
    assert found == [log.ends(EVENTS)]
    assert found[0] != ends


def test_waiting_ends_when_the_time_is_up(log: EventLog) -> None:
    ends = log.ends(EVENTS)
    assert log.wait(EVENTS, ends, 0.01) == ends


def test_waiting_returns_at_once_when_something_is_there_already(log: EventLog) -> None:
    ends = log.ends(EVENTS)
    append(log, [Record("u", b"x")])
    assert log.wait(EVENTS, ends, 60.0) == log.ends(EVENTS)


def test_consumer_groups_remember_their_offsets_apart(log: EventLog) -> None:
    assert log.committed("history", EVENTS) == {}
    log.commit("history", EVENTS, {0: 5, PARTITIONS - 1: 7})
    log.commit("history", EVENTS, {0: 6})
    log.commit("history-2", EVENTS, {1: 9})
    log.commit("history", SERVED, {2: 1})
    assert log.committed("history", EVENTS) == {0: 6, PARTITIONS - 1: 7}
    assert log.committed("history-2", EVENTS) == {1: 9}
    assert log.committed("history", SERVED) == {2: 1}
    assert log.committed("histor", EVENTS) == {}


def test_what_is_truncated_is_gone_and_said_so(log: EventLog) -> None:
    [(partition, _), *_] = append(log, [Record("u", str(n).encode()) for n in range(10)])
    log.truncate(EVENTS, partition, 4)
    assert log.begins(EVENTS)[partition] == 4
    assert [s.offset for s in log.read(EVENTS, partition, 4, 100)] == list(range(4, 10))
    with pytest.raises(OffsetGone) as gone:
        log.read(EVENTS, partition, 3, 1)
    assert gone.value.begin == 4


def test_truncating_everything_keeps_the_count_of_offsets(opener: Opener, tmp_path: Path) -> None:
    with opener(tmp_path, lambda: 1) as log:
        [(partition, _), *_] = append(log, [Record("u", b"x")] * 5)
        log.truncate(EVENTS, partition, 1_000)
        assert log.begins(EVENTS)[partition] == log.ends(EVENTS)[partition] == 5
    with opener(tmp_path, lambda: 1) as log:
        assert append(log, [Record("u", b"y")]) == [(partition, 5)]


def test_everything_is_there_after_opening_again(opener: Opener, tmp_path: Path) -> None:
    with opener(tmp_path, lambda: 5) as log:
        append(log, [Record(f"u{n}", f"{n}".encode()) for n in range(100)])
        log.append_soon(EVENTS, [Record("u", b"on the way out")])
        log.commit("g", EVENTS, {1: 1})
        log.truncate(EVENTS, 0, 2)
    with opener(tmp_path, lambda: 6) as again:
        values = flat(everything(again))
        assert b"on the way out" in values
        assert len(values) == 101 - 2
        assert again.begins(EVENTS)[0] == 2
        assert again.committed("g", EVENTS) == {1: 1}


def test_concurrent_appends_each_get_their_own_offsets(log: EventLog) -> None:
    async def many() -> list[list[tuple[int, int]]]:
        return await asyncio.gather(
            *(
                log.append(EVENTS, [Record(f"u{n % 5}", f"{n}-{i}".encode()) for i in range(3)])
                for n in range(200)
            )
        )

    placed = asyncio.run(many())
    every = [place for places in placed for place in places]
    assert len(set(every)) == len(every) == 600
    for n, places in enumerate(placed):
        for i, (partition, offset) in enumerate(places):
            assert log.read(EVENTS, partition, offset, 1)[0].value == f"{n}-{i}".encode()


def test_a_waiter_that_leaves_costs_nobody_anything(log: EventLog) -> None:
    async def leave() -> None:
        leaving = asyncio.ensure_future(log.append(EVENTS, [Record("u", b"left")]))
        await asyncio.sleep(0)
        leaving.cancel()
        await log.append(EVENTS, [Record("u", b"stayed")])

    asyncio.run(leave())
    assert flat(everything(log))[-1] == b"stayed"


@settings(max_examples=25, deadline=None)
@given(values=st.lists(st.binary(max_size=3_000), max_size=20), key=st.text(min_size=1, max_size=40))
def test_any_bytes_come_back_as_they_were(
    tmp_path_factory: pytest.TempPathFactory, values: list[bytes], key: str
) -> None:
    for open_log in OPENERS.values():
        with open_log(tmp_path_factory.mktemp("log"), lambda: 0) as log:
            append(log, [Record(key, value) for value in values])
            assert everything(log)[partition_of(key, PARTITIONS)] == values
