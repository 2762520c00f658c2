"""The feature store in the embedded database: one write batch holds new states and their offset."""

import struct
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from hashlib import blake2b
from typing import TypeVar

import msgspec
from msgspec import Struct, field
from rocksdict import WriteBatch

from shortlist.database import Database, DatabaseError
from shortlist.events.event import INTERACTIONS, Event, EventType, readable, told_again
from shortlist.events.log import EVENTS, EventLog, Stored
from shortlist.events.partition import partition_of
from shortlist.events.scan import scan
from shortlist.features.dedup import Window, identity, unrepeated
from shortlist.features.fold import expire, fold
from shortlist.features.store import (
    Features,
    FeatureStore,
    FoldChanged,
    Folded,
    OffsetMoved,
    RebuildUnfinished,
    Seen,
    Step,
    StoreUnavailable,
)
from shortlist.features.view import FeatureView

# A user's state is stored in three parts, so that an event rewrites what it changes and little more:
#   features  p user           the state, with the newest CHUNK to 2 × CHUNK - 1 interactions
#   past      p user chunk     CHUNK older interactions each, never rewritten
#   marks     p user           bought, rated, disliked: they grow without end and most events leave them be
# and the de-duplication window as
#   dedup     p generation id  the last offset of an event's identity; generations are a window long, so that
#                              two of them cover every window and whole ones are dropped
# With 200 interactions a state is 1 kB instead of 6 kB, and decoding it takes 6 µs instead of 30.
CHUNK = 25

_OFFSET = struct.Struct(">Q")
_MARKING = frozenset(
    {EventType.PURCHASE, EventType.CANCEL, EventType.RATING, EventType.DISLIKE, EventType.LIKE}
)
_DECLARED = b"fold"  # in meta: the settings that everything was folded with
_RESTARTING = b"restarting"  # in meta while `restart` is under way
_AFTER_ALL = b"\xff\xff"  # partitions and lengths of keys, with which keys begin, are below it

T = TypeVar("T")


class _State(Struct, array_like=True):
    """What stands under a user's key: features without the parts stored elsewhere."""

    features: Features
    first: int = 0  # number of the oldest chunk in `past`
    chunks: int = 0
    has_marks: bool = False


class _Marks(Struct, array_like=True):
    purchased: dict[str, float] = field(default_factory=dict)
    consumed: dict[str, int] = field(default_factory=dict)
    disliked: dict[str, int] = field(default_factory=dict)


class _User:
    """One user's state while a batch is folded into it."""

    __slots__ = ("chunks", "features", "first", "has_marks", "key", "marks_changed", "marks_loaded", "was")

    def __init__(self, key: bytes, state: _State) -> None:
        self.key = key
        self.features = state.features
        self.first, self.chunks = state.first, state.chunks
        self.was = range(state.first, state.first + state.chunks)  # chunks on the disk
        self.has_marks = state.has_marks
        self.marks_loaded = not state.has_marks
        self.marks_changed = False


_encode = msgspec.msgpack.Encoder().encode
_decode_state = msgspec.msgpack.Decoder(_State).decode
_decode_marks = msgspec.msgpack.Decoder(_Marks).decode
_decode_chunk = msgspec.msgpack.Decoder(list[Seen]).decode
_decode_features = msgspec.msgpack.Decoder(Features).decode
_decode_declared = msgspec.msgpack.Decoder(dict[str, float]).decode


