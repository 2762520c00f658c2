"""The event log in the embedded database: one writer thread, one fsync for all that wait."""

import asyncio
import contextlib
import struct
import threading
import time
import zlib
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import structlog
from rocksdict import WriteBatch

from shortlist.database import Database, SyncFailed
from shortlist.events.log import (
    EventLog,
    EventLogError,
    LogOwned,
    LogUnavailable,
    OffsetGone,
    Record,
    RecordCorrupt,
    Stored,
)
from shortlist.events.partition import partition_of
from shortlist.ops import telemetry

log = structlog.get_logger()

# Key: topic number, partition, offset; big-endian, so that the order of keys is the order of the log.
_KEY = struct.Struct(">BHQ")
_END_OF_PARTITION = (1 << 64) - 1
# Value: checksum, append time, then the record. The checksum covers the key too: a record found in another
# one's place is as wrong as a flipped bit.
_HEADER = struct.Struct(">IQ")
_STAMP = struct.Struct(">Q")
_TOPIC = struct.Struct(">BH")
_OFFSET = struct.Struct(">Q")

# Records per write batch, unless one append has more. The write itself holds the GIL, about 1 µs per record,
# so this is half a millisecond of the event loop; the fsync that follows does not.
BATCH_RECORDS = 512
# Records per topic that stay in memory for whoever is close behind: those of the last fraction of a second,
# at about 400 bytes each. A scan per partition costs as much as the folding of the one record it finds.
RECENT = 1_000
# Records that nobody waits for ride along with the next batch, or go after this long; after the longer time
# where there were none before. All that 50 ms of hits bring, in one write, held the GIL for 1.4 ms.
SOON_S, IDLE_S = 0.02, 0.05
# A reader has nobody to wake it; it looks this often.
POLL_S = 0.02


@dataclass(slots=True)
class _Topic:
    name: str
    number: int
    partitions: int
    begins: list[int]
    ends: list[int]  # of what is durable; replaced by the writer thread, never changed in place
    recent: deque["_Placed"] = field(default_factory=deque)  # durable, oldest first
    recents: int = 0  # records in `recent`


class _Placed(NamedTuple):
    """Records that went in together, and where each is."""

    appended_ms: int
    records: Sequence[Record]
    places: list[tuple[int, int]]


@dataclass(slots=True)
class _Waiting:
    topic: _Topic
    records: Sequence[Record]
    loop: asyncio.AbstractEventLoop | None
    future: asyncio.Future[list[tuple[int, int]]] | None


