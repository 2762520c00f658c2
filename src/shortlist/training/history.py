"""The event log as arrays: every event that counts once, which training and batch jobs start from."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
import structlog
from numpy.typing import NDArray

from shortlist.arrays import IntArray
from shortlist.events.event import Event, EventType
from shortlist.events.log import EVENTS, EventLog, RecordCorrupt, Stored
from shortlist.features.dedup import Window, identity
from shortlist.progress import Report, silent

log = structlog.get_logger()

TYPES = tuple(EventType)
CODES = {kind: code for code, kind in enumerate(TYPES)}
STAGE = "reading the log"
BATCH = 10_000  # records per read: 5 MB at 0.5 kB


class _Row(Event, frozen=True, gc=False):
    """An event as `decode` reads it, but not watched by the garbage collector: 0.6 µs instead of 1.2."""


_decode = msgspec.json.Decoder(_Row).decode


@dataclass(frozen=True, slots=True)
class History:
    """Events, each user's together and in the order in which the log got them.

    users: (n,) codes into `user_ids`. items: (n,) positions in the item table, -1 where it has no such item.
    types: (n,) codes into TYPES. ts_ms: (n,) when it happened. appended_ms: (n,) when the log got it.
    session_ids: (n,) codes of the session ids that clients gave, 0 where none; only equality means something.
    quantities: (n,) NaN where not given.
    duplicates, unreadable: how many records were left out, and why.
    """

    users: IntArray
    items: IntArray
    types: NDArray[np.uint8]
    ts_ms: NDArray[np.int64]
    appended_ms: NDArray[np.int64]
    session_ids: IntArray
    quantities: NDArray[np.float64]
    user_ids: list[str]
    duplicates: int = 0
    unreadable: int = 0

    def __len__(self) -> int:
        return len(self.users)


Forgotten = Callable[[int], Mapping[str, int]]
"""Partition → deleted users and the offset up to which the log knew them (`FeatureStore.forgotten`)."""


def nobody(partition: int) -> Mapping[str, int]:
    """Nobody asked to be forgotten."""
    return {}


def read_history(
    events: EventLog,
    item_ids: Sequence[str],
    dedup_window: int,
    report: Report = silent,
    *,
    forgotten: Forgotten = nobody,
) -> History:
    """Everything in the log up to its end now, duplicates and unreadable records left out as the fold does.

    item_ids: ids by position, of the item table. forgotten: users who asked to be, by partition.
    Corrupt records are logged and passed over.
    """
    begins, ends = events.begins(EVENTS), events.ends(EVENTS)
    total = max(1, sum(ends) - sum(begins))
    columns = _Columns(item_ids)
    read = 0
    report(STAGE, 0.0)
    for partition, (begin, end) in enumerate(zip(begins, ends, strict=True)):
        window, gone = Window(dedup_window), forgotten(partition)
        rows: list[_Row] = []
        appended: list[int] = []
        for batch in _batches(events, partition, begin, end):
            columns.take(batch, window, rows, appended, gone)
            read += len(batch)
            report(STAGE, read / total)
        columns.keep(rows, appended)
    report(STAGE, 1.0)
    return columns.history()


def _batches(events: EventLog, partition: int, begin: int, end: int) -> Iterator[list[Stored]]:
    offset = begin
    while offset < end:
        try:
            batch = events.read(EVENTS, partition, offset, min(BATCH, end - offset))
        except RecordCorrupt as error:
            log.error(
                "corrupt record left out of history", partition=partition, offset=offset, why=str(error)
            )
            offset += 1
            continue
        if not batch:
            return
        offset = batch[-1].offset + 1
        yield batch


class _Columns:
    """Grows the columns of a history, one partition after the other."""

    def __init__(self, item_ids: Sequence[str]) -> None:
        self._position = {item_id: position for position, item_id in enumerate(item_ids)}
        self._users: dict[str, int] = {}
        self._sessions: dict[str | None, int] = {None: 0, "": 0}
        self._parts: list[tuple[NDArray[np.generic], ...]] = []
        self._duplicates = self._unreadable = 0

    def take(
        self,
        batch: list[Stored],
        window: Window,
        rows: list[_Row],
        appended: list[int],
        gone: Mapping[str, int],
    ) -> None:
        """Decode the records of a batch and add those that count to `rows` and `appended`.

        gone: forgotten users and the offset before which nothing of theirs counts."""
        is_duplicate = window.is_duplicate
        for stored in batch:
            try:
                row = _decode(stored.value)
            except msgspec.DecodeError:
                self._unreadable += 1
                continue
            if is_duplicate(identity(row), stored.offset):
                self._duplicates += 1
                continue
            if gone and stored.offset < gone.get(row.user_id, 0):
                continue
            rows.append(row)
            appended.append(stored.appended_ms)

    def keep(self, rows: list[_Row], appended: list[int]) -> None:
        """Turn a partition's rows into columns, each user's rows together."""
        if not rows:
            return
        users, sessions, position = self._users, self._sessions, self._position
        user = np.array([users.setdefault(row.user_id, len(users)) for row in rows], np.int32)
        order = np.argsort(user, kind="stable")
        columns: tuple[NDArray[np.generic], ...] = (
            user,
            np.array([position.get(row.item_id, -1) for row in rows], np.int32),
            np.array([CODES[row.type] for row in rows], np.uint8),
            np.array([row.ts for row in rows], np.int64),
            np.array(appended, np.int64),
            np.array([sessions.setdefault(row.session_id, len(sessions)) for row in rows], np.int32),
            np.array([np.nan if row.quantity is None else row.quantity for row in rows], np.float64),
        )
        self._parts.append(tuple(column[order] for column in columns))

    def history(self) -> History:
        """All partitions together."""
        empty = tuple(np.zeros(0, kind) for kind in ("i4", "i4", "u1", "i8", "i8", "i4", "f8"))
        columns: list[NDArray[Any]] = [
            np.concatenate(column) for column in zip(*(self._parts or [empty]), strict=True)
        ]
        users, items, types, ts_ms, appended_ms, session_ids, quantities = columns
        return History(
            users=users,
            items=items,
            types=types,
            ts_ms=ts_ms,
            appended_ms=appended_ms,
            session_ids=session_ids,
            quantities=quantities,
            user_ids=list(self._users),
            duplicates=self._duplicates,
            unreadable=self._unreadable,
        )
