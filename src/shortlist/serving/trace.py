"""The decision trace of a slate: its record, and that of the pool it was cut from, found by request id."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec
from msgspec import Struct

from shortlist.coldstart.exploration import Explored
from shortlist.errors import ShortlistError
from shortlist.events.log import SERVED, EventLog, OffsetGone, RecordCorrupt, Stored
from shortlist.serving.cache import Pool
from shortlist.serving.inputs import CutInputs
from shortlist.serving.slate import BROWSING

LOOKBACK = 40_000  # records of the log that are looked through, the last ones: 600 MB of pools at most
READ = 500  # records read at a time

_TRACE_ID = re.compile(rb'"trace_id":"([^"]*)"')
_POOL = b'{"kind":"pool"'


class SlateRecord(Struct, frozen=True, omit_defaults=True):
    """A slate as it was logged; see `served.slate_rest`."""

    request_id: str
    ts: int
    items: list[str]
    user_id: str | None = None
    tier: str = ""
    trace_id: str = ""
    model: str = ""
    page: int = 1
    context: str = BROWSING
    category: str = ""
    filter: str = ""
    limit: int = 0
    pinned: dict[str, str] = {}
    explored: list[Explored] = []
    route: str = ""
    to: str = ""
    scores: list[float] = []
    cut: CutInputs | None = None


class _Slates(Struct, frozen=True):
    slates: list[SlateRecord] = []


class _Pool(Struct, frozen=True):
    user_id: str
    pool: Pool
    settings: dict[str, Any] | None = None


class UserForgotten(ShortlistError):
    """A slate was served to somebody who has asked to be forgotten since."""


@dataclass(frozen=True, slots=True)
class Trace:
    """One slate, and what is known of how it came about.

    user_id: whose pool it was cut from; empty for nobody's. pool: None where it has none, or its record is
    gone. settings: those that held when the pool was made, as `inputs.settings_of` reads them."""

    slate: SlateRecord
    user_id: str = ""
    pool: Pool | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)


_slates = msgspec.json.Decoder(_Slates).decode
_slate = msgspec.json.Decoder(SlateRecord).decode
_pool = msgspec.json.Decoder(_Pool).decode


def trace_of(slate: bytes, pool: bytes | None) -> Trace:
    """The trace in two records, as `Served` keeps them. Raises msgspec.DecodeError."""
    return _traced(_slate(slate), _pool(pool) if pool is not None else None)


class Traces:
    """Finds traces. Blocking."""

    def __init__(self, log: EventLog, remembered: Callable[[str], Trace | None], *, lookback: int = LOOKBACK):
        """remembered: the trace of a request that this process served a moment ago, if it knows it.
        lookback: how many of the log's last records are looked through."""
        self._log, self._remembered, self._lookback = log, remembered, lookback

    def find(self, request_id: str) -> Trace | None:
        """The trace of a request; None where no record of it is near the end of the log."""
        found = self._remembered(request_id)
        if found is not None and (found.pool is not None or not found.slate.trace_id):
            return found
        slate = found.slate if found is not None else None
        if slate is None:
            wanted = b'"request_id":%b' % msgspec.json.encode(request_id)
            for record in self._backwards():
                if wanted in record.value and (slate := _named(record, request_id)) is not None:
                    break
        if slate is None:
            return None
        return next(iter(self._with_pools([slate])))

    def is_remembered(self, request_id: str) -> bool:
        """Whether this process served it a moment ago, and still knows."""
        return self._remembered(request_id) is not None

    def last(self, n: int) -> list[Trace]:
        """The last `n` slates that were logged, the newest first."""
        slates: list[SlateRecord] = []
        for record in self._backwards():
            if not record.value.startswith(_POOL):
                slates += reversed(_read(record))
            if len(slates) >= 2 * n:  # partitions are read in turn, so the order is only nearly that of time
                break
        slates.sort(key=lambda slate: -slate.ts)
        return self._with_pools(slates[:n])

    def _with_pools(self, slates: Iterable[SlateRecord]) -> list[Trace]:
        slates = list(slates)
        wanted = {slate.trace_id.encode() for slate in slates if slate.trace_id}
        pools: dict[str, _Pool] = {}
        for record in self._backwards() if wanted else ():
            if not record.value.startswith(_POOL):
                continue
            named = _TRACE_ID.search(record.value)
            if named is None or named[1] not in wanted:
                continue
            wanted.discard(named[1])
            try:
                pools[named[1].decode()] = _pool(record.value)
            except msgspec.DecodeError:  # written by another version
                continue
            if not wanted:
                break
        return [_traced(slate, pools.get(slate.trace_id)) for slate in slates]

    def _backwards(self) -> Iterator[Stored]:
        """The last records, the newest first within a partition; partitions in turn."""
        begins, ends = self._log.begins(SERVED), self._log.ends(SERVED)
        left = self._lookback
        while left > 0 and any(end > begin for begin, end in zip(begins, ends, strict=True)):
            for partition, (begin, end) in enumerate(zip(begins, ends, strict=True)):
                start = max(begin, end - READ)
                ends[partition] = start
                left -= end - start
                yield from reversed(self._read(partition, start, end))

    def _read(self, partition: int, start: int, end: int) -> list[Stored]:
        try:
            return self._log.read(SERVED, partition, start, end - start) if end > start else []
        except (RecordCorrupt, OffsetGone):
            return []


def _named(record: Stored, request_id: str) -> SlateRecord | None:
    return next((slate for slate in _read(record) if slate.request_id == request_id), None)


def _read(record: Stored) -> list[SlateRecord]:
    try:
        return _slates(record.value).slates
    except msgspec.DecodeError:  # written by another version
        return []


def _traced(slate: SlateRecord, of: _Pool | None) -> Trace:
    if of is None:
        return Trace(slate, slate.user_id or "")
    return Trace(slate, of.user_id, of.pool, of.settings or {})