class RocksLog(EventLog):
    """Offsets have no gaps. Reading from other processes lags the owner by a poll; only the owner appends."""

    def __init__(
        self,
        database: Database,
        topics: Mapping[str, int],
        *,
        max_waiting: int = 50_000,
        now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        """topics: name → partitions, for topics made now; one that exists keeps the number it has."""
        self._database = database
        self._entries = database.families["log"]
        self._meta = database.families["meta"]
        self._max_waiting = max_waiting
        self._now_ms = now_ms
        self._lock = threading.Lock()
        self._work = threading.Condition(self._lock)
        self._queue: deque[_Waiting] = deque()
        self._waiting = 0
        self._is_urgent = False
        self._is_closing = False
        self.failure = None  # why nothing is taken any more, until the process starts anew
        self.dropped = 0  # records of append_soon that found the queue full
        self.appended = 0
        self.synced = 0  # batches made durable
        self._topics = self._open_topics(topics)
        # One each: who waits for events is not woken fifty times a second by slates that were served.
        self._moved = {topic.number: threading.Condition(self._lock) for topic in self._topics.values()}
        self._writer: threading.Thread | None = None
        if not database.is_reader:
            self._writer = threading.Thread(target=self._write_forever, name="log-writer", daemon=True)
            self._writer.start()

    # --- appending -------------------------------------------------------------------------------------

    async def append(self, topic: str, records: Sequence[Record]) -> list[tuple[int, int]]:
        """See the port. A batch larger than the queue is taken when nothing else waits."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[list[tuple[int, int]]] = loop.create_future()
        if not records:
            return []
        waiting = _Waiting(self._topic(topic), records, loop, future)
        with self._lock:
            self._refuse_if_not_mine()
            if self._waiting and self._waiting + len(records) > self._max_waiting:
                raise LogUnavailable(
                    f"{topic}: {self._waiting} records wait for the disk already (log.max_waiting_events "
                    f"is {self._max_waiting}); nothing was accepted, send again in a moment"
                )
            self._put(waiting, urgent=True)
        return await future

    def append_soon(self, topic: str, records: Sequence[Record]) -> None:
        """See the port."""
        waiting = _Waiting(self._topic(topic), records, None, None)
        with self._lock:
            if self._is_closing or self._writer is None or self._waiting + len(records) > self._max_waiting:
                self.dropped += len(records)
                telemetry.SERVED_DROPPED.inc(len(records))
                return
            self._put(waiting, urgent=False)

    def _put(self, waiting: _Waiting, *, urgent: bool) -> None:
        self._queue.append(waiting)
        self._waiting += len(waiting.records)
        # The writer is woken only for those who wait: a notify costs a hit 10 µs, an append 1 µs.
        if urgent and not self._is_urgent:
            self._is_urgent = True
            self._work.notify()

    def _refuse_if_not_mine(self) -> None:
        if self._writer is None:
            raise LogOwned(f"{self._database.path} is open for reading; its owner appends")
        if self._is_closing:
            raise LogUnavailable(f"{self._database.path} is closing; nothing was accepted, send again")
        if self.failure is not None:
            raise LogUnavailable(f"{self.failure}; nothing is accepted until the server is started anew")

    def _write_forever(self) -> None:
        batch: list[_Waiting] = []
        while True:
            with self._lock:
                if not self._is_urgent and not self._is_closing:
                    self._work.wait(SOON_S if batch else IDLE_S)
                batch = self._take()
                if not batch:
                    if self._is_closing:
                        return
                    continue
            self._write(batch)

    def _take(self) -> list[_Waiting]:
        taken: list[_Waiting] = []
        count = 0
        while self._queue and (not taken or count + len(self._queue[0].records) <= BATCH_RECORDS):
            taken.append(self._queue.popleft())
            count += len(taken[-1].records)
        self._is_urgent = bool(self._queue)
        return taken

    def _write(self, waiting: list[_Waiting]) -> None:
        """One batch, one fsync if anybody waits for it; then they are told."""
        ends = {job.topic.number: list(job.topic.ends) for job in waiting}
        placed: list[list[tuple[int, int]]] = [[] for _ in waiting]
        error: Exception | None = None
        try:
            batch = WriteBatch(raw_mode=True)
            handle = self._database.handles["log"]
            now_ms = self._now_ms()
            now = _STAMP.pack(now_ms)
            placed = [self._place(batch, handle, job, ends[job.topic.number], now) for job in waiting]
            self._database.write(batch)
            if any(job.future is not None for job in waiting):
                self._database.sync()
        except Exception as failed:  # whatever it was, those who wait must hear of it
            error = failed
            # Written, perhaps not on the disk: going on would number other records alike.
            if isinstance(failed, SyncFailed):
                self.failure = str(failed)
            log.exception("log write failed", records=sum(len(job.records) for job in waiting))
        with self._lock:
            records = sum(len(job.records) for job in waiting)
            self._waiting -= records
            if error is None:
                for job, places in zip(waiting, placed, strict=True):
                    job.topic.ends = ends[job.topic.number]
                    if job.future is not None:  # what nobody waits for is in no hurry to be read, and large
                        _remember(job.topic, _Placed(now_ms, job.records, places))
                self.appended += records
                self.synced += 1
                for number in ends:
                    self._moved[number].notify_all()
            telemetry.LOG_QUEUE.set(self._waiting)
        telemetry.LOG_BATCH.observe(records)
        _tell(waiting, placed, error)

    def _place(
        self, batch: WriteBatch, handle: Any, job: _Waiting, ends: list[int], now: bytes
    ) -> list[tuple[int, int]]:
        number, partitions = job.topic.number, job.topic.partitions
        placed = []
        for record in job.records:
            partition = partition_of(record.key, partitions)
            offset = ends[partition]
            ends[partition] = offset + 1
            key = _KEY.pack(number, partition, offset)
            body = now + record.value
            checksum = zlib.crc32(body, zlib.crc32(key))
            batch.put(key, checksum.to_bytes(4, "big") + body, handle)
            placed.append((partition, offset))
        return placed

    # --- reading ---------------------------------------------------------------------------------------

    def partitions(self, topic: str) -> int:
        """See the port."""
        return self._topic(topic).partitions

    def begins(self, topic: str) -> list[int]:
        """See the port."""
        chosen = self._topic(topic)
        self._look_again(chosen)
        return list(chosen.begins)

    def ends(self, topic: str) -> list[int]:
        """See the port."""
        chosen = self._topic(topic)
        self._look_again(chosen)
        return list(chosen.ends)

    def read(self, topic: str, partition: int, offset: int, limit: int) -> list[Stored]:
        """See the port."""
        chosen = self._topic(topic)
        if offset < chosen.begins[partition]:
            raise OffsetGone(topic, partition, offset, chosen.begins[partition])
        until = min(offset + limit, chosen.ends[partition])
        if offset >= until:
            return []
        start = _KEY.pack(chosen.number, partition, offset)
        end = _KEY.pack(chosen.number, partition, until)
        found: list[Stored] = []
        try:
            for key, value in self._database.scan("log", start, end):
                found.append(_stored(topic, partition, offset + len(found), key, value))
        except RecordCorrupt:
            # What is sound before the damage is given first, so that a reader loses nothing but it.
            if not found:
                raise
        except Exception as error:  # the engine's own checksum of a block
            if not found:
                raise RecordCorrupt(topic, partition, offset, str(error)) from error
        if not found:
            raise RecordCorrupt(topic, partition, offset, "the record is missing")
        return found

    def recent(self, topic: str, offsets: Sequence[int]) -> dict[int, list[Stored]]:
        """See the port. Of the last `RECENT` records that somebody waited for."""
        chosen = self._topic(topic)
        newest: list[_Placed] = []
        with self._lock:
            missing = sum(chosen.ends) - sum(offsets)
            for one in reversed(chosen.recent) if missing <= chosen.recents else ():
                if missing <= 0:
                    break
                newest.append(one)
                missing -= len(one.records)
        found: dict[int, list[Stored]] = {}
        for appended_ms, records, places in reversed(newest):
            for record, (partition, offset) in zip(records, places, strict=True):
                if (before := found.get(partition)) is not None:
                    if offset == before[-1].offset + 1:
                        before.append(Stored(partition, offset, appended_ms, record.value))
                elif offset == offsets[partition]:
                    found[partition] = [Stored(partition, offset, appended_ms, record.value)]
        return found

    def wait(self, topic: str, ends: Sequence[int], timeout_s: float) -> list[int]:
        """See the port."""
        chosen = self._topic(topic)
        until = time.monotonic() + timeout_s
        known = list(ends)
        if self._database.is_reader:
            while (now := self.ends(topic)) == known and (left := until - time.monotonic()) > 0:
                time.sleep(min(POLL_S, left))
            return now
        with self._lock:
            while chosen.ends == known and not self._is_closing and (left := until - time.monotonic()) > 0:
                self._moved[chosen.number].wait(left)
            return list(chosen.ends)

    # --- groups and retention --------------------------------------------------------------------------

    def committed(self, group: str, topic: str) -> dict[int, int]:
        """See the port."""
        self._database.catch_up()
        entries = self._database.scan_prefix("meta", _group_prefix(group, self._topic(topic)))
        return {int.from_bytes(partition, "big"): _OFFSET.unpack(value)[0] for partition, value in entries}

    def commit(self, group: str, topic: str, offsets: dict[int, int]) -> None:
        """See the port. Survives a crash of the process; a crash of the machine may take it a little back."""
        with self._lock:
            self._refuse_if_not_mine()
        prefix = _group_prefix(group, self._topic(topic))
        batch = WriteBatch(raw_mode=True)
        for partition, offset in offsets.items():
            batch.put(
                prefix + partition.to_bytes(2, "big"), _OFFSET.pack(offset), self._database.handles["meta"]
            )
        self._database.write(batch)

    def truncate(self, topic: str, partition: int, before: int) -> None:
        """See the port. Never beyond the end."""
        chosen = self._topic(topic)
        with self._lock:
            self._refuse_if_not_mine()
            begin, before = chosen.begins[partition], min(before, chosen.ends[partition])
            if before <= begin:
                return
            batch = WriteBatch(raw_mode=True)
            batch.put(
                _begin_key(chosen.number, partition), _OFFSET.pack(before), self._database.handles["meta"]
            )
            batch.delete_range(
                _KEY.pack(chosen.number, partition, begin),
                _KEY.pack(chosen.number, partition, before),
                self._database.handles["log"],
            )
            self._database.write(batch)
            chosen.begins[partition] = before
            chosen.recent.clear()
            chosen.recents = 0

    def close(self) -> None:
        """Write what still waits, then stop. The database stays open: its opener closes it."""
        with self._lock:
            self._is_closing = True
            self._work.notify()
            for moved in self._moved.values():
                moved.notify_all()
        if self._writer is not None:
            self._writer.join()

    # --- topics ----------------------------------------------------------------------------------------

    def _topic(self, name: str) -> _Topic:
        try:
            return self._topics[name]
        except KeyError:
            raise EventLogError(
                f"no topic {name}; this log has {', '.join(self._topics) or 'none'}"
            ) from None

    def _open_topics(self, wanted: Mapping[str, int]) -> dict[str, _Topic]:
        known = self._known_topics()
        batch = WriteBatch(raw_mode=True)
        for name, partitions in wanted.items():
            if name in known:
                if known[name][1] != partitions:
                    log.warning(
                        "partitions are fixed once made", topic=name, has=known[name][1], asked=partitions
                    )
                continue
            known[name] = (len(known), partitions)
            batch.put(b"topic/" + name.encode(), _TOPIC.pack(*known[name]), self._database.handles["meta"])
        if len(batch) and not self._database.is_reader:
            self._database.write(batch, sync=True)
        topics = {}
        for name, (number, partitions) in known.items():
            topics[name] = _Topic(name, number, partitions, [0] * partitions, [0] * partitions)
            self._look(topics[name])
        return topics

    def _known_topics(self) -> dict[str, tuple[int, int]]:
        entries = self._database.scan_prefix("meta", b"topic/")
        return {name.decode(): _TOPIC.unpack(value) for name, value in entries}

    def _look_again(self, topic: _Topic) -> None:
        """A reader learns from the disk what the owner knows in memory."""
        if self._database.is_reader:
            self._database.catch_up()
            self._look(topic)

    def _look(self, topic: _Topic) -> None:
        entries = self._entries.iter()
        for partition in range(topic.partitions):
            begin = self._meta.get(_begin_key(topic.number, partition))
            topic.begins[partition] = _OFFSET.unpack(begin)[0] if begin else 0
            topic.ends[partition] = topic.begins[partition]
            entries.seek_for_prev(_KEY.pack(topic.number, partition, _END_OF_PARTITION))
            if entries.valid():
                number, owner, offset = _KEY.unpack(entries.key())
                if (number, owner) == (topic.number, partition):
                    topic.ends[partition] = max(topic.begins[partition], offset + 1)


def _stored(topic: str, partition: int, offset: int, key: bytes, value: bytes) -> Stored:
    """The record in `value`, once key and checksum say that it is the one expected at `offset`."""
    checksum, appended_ms = _HEADER.unpack_from(value)
    if zlib.crc32(memoryview(value)[4:], zlib.crc32(key)) != checksum:
        raise RecordCorrupt(topic, partition, offset, "its checksum fails")
    if int.from_bytes(key[3:], "big") != offset:
        raise RecordCorrupt(topic, partition, offset, "the record is missing")
    return Stored(partition, offset, appended_ms, value[12:])


def _remember(topic: _Topic, placed: _Placed) -> None:
    """Keep the last `RECENT` records; of more at once none, which are read from the disk as fast."""
    topic.recent.append(placed)
    topic.recents += len(placed.records)
    while topic.recents > RECENT:
        topic.recents -= len(topic.recent.popleft().records)


def _tell(
    waiting: Iterable[_Waiting], placed: Iterable[list[tuple[int, int]]], error: Exception | None
) -> None:
    """Resolve what waited, on the event loop that each waits on: one call per loop."""
    by_loop: dict[asyncio.AbstractEventLoop, list[tuple[_Waiting, list[tuple[int, int]]]]] = {}
    for job, offsets in zip(waiting, placed, strict=True):
        if job.loop is not None:
            by_loop.setdefault(job.loop, []).append((job, offsets))
    for loop, jobs in by_loop.items():
        with contextlib.suppress(RuntimeError):  # the loop was closed, and nobody waits any more
            loop.call_soon_threadsafe(_resolve, jobs, error)


def _resolve(jobs: list[tuple[_Waiting, list[tuple[int, int]]]], error: Exception | None) -> None:
    for job, offsets in jobs:
        if job.future is None or job.future.done():  # whoever waited has left
            continue
        if error is None:
            job.future.set_result(offsets)
        else:
            job.future.set_exception(
                LogUnavailable(f"{job.topic.name}: the disk refused the records ({error}); send them again")
            )


def _group_prefix(group: str, topic: _Topic) -> bytes:
    name = group.encode()
    return b"group/" + len(name).to_bytes(2, "big") + name + topic.number.to_bytes(1, "big")


def _begin_key(number: int, partition: int) -> bytes:
    return b"begin/" + number.to_bytes(1, "big") + partition.to_bytes(2, "big")
