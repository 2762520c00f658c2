"""The event log as arrays: every event that counts once, which training and batch jobs start from."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
import structlog
from numpy.typing import NDArray

from shortlist.arrays import BoolArray, IntArray
from shortlist.events.event import INTERACTIONS, Event, EventType, told_again
from shortlist.events.log import EVENTS, EventLog, RecordCorrupt, Stored
from shortlist.features.dedup import Window, identity, unrepeated
from shortlist.features.store import Features
from shortlist.features.view import Guests
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

    What a guest did before a login stands once, with the user who logged in (the first, if several did).
    users: (n,) codes into `user_ids`. items: (n,) positions in the item table, -1 where it has no such item.
    types: (n,) codes into TYPES. ts_ms: (n,) when it happened. appended_ms: (n,) when the log got it.
    session_ids: (n,) codes of the session ids that clients gave, 0 where none; only equality means something.
    quantities: (n,) NaN where not given.
    duplicates, unreadable: how many records were left out, and why.
    unknown_ids: items that people interacted with and the item table does not have, by first sight.
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
    unknown_ids: tuple[str, ...] = ()

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
        rows = _Rows()
        for batch in _batches(events, partition, begin, end):
            columns.take(batch, window, rows, gone)
            read += len(batch)
            report(STAGE, read / total)
        columns.keep(rows)
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


class _Rows:
    """Events of one partition that count. guests: row → whose event it was before a merge told it again, at
    which of their offsets."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.appended: list[int] = []
        self.offsets: list[int] = []
        self.guests: dict[int, tuple[str, int]] = {}

    def add(self, event: Event, stored: Stored) -> None:
        """One more."""
        self.events.append(event)
        self.appended.append(stored.appended_ms)
        self.offsets.append(stored.offset)


class _Columns:
    """Grows the columns of a history, one partition after the other."""

    def __init__(self, item_ids: Sequence[str]) -> None:
        self._position = {item_id: position for position, item_id in enumerate(item_ids)}
        self._users: dict[str, int] = {}
        self._sessions: dict[str | None, int] = {None: 0, "": 0}
        self._parts: list[tuple[NDArray[np.generic], ...]] = []
        self._duplicates = self._unreadable = 0
        self._unknown: dict[str, None] = {}
        self._rule, self._features = Guests(), dict[str, Features]()  # of users who were guests
        self._gone: list[tuple[str, int]] = []  # guests' events of users who asked to be forgotten

    def take(
        self,
        batch: list[Stored],
        window: Window,
        rows: _Rows,
        gone: Mapping[str, int],
    ) -> None:
        """Decode the records of a batch and add those that count to `rows`.

        gone: forgotten users and the offset before which nothing of theirs counts."""
        is_duplicate = window.is_duplicate
        for stored in batch:
            try:
                row = _decode(stored.value)
            except msgspec.DecodeError:
                self._unreadable += 1
                continue
            if row.type is EventType.MERGE:
                self._take_merge(row, stored, window, rows, is_gone=stored.offset < gone.get(row.user_id, 0))
                continue
            if is_duplicate(identity(row), stored.offset):
                self._duplicates += 1
                continue
            if gone and stored.offset < gone.get(row.user_id, 0):
                continue
            rows.add(row, stored)

    def _take_merge(self, row: Event, stored: Stored, window: Window, rows: _Rows, *, is_gone: bool) -> None:
        merge = unrepeated(row, lambda event: window.is_duplicate(identity(event), stored.offset))
        if merge is None:
            self._duplicates += 1
            return
        guest = merge.guest or ""
        if is_gone:
            self._gone += [(guest, offset) for offset, _ in told_again(merge)]
            return
        features = self._features.setdefault(merge.user_id, Features())
        news = {event.event_id for event in self._rule.news(features, merge)}
        self._rule.add(features, merge)
        rows.add(merge, stored)
        for offset, event in told_again(merge):
            if event.event_id in news:
                rows.guests[len(rows.events)] = (guest, offset)
                rows.add(event, stored)

    def keep(self, found: _Rows) -> None:
        """Turn a partition's rows into columns, each user's rows together."""
        rows = found.events
        if not rows:
            return
        users, sessions, position = self._users, self._sessions, self._position
        user = np.array([users.setdefault(row.user_id, len(users)) for row in rows], np.int32)
        order = np.argsort(user, kind="stable")
        # Whose record it was first, and where: what a merge tells again is found by it.
        source, offset = user.copy(), np.array(found.offsets, np.int64)
        for row, (guest, at) in found.guests.items():
            source[row], offset[row] = users.setdefault(guest, len(users)), at
        items = np.array([position.get(row.item_id, -1) for row in rows], np.int32)
        without = (rows[at] for at in np.flatnonzero(items < 0).tolist())
        self._unknown.update((row.item_id, None) for row in without if row.type in INTERACTIONS)
        columns: tuple[NDArray[np.generic], ...] = (
            user,
            items,
            np.array([CODES[row.type] for row in rows], np.uint8),
            np.array([row.ts for row in rows], np.int64),
            np.array(found.appended, np.int64),
            np.array([sessions.setdefault(row.session_id, len(sessions)) for row in rows], np.int32),
            np.array([np.nan if row.quantity is None else row.quantity for row in rows], np.float64),
            source,
            offset,
        )
        self._parts.append(tuple(column[order] for column in columns))

    def history(self) -> History:
        """All partitions together."""
        empty = tuple(np.zeros(0, kind) for kind in ("i4", "i4", "u1", "i8", "i8", "i4", "f8", "i4", "i8"))
        columns: list[NDArray[Any]] = [
            np.concatenate(column) for column in zip(*(self._parts or [empty]), strict=True)
        ]
        users, items, types, ts_ms, appended_ms, session_ids, quantities, source, offset = columns
        if self._features or self._gone:
            once = self._once(users, appended_ms, source, offset)
            users, items, types, ts_ms, appended_ms, session_ids, quantities = (c[once] for c in columns[:7])
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
            unknown_ids=tuple(self._unknown),
        )

    def _once(
        self, users: IntArray, appended_ms: NDArray[np.int64], source: IntArray, offset: NDArray[np.int64]
    ) -> BoolArray:
        """(n,) which rows count: of one record only the earliest merge that told it, else the record itself;
        of what a forgotten user did as a guest none."""
        is_original = users == source
        order = np.lexsort((appended_ms, is_original, offset, source))
        again = np.zeros(len(users), np.bool_)
        again[order[1:]] = (np.diff(source[order]) == 0) & (np.diff(offset[order]) == 0)
        # A merge and what it tells share no record: sources differ, unless somebody was their own guest.
        gone = {(self._users[guest], at) for guest, at in self._gone if guest in self._users}
        for row in np.flatnonzero(np.isin(source, [guest for guest, _ in gone])).tolist():
            again[row] |= (int(source[row]), int(offset[row])) in gone
        return ~again