class RocksFeatures(FeatureStore):
    """Shares the database, and so its write-ahead log, with the event log.

    In a reader's process features and offsets stand still together until `Database.catch_up`, which the
    log's `ends`, `begins` and `wait` call."""

    def __init__(self, database: Database, view: FeatureView, *, partitions: int, dedup_window: int) -> None:
        """partitions: of the topic that is folded. dedup_window: see `FeatureStore.fold`."""
        self._database = database
        self._view = view
        self._keep = next(a.n for a in view.aggregates if hasattr(a, "n") and a.fields == ("history",))
        self._partitions = partitions
        families = database.families
        self._states, self._past, self._marks = families["features"], families["past"], families["marks"]
        self._seen, self._meta = families["dedup"], families["meta"]
        self.dedup_window = dedup_window
        self._declared = {**view.declared, "log.dedup_window": float(dedup_window)}
        # Folds of one partition exclude each other; readers are never held up: they look whether a batch was
        # published while they read (odd: one is being), and read again.
        self._locks = [threading.Lock() for _ in range(partitions)]
        self._published = [0] * partitions
        self._offsets: list[int | None] = [None] * partitions
        self._gone: list[dict[str, int] | None] = [None] * partitions  # `forgotten`, as far as asked for

    # --- reading ---------------------------------------------------------------------------------------

    def read(self, user_ids: Sequence[str], now_ms: int) -> list[Features]:
        """See the port."""
        found = []
        for user_id in user_ids:
            partition = partition_of(user_id, self._partitions)
            key = _key(partition, user_id)
            features = self._unmoved(partition, lambda key=key: self._whole(key))  # type: ignore[misc]
            expire(features, now_ms, self._view)
            found.append(features)
        return found

    def offset(self, partition: int) -> int:
        """See the port."""
        if (known := self._offsets[partition]) is not None:
            return known
        stored = self._answer(lambda: self._meta.get(_offset_key(partition)))
        offset = int(_OFFSET.unpack(stored)[0]) if stored else 0
        if not self._database.is_reader:
            self._offsets[partition] = offset
        return offset

    def users(self, partition: int) -> Iterator[tuple[str, Features]]:
        """See the port. Users folded while it runs may be seen before or after."""
        for key, _ in self._database.scan("features", _prefix(partition), _prefix(partition + 1)):
            features = self._unmoved(partition, lambda key=key: self._whole(key))  # type: ignore[misc]
            if features.version:  # not deleted meanwhile
                yield _user_id(key), features

    def _whole(self, key: bytes) -> Features | None:
        """A user's features put together; None when a part is missing because a fold went past."""
        raw = self._states.get(key)
        if raw is None:
            return Features()
        state = _decode_state(raw)
        features = state.features
        if state.chunks:
            seen: list[Seen] = []
            for number in range(state.first, state.first + state.chunks):
                chunk = self._past.get(_chunk_key(key, number))
                if chunk is None:
                    return None
                seen += _decode_chunk(chunk)
            features.history = (seen + features.history)[-self._keep :]
        if state.has_marks:
            raw = self._marks.get(key)
            if raw is None:
                return None
            marks = _decode_marks(raw)
            features.purchased = marks.purchased
            features.consumed = marks.consumed
            features.disliked = marks.disliked
        return features

    def _unmoved(self, partition: int, look: Callable[[], T | None]) -> T:
        """What `look` finds while nothing is published in the partition."""
        while True:
            before = self._published[partition]
            found = self._answer(look)
            if found is not None and before % 2 == 0 and self._published[partition] == before:
                return found
            if found is None and before % 2 == 0 and self._published[partition] == before:
                raise StoreUnavailable(
                    f"{self._database.path}: a user of partition {partition} misses a part of the state; "
                    "the database is damaged: restore the home from a copy"
                )
            with self._locks[partition]:  # wait for the fold that is publishing
                pass

    def _answer(self, ask: Callable[[], T]) -> T:
        try:
            return ask()
        except msgspec.DecodeError as error:
            raise StoreUnavailable(
                f"{self._database.path}: a stored state cannot be read: {error}; restore the home from a copy"
            ) from error
        except Exception as error:  # the binding knows one error type only
            raise StoreUnavailable(f"{self._database.path}: {error}") from error

    # --- folding ---------------------------------------------------------------------------------------

    def fold_together(self, steps: Sequence[Step]) -> list[Folded]:
        """See the port. All of them or none: they share a write, which costs as much as folding an event."""
        # In the order of partitions, so that no two calls wait for each other.
        locks = [self._locks[partition] for partition in sorted(_different(steps))]
        for lock in locks:
            lock.acquire()
        try:
            for step in steps:
                if (stored := self.offset(step.partition)) != step.expect:
                    raise OffsetMoved(step.partition, step.expect, stored)
            writes = WriteBatch(raw_mode=True)
            done = [self._fold(step, writes) for step in steps]
            self._publish({step.partition: step.next_offset for step in steps}, writes)
        finally:
            for lock in locks:
                lock.release()
        return done

    def _fold(self, step: Step, writes: WriteBatch) -> Folded:
        """One step, as `writes`; its partition's lock is held."""
        partition, batch = step.partition, step.batch
        found = [(record, event) for record in batch if (event := readable(record.value)) is not None]
        counted = self._leave_out_repeats(partition, found, writes)
        if gone := self._forgotten(partition):  # a replay passes what deleted users did before
            counted = [one for one in counted if one[0].offset >= gone.get(one[1].user_id, 0)]
        self._drop_old_generations(partition, step.expect, step.next_offset, writes)
        users: dict[str, _User] = {}
        tired: set[str] = set()
        for record, event in counted:
            user = users.get(event.user_id)
            if user is None:
                user = users[event.user_id] = self._load(_key(partition, event.user_id))
            self._prepare(user, event)
            fold(user.features, event, offset=record.offset, appended_ms=record.appended_ms, view=self._view)
            if event.type is EventType.IMPRESSION and user.features.taste_version == record.offset + 1:
                tired.add(event.user_id)
        for user in users.values():
            self._store(user, writes)
        return Folded(
            partition=partition,
            events=[event for _, event in counted],
            duplicates=len(found) - len(counted),
            unreadable=len(batch) - len(found),
            offset=step.expect,
            next_offset=step.next_offset,
            tired=frozenset(tired),
        )

    def _publish(self, moved: Mapping[int, int], writes: WriteBatch) -> None:
        """Write, with the next offset of every partition in `moved`; their locks are held."""
        for partition, next_offset in moved.items():
            writes.put(_offset_key(partition), _OFFSET.pack(next_offset), self._database.handles["meta"])
            self._published[partition] += 1
        try:
            self._database.write(writes)
            for partition, next_offset in moved.items():
                self._offsets[partition] = next_offset
        except DatabaseError as error:
            for partition in moved:
                self._offsets[partition] = None  # look again: the engine knows whether it is in
            raise StoreUnavailable(f"partitions {sorted(moved)} were not folded: {error}") from error
        finally:
            for partition in moved:
                self._published[partition] += 1

    def _leave_out_repeats(
        self, partition: int, events: list[tuple[Stored, Event]], writes: WriteBatch
    ) -> list[tuple[Stored, Event]]:
        size, handle, get = self.dedup_window, self._database.handles["dedup"], self._seen.get
        seen: dict[str, int] = {}
        window = Window(size, seen)
        prefix = _prefix(partition)
        counted, offset = [], 0

        def is_repeat(event: Event) -> bool:
            """Whether it repeats at `offset`."""
            name = identity(event)
            digest = blake2b(name.encode("utf-8", "surrogatepass"), digest_size=16).digest()
            generation = offset // size if size else 0
            key = prefix + generation.to_bytes(6, "big") + digest
            if name not in seen:
                stored = get(key)
                if stored is None and generation:
                    stored = get(prefix + (generation - 1).to_bytes(6, "big") + digest)
                if stored is not None:
                    seen[name] = int.from_bytes(stored, "big")
            writes.put(key, offset.to_bytes(8, "big"), handle)
            return window.is_duplicate(name, offset)

        for record, event in events:
            offset = record.offset
            if (counts := unrepeated(event, is_repeat)) is not None:
                counted.append((record, counts))
        return counted

    def _drop_old_generations(
        self, partition: int, expect: int, next_offset: int, writes: WriteBatch
    ) -> None:
        if not self.dedup_window:
            return
        oldest = next_offset // self.dedup_window - 1  # what the next record may still look into
        if oldest > 0 and expect // self.dedup_window - 1 < oldest:
            prefix = _prefix(partition)
            writes.delete_range(prefix, prefix + oldest.to_bytes(6, "big"), self._database.handles["dedup"])

    def _load(self, key: bytes) -> _User:
        raw = self._states.get(key)
        return _User(key, _State(Features()) if raw is None else _decode_state(raw))

    def _prepare(self, user: _User, event: Event) -> None:
        """Bring in the parts of the state that this event can touch."""
        for _, told in told_again(event) if event.type is EventType.MERGE else ():
            self._prepare(user, told)
        if not user.marks_loaded and event.type in _MARKING:
            marks = _decode_marks(self._marks.get(user.key))
            features = user.features
            features.purchased, features.consumed = marks.purchased, marks.consumed
            features.disliked = marks.disliked
            user.marks_loaded = True
        if event.type in _MARKING:
            user.marks_changed = True
        if user.chunks and event.type in INTERACTIONS and event.ts < user.features.history[0].ts:
            older: list[Seen] = []
            for number in range(user.first, user.first + user.chunks):
                older += self._chunk(user, number)
            user.features.history = (older + user.features.history)[-self._keep :]
            user.first, user.chunks = user.first + user.chunks, 0

    def _chunk(self, user: _User, number: int) -> list[Seen]:
        return _decode_chunk(self._past.get(_chunk_key(user.key, number)))

    def _store(self, user: _User, writes: WriteBatch) -> None:
        features, handles = user.features, self._database.handles
        if user.marks_changed:
            marks = _Marks(features.purchased, features.consumed, features.disliked)
            user.has_marks = bool(marks.purchased or marks.consumed or marks.disliked)
            if user.has_marks:
                writes.put(user.key, _encode(marks), handles["marks"])
            else:
                writes.delete(user.key, handles["marks"])
        features.purchased, features.consumed, features.disliked = {}, {}, {}
        while len(features.history) >= 2 * CHUNK:
            number = user.first + user.chunks
            writes.put(_chunk_key(user.key, number), _encode(features.history[:CHUNK]), handles["past"])
            features.history = features.history[CHUNK:]
            user.chunks += 1
        while user.chunks and (user.chunks - 1) * CHUNK + len(features.history) >= self._keep:
            user.first, user.chunks = user.first + 1, user.chunks - 1
        for number in user.was:
            if number < user.first:
                writes.delete(_chunk_key(user.key, number), handles["past"])
        state = _State(features, user.first, user.chunks, user.has_marks)
        writes.put(user.key, _encode(state), handles["features"])

    # --- forgetting and checkpoints --------------------------------------------------------------------

    def delete(self, user_id: str) -> None:
        """See the port."""
        partition = partition_of(user_id, self._partitions)
        key, handles = _key(partition, user_id), self._database.handles
        with self._locks[partition]:
            offset = self.offset(partition)
            writes = WriteBatch(raw_mode=True)
            writes.delete(key, handles["features"])
            writes.delete(key, handles["marks"])
            writes.delete_range(_chunk_key(key, 0), _chunk_key(key, (1 << 32) - 1), handles["past"])
            writes.delete(key, handles["checkpoint"])
            writes.put(b"forgotten/" + key, _OFFSET.pack(offset), handles["meta"])
            self._gone[partition] = None
            self._publish({partition: offset}, writes)

    def _forgotten(self, partition: int) -> dict[str, int]:
        known = self._gone[partition]
        if known is None:
            known = self._gone[partition] = self.forgotten(partition)
        return known

    def forgotten(self, partition: int) -> dict[str, int]:
        """See the port."""
        marker = b"forgotten/"
        entries = self._database.scan("meta", marker + _prefix(partition), marker + _prefix(partition + 1))
        return {_user_id(key[len(marker) :]): int(_OFFSET.unpack(value)[0]) for key, value in entries}

    def checkpoint(self, partition: int) -> int:
        """See the port. The partition is not folded meanwhile: 10,000 users take about 0.3 s."""
        handles = self._database.handles
        prefix = _prefix(partition)
        with self._locks[partition]:
            offset = self.offset(partition)
            # Until the marker is back a reader finds no checkpoint: half of one is none.
            writes = WriteBatch(raw_mode=True)
            writes.delete(b"checkpoint/" + prefix, handles["meta"])
            writes.delete_range(prefix, _prefix(partition + 1), handles["checkpoint"])
            for user_id, features in self.users(partition):
                writes.put(_key(partition, user_id), _encode(features), handles["checkpoint"])
            writes.put(b"checkpoint/" + prefix, _OFFSET.pack(offset), handles["meta"])
            try:
                self._database.write(writes, sync=True)
            except DatabaseError as error:
                raise StoreUnavailable(f"partition {partition} has no new checkpoint: {error}") from error
        return offset

    def checkpointed(self, partition: int) -> tuple[int, Iterator[tuple[str, Features]]]:
        """See the port."""
        marker = self._answer(lambda: self._meta.get(b"checkpoint/" + _prefix(partition)))
        if marker is None:
            return 0, iter(())
        copies = self._database.scan("checkpoint", _prefix(partition), _prefix(partition + 1))
        users = ((_user_id(key), _decode_features(value)) for key, value in copies)
        return int(_OFFSET.unpack(marker)[0]), users

    # --- settings of the fold --------------------------------------------------------------------------

    def agree(self) -> None:
        """See the port."""
        if self._answer(lambda: self._meta.get(_RESTARTING)) is not None:
            raise RebuildUnfinished
        stored = self._answer(lambda: self._meta.get(_DECLARED))
        if stored is None:
            if not self._database.is_reader:
                writes = WriteBatch(raw_mode=True)
                writes.put(_DECLARED, _encode(self._declared), self._database.handles["meta"])
                self._database.write(writes)
            return
        then = self._answer(lambda: _decode_declared(stored))
        changed = {
            name: (then[name], now) for name, now in self._declared.items() if then.get(name, now) != now
        }
        if changed:
            raise FoldChanged(changed)

    def restart(self, events: EventLog) -> list[int]:
        """See the port. Copies in checkpoints that hold more history than is kept today are shortened."""
        meta = self._database.handles["meta"]
        writes = WriteBatch(raw_mode=True)
        writes.put(_RESTARTING, b"", meta)
        self._database.write(writes, sync=True)
        writes = WriteBatch(raw_mode=True)
        for family in ("features", "past", "marks", "dedup"):
            writes.delete_range(b"", _AFTER_ALL, self._database.handles[family])
        self._database.write(writes)
        starts = [
            self._restart(partition, begin, events) for partition, begin in enumerate(events.begins(EVENTS))
        ]
        writes = WriteBatch(raw_mode=True)
        writes.put(_DECLARED, _encode(self._declared), meta)
        writes.delete(_RESTARTING, meta)
        self._database.write(writes, sync=True)
        return starts

    def _restart(self, partition: int, begin: int, events: EventLog) -> int:
        handles, prefix = self._database.handles, _prefix(partition)
        writes = WriteBatch(raw_mode=True)
        start, copies = self.checkpointed(partition) if begin else (0, iter(()))
        if not begin:  # the whole log is there: nothing of then needs to stay
            writes.delete(b"checkpoint/" + prefix, handles["meta"])
            writes.delete_range(prefix, _prefix(partition + 1), handles["checkpoint"])
        for user_id, features in copies:
            features.history = features.history[-self._keep :]
            user = _User(_key(partition, user_id), _State(features))
            writes.put(user.key, _encode(features), handles["checkpoint"])
            user.marks_changed = True
            self._store(user, writes)
        seen = [
            (record, event)
            for record in scan(events, EVENTS, partition, max(begin, start - self.dedup_window), start)
            if (event := readable(record.value)) is not None
        ]
        self._leave_out_repeats(partition, seen, writes)
        self._publish({partition: start}, writes)
        return start


def _different(steps: Sequence[Step]) -> set[int]:
    partitions = {step.partition for step in steps}
    if len(partitions) < len(steps):
        raise ValueError(f"two steps of one partition, among {[step.partition for step in steps]}")
    return partitions


def _key(partition: int, user_id: str) -> bytes:
    return _prefix(partition) + user_id.encode("utf-8", "surrogatepass")


def _chunk_key(key: bytes, number: int) -> bytes:
    # The length makes no user's key the beginning of another's.
    return len(key).to_bytes(2, "big") + key + number.to_bytes(4, "big")


def _offset_key(partition: int) -> bytes:
    return b"folded/" + _prefix(partition)


def _prefix(partition: int) -> bytes:
    return partition.to_bytes(2, "big")


def _user_id(key: bytes) -> str:
    return key[2:].decode("utf-8", "surrogatepass")
