"""The loop between log and features."""

import threading
from collections.abc import Iterator, Sequence

import pytest
from rocksdict import WriteBatch

from shortlist.database import Database
from shortlist.events.event import Event, EventType, encode
from shortlist.events.log import EVENTS, EventLog, Record
from shortlist.events.partition import partition_of
from shortlist.features.processor import Processor
from shortlist.features.store import Features, FeatureStore, Folded, Step, StoreUnavailable
from shortlist.features.verify import verify
from shortlist.settings import Settings
from tests.features.conftest import PARTITIONS, Opened, Room
from tests.features.made import START_MS, append, event


def many(count: int) -> list[Event]:
    return [event(f"i{n % 7}", user_id=f"u{n % 11}", ts=START_MS + n, event_id=f"e{n}") for n in range(count)]


class Heard:
    """What listeners are told; can be waited for."""

    def __init__(self) -> None:
        self.folded: list[Folded] = []
        self.changed = threading.Condition()

    def __call__(self, folded: Sequence[Folded]) -> None:
        with self.changed:
            self.folded += folded
            self.changed.notify_all()

    def wait_for(self, events: int) -> None:
        with self.changed:
            assert self.changed.wait_for(lambda: sum(len(f.events) for f in self.folded) >= events, 10)


class Counting(Database):
    """A database that counts what is asked of it."""

    scans = 0
    writes = 0

    @classmethod
    def over(cls, database: Database) -> "Counting":
        database.__class__ = cls
        assert isinstance(database, Counting)
        return database

    def write(self, batch: WriteBatch, *, sync: bool = False) -> None:
        self.writes += 1
        super().write(batch, sync=sync)

    def scan(self, family: str, start: bytes, end: bytes) -> Iterator[tuple[bytes, bytes]]:
        self.scans += family == "log"
        return super().scan(family, start, end)


@pytest.fixture
def heard() -> Heard:
    return Heard()


def test_what_is_appended_is_folded_and_told(room: Room, heard: Heard) -> None:
    processor = Processor(room.log, room.store, on_folded=[heard])
    processor.start()
    room.append(*many(50))
    heard.wait_for(50)
    processor.stop()
    assert room.store.read(["u3"], START_MS)[0].interaction_count == 5
    assert processor.lag() == 0
    assert processor.folded == 50


def test_stopping_folds_what_the_log_holds(room: Room) -> None:
    room.append(*many(500))
    processor = Processor(room.log, room.store, batch=10)
    assert processor.lag() == 500
    processor.start()
    processor.stop()
    assert processor.lag() == 0


def test_a_start_goes_on_where_the_store_stands(opened: Opened, heard: Heard) -> None:
    with opened() as room:
        room.append(*many(30))
        assert Processor(room.log, room.store).fold_all() == 30
        room.append(event("later"))
    with opened() as room:
        assert Processor(room.log, room.store, on_folded=[heard]).fold_all() == 1
    assert [e.item_id for folded in heard.folded for e in folded.events] == ["later"]


def test_poison_stops_nobody(room: Room, heard: Heard) -> None:
    room.append_values("u1", [b"{", encode(event("good")), b"[" * 100_000])
    processor = Processor(room.log, room.store, on_folded=[heard])
    processor.fold_all()
    assert (processor.folded, processor.unreadable, processor.lag()) == (1, 2, 0)
    assert room.store.read(["u1"], START_MS)[0].last_5 == ["good"]


def test_a_damaged_record_costs_itself_only(opened: Opened) -> None:
    with opened() as room:
        room.append(*(event(f"i{n}", event_id=str(n)) for n in range(5)))
        entries = room.log._database.families["log"]
        damaged = list(entries.keys())[2]
        entries[damaged] = entries[damaged][:-3]
    with opened() as room:  # nothing is in memory any more
        processor = Processor(room.log, room.store)
        processor.fold_all()
        assert room.store.read(["u1"], START_MS)[0].last_5 == ["i0", "i1", "i3", "i4"]
        assert processor.unreadable == 1
        assert verify(room.log, room.store, Settings()).differing == 0


def test_what_was_appended_just_now_is_folded_from_memory_and_in_one_write(room: Room) -> None:
    room.append(*many(60))
    written = Counting.over(room.log._database)
    processor = Processor(room.log, room.store)
    assert processor.fold_all() == 60
    assert (written.scans, written.writes) == (0, 1)
    assert verify(room.log, room.store, Settings()).differing == 0


@pytest.mark.parametrize("between", [0, 30, 1_500])
def test_records_in_memory_and_on_the_disk_are_folded_alike(room: Room, heard: Heard, between: int) -> None:
    """Some that nobody waited for, which memory does not keep, and more than it keeps."""
    happened = [
        event(f"i{n % 7}", user_id=f"u{n % 11}", ts=START_MS + n, event_id=f"e{n}")
        for n in range(between + 60)
    ]
    room.append(*happened[:30])
    room.log.append_soon(EVENTS, [Record(e.user_id, encode(e)) for e in happened[30 : between + 30]])
    room.append(*happened[between + 30 :])
    processor = Processor(room.log, room.store, on_folded=[heard])
    processor.fold_all()
    assert processor.lag() == 0
    assert sorted(e.event_id for one in heard.folded for e in one.events) == sorted(
        e.event_id for e in happened
    )
    assert verify(room.log, room.store, Settings()).differing == 0


def test_a_partition_that_cannot_be_folded_keeps_no_other_waiting(room: Room, heard: Heard) -> None:
    bad = next(e for e in many(50) if partition_of(e.user_id, PARTITIONS) == 0)
    stumbling = Stumbling(room.store, refused=0)
    processor = Processor(room.log, stumbling, on_folded=[heard])
    rest = [e for e in many(50) if partition_of(e.user_id, PARTITIONS)]
    room.append(bad, *rest)
    processor.start()
    heard.wait_for(len(rest))
    assert processor.lag() == 1
    stumbling.refused = None
    heard.wait_for(len(rest) + 1)
    processor.stop()
    assert processor.lag() == 0


def test_a_listener_that_fails_is_not_the_end(room: Room, heard: Heard) -> None:
    def fails(folded: Sequence[Folded]) -> None:
        raise RuntimeError("on purpose")

    processor = Processor(room.log, room.store, on_folded=[fails, heard])
    room.append(*many(20))
    processor.fold_all()
    assert sum(len(folded.events) for folded in heard.folded) == 20
    assert processor.failures > 0


def test_when_another_owner_folded_first_it_goes_on_from_there(room: Room) -> None:
    room.append(event("i1"))
    slow = Processor(room.log, room.store)
    Processor(room.log, room.store).fold_all()
    slow.fold_all()
    assert room.store.read(["u1"], START_MS)[0].interaction_count == 1
    assert slow.lag() == 0


def test_events_that_are_gone_unfolded_are_passed_over(room: Room) -> None:
    room.append(*(event(f"i{n}", event_id=str(n)) for n in range(5)))
    processor = Processor(room.log, room.store)
    room.log.truncate(EVENTS, partition_of("u1", PARTITIONS), 3)
    processor.fold_all()
    assert room.store.read(["u1"], START_MS)[0].last_5 == ["i3", "i4"]


class Stumbling(FeatureStore):
    """A store that does not answer the first few times, and cannot bear one item."""

    def __init__(
        self, store: FeatureStore, *, silent: int = 0, unbearable: str = "", refused: int | None = None
    ) -> None:
        """refused: a partition that does not answer."""
        self.store, self.silent, self.unbearable, self.refused = store, silent, unbearable, refused

    def fold_together(self, steps: Sequence[Step]) -> list[Folded]:
        if self.silent:
            self.silent -= 1
            raise StoreUnavailable("on purpose")
        if any(step.partition == self.refused for step in steps):
            raise StoreUnavailable("on purpose")
        values = [record.value for step in steps for record in step.batch]
        if any(self.unbearable and self.unbearable.encode() in value for value in values):
            raise OverflowError("on purpose")
        return self.store.fold_together(steps)

    def offset(self, partition: int) -> int:
        return self.store.offset(partition)

    def read(self, user_ids: Sequence[str], now_ms: int) -> list[Features]:
        return self.store.read(user_ids, now_ms)

    def delete(self, user_id: str) -> None:
        self.store.delete(user_id)

    def users(self, partition: int) -> Iterator[tuple[str, Features]]:
        return self.store.users(partition)

    def forgotten(self, partition: int) -> dict[str, int]:
        return self.store.forgotten(partition)

    def checkpoint(self, partition: int) -> int:
        return self.store.checkpoint(partition)

    def agree(self) -> None:
        self.store.agree()

    def restart(self, events: EventLog) -> list[int]:
        return self.store.restart(events)

    def checkpointed(self, partition: int) -> tuple[int, Iterator[tuple[str, Features]]]:
        return self.store.checkpointed(partition)


def test_a_store_that_does_not_answer_is_asked_again(room: Room, heard: Heard) -> None:
    processor = Processor(room.log, Stumbling(room.store, silent=1), on_folded=[heard])
    room.append(event("i1"))
    processor.start()
    heard.wait_for(1)
    processor.stop()
    assert processor.failures == 1
    assert room.store.read(["u1"], START_MS)[0].last_5 == ["i1"]


def test_a_record_that_breaks_the_fold_is_found_and_passed_over_alone(room: Room) -> None:
    room.append(*(event(f"i{n}", event_id=str(n)) for n in range(5)))
    processor = Processor(room.log, Stumbling(room.store, unbearable='"i3"'))
    processor.fold_all()
    assert room.store.read(["u1"], START_MS)[0].last_5 == ["i0", "i1", "i2", "i4"]
    assert processor.lag() == 0


def test_reading_beside_folding_never_sees_half_a_state(room: Room) -> None:
    """Purchases are stored apart from counts; a reader sees both of one moment."""
    happened = [event(f"i{n}", type=EventType.PURCHASE, ts=START_MS + n, event_id=str(n)) for n in range(600)]
    append(room.log, EVENTS, [Record(e.user_id, encode(e)) for e in happened])
    processor = Processor(room.log, room.store, batch=3)
    torn: list[Features] = []
    done = threading.Event()

    def look() -> None:
        while not done.is_set():
            [features] = room.store.read(["u1"], START_MS)
            if not (len(features.purchased) == features.interaction_count == features.version):
                torn.append(features)
            if len(features.history) != min(200, features.interaction_count):
                torn.append(features)

    readers = [threading.Thread(target=look) for _ in range(2)]
    for reader in readers:
        reader.start()
    processor.fold_all()
    done.set()
    for reader in readers:
        reader.join()
    assert torn == []
