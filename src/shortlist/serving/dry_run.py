"""What a rule would do: logged slates, cut again from their pools with and without it."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from time import perf_counter
from typing import TypeVar

import msgspec
import numpy as np
from msgspec import Struct

from shortlist.catalog.rule import Rule
from shortlist.catalog.table import ItemTable
from shortlist.events.log import SERVED, EventLog, Stored
from shortlist.events.scan import scan
from shortlist.ranking import rerank
from shortlist.serving import names
from shortlist.serving.cache import Pool
from shortlist.serving.known import Known, applied
from shortlist.serving.pool import Cut, cut
from shortlist.serving.recommend import category_code
from shortlist.serving.slate import BROWSING
from shortlist.serving.snapshot import Snapshot
from shortlist.settings import RuleSettings

T = TypeVar("T")

SAMPLE, MOST = 500, 2_000  # slates looked at when nobody says, and at most
TAIL = 400  # last records of each partition of the log that are looked at
AT_ONCE = 50  # records in memory, of up to 60 kB each
TOP = 20  # items gained or lost that are named
SEED = 7  # of the choice among more slates than are looked at


class _Without(Struct, frozen=True):
    """What a slate was cut without."""

    exclude: tuple[str, ...] = ()
    after: tuple[str, ...] = ()


class _Slate(Struct, frozen=True):
    """What is needed of a logged slate to cut it again."""

    ts: int
    user_id: str | None = None
    trace_id: str = ""
    page: int = 1
    context: str = BROWSING
    category: str = ""
    filter: str = ""
    limit: int = 0
    items: list[str] = []
    cut: _Without = _Without()


class _Named(Struct, frozen=True):
    """Which pool a record holds."""

    trace_id: str


class _Record(Struct, frozen=True):
    """A record of the log of slates served: slates, or a pool."""

    slates: list[_Slate] = []
    pool: _Named | None = None


class _Whole(Struct, frozen=True):
    """A record of a pool with all that it holds: 75 kB in memory, so only those of the sample are read."""

    pool: Pool


_decode = msgspec.json.Decoder(_Record).decode
_decode_whole = msgspec.json.Decoder(_Whole).decode


@dataclass(frozen=True, slots=True)
class Sample:
    """Logged slates, oldest first, and the pools they were cut from, by trace_id."""

    slates: list[_Slate]
    pools: dict[str, Pool]


class Moved(Struct, frozen=True):
    """An item that a rule brings into slates, or takes out of them: of how many."""

    item_id: str
    title: str
    slates: int


class DryRun(Struct, frozen=True):
    """What a draft would have done to the slates of a sample of requests.

    matches: items that its condition holds for. slates: looked at. affected: other items, or another order.
    gained, lost: items, those of most slates first. short, short_before: slates with fewer items than were
    asked for, with the draft and without. refilled: slates for which the user's own list would not do, and
    popular items filled up. first_ms, last_ms: when the first and last of them were served. warnings: what
    the draft names that no item has now.
    """

    matches: int
    slates: int
    affected: int
    share: float
    gained: list[Moved]
    lost: list[Moved]
    short: int
    short_before: int
    refilled: int
    first_ms: int | None
    last_ms: int | None
    took_ms: float
    warnings: tuple[str, ...] = ()


def sample_of(log: EventLog, most: int) -> Sample:
    """At most `most` of the last slates that came from pools, evenly by chance. Blocking."""
    slates: list[_Slate] = []
    places: dict[str, Stored] = {}
    for stored in _tail(log):
        record = _read(stored, _decode)
        if record is None:
            continue
        slates += [slate for slate in record.slates if slate.trace_id]
        if record.pool is not None:
            places[record.pool.trace_id] = msgspec.structs.replace(stored, value=b"")
    slates = [slate for slate in slates if slate.trace_id in places]
    if len(slates) > most:
        chosen = np.random.default_rng(SEED).choice(len(slates), most, replace=False)
        slates = [slates[at] for at in chosen.tolist()]
    pools = dict(_pools(log, [places[trace_id] for trace_id in {slate.trace_id for slate in slates}]))
    # A pool that went meanwhile, or of another version's making, takes its slates along.
    slates = [slate for slate in slates if slate.trace_id in pools]
    return Sample(sorted(slates, key=lambda slate: slate.ts), pools)


def dry_run(
    draft: Rule | None,
    sample: Sample,
    snapshot: Snapshot,
    know: Callable[[str], Known],
    nobody: Known,
    rules: RuleSettings,
) -> DryRun:
    """Cut every slate of the sample under today's rules, and under those with the draft.

    draft: replaces the rule with its id, if there is one; its window does not matter, it is taken as open.
    None: today's rules are compared with none at all. know: the user as of now. Blocking; serving does not
    notice. Order and scores are those of the time; an item that was not in the user's pool then cannot be
    gained by a boost here. Raises RuleInvalid.
    """
    began = perf_counter()
    book = snapshot.rulebook
    if draft is None:
        before, after = book.changed([]), book
    else:
        draft = msgspec.structs.replace(draft, start=None, end=None, enabled=True)
        before, after = book, book.changed([*(rule for rule in book.rules if rule.id != draft.id), draft])
    was_snapshot, now_snapshot = replace(snapshot, rulebook=before), replace(snapshot, rulebook=after)
    gained: Counter[str] = Counter()
    lost: Counter[str] = Counter()
    affected = short = short_before = refilled = 0
    people: dict[str, Known] = {}
    for slate in sample.slates:
        known = nobody
        if slate.user_id is not None:
            known = people.get(slate.user_id) or people.setdefault(slate.user_id, know(slate.user_id))
        pool = sample.pools[slate.trace_id]
        was = _again(slate, pool, replace(known, snapshot=was_snapshot), rules)
        now = _again(slate, pool, replace(known, snapshot=now_snapshot), rules)
        limit = slate.limit or len(slate.items)
        short += len(now.items) < limit
        short_before += len(was.items) < limit
        refilled += now.is_filled and not was.is_filled
        if now.positions != was.positions:
            affected += 1
            gained.update({item.item_id for item in now.items} - {item.item_id for item in was.items})
            lost.update({item.item_id for item in was.items} - {item.item_id for item in now.items})
    times = [slate.ts for slate in sample.slates]
    return DryRun(
        matches=after.matches(draft.id) if draft is not None else 0,
        slates=len(sample.slates),
        affected=affected,
        share=round(affected / len(sample.slates), 4) if sample.slates else 0.0,
        gained=_named(gained, snapshot.table),
        lost=_named(lost, snapshot.table),
        short=short,
        short_before=short_before,
        refilled=refilled,
        first_ms=min(times, default=None),
        last_ms=max(times, default=None),
        took_ms=round((perf_counter() - began) * 1000.0, 1),
        warnings=names.warnings(draft, snapshot.table) if draft is not None else (),
    )


def _again(slate: _Slate, pool: Pool, known: Known, rules: RuleSettings) -> Cut:
    code = category_code(slate.category, known.snapshot)
    return cut(
        _ranked(pool, known, rules, code, slate.context),
        known,
        rules,
        slate.limit or max(1, len(slate.items)),
        slate.page,
        exclude=slate.cut.exclude,
        after=slate.cut.after,
        category=code,
        context=slate.context,
        where=slate.filter,
    )


def _ranked(pool: Pool, known: Known, rules: RuleSettings, code: int, context: str) -> Pool:
    """The pool in the order that these boosts and buries make, those of its own time taken off."""
    factors = applied(known, rules, code, context).factors
    if factors is None and not pool.factors:
        return pool
    scored = [item for item in pool.items if item.score > 0]
    own = np.array([item.score / pool.factors.get(item.item_id, 1.0) for item in scored], np.float32)
    find = known.snapshot.table.position
    places = np.array([find(item.item_id) for item in scored], np.int32)
    scores = rerank.weighted(places, own, factors)
    rest = [item for item in pool.items if item.score <= 0]
    return msgspec.structs.replace(pool, items=[scored[at] for at in rerank.ranking(scores).tolist()] + rest)


def _named(counts: Counter[str], table: ItemTable) -> list[Moved]:
    ordered = sorted(counts.items(), key=lambda entry: (-entry[1], entry[0]))[:TOP]
    return [Moved(item_id, _title(item_id, table), count) for item_id, count in ordered]


def _title(item_id: str, table: ItemTable) -> str:
    at = table.position(item_id)
    item = table.items[at] if at >= 0 else None
    return item.title if item is not None else ""


def _tail(log: EventLog) -> Iterator[Stored]:
    """The last records of each partition, as far as they can be read."""
    begins, ends = log.begins(SERVED), log.ends(SERVED)
    for partition, (begin, end) in enumerate(zip(begins, ends, strict=True)):
        yield from scan(log, SERVED, partition, max(begin, end - TAIL), end, at_once=AT_ONCE)


def _pools(log: EventLog, places: Iterable[Stored]) -> Iterator[tuple[str, Pool]]:
    for place in places:
        for stored in scan(log, SERVED, place.partition, place.offset, place.offset + 1):
            record = _read(stored, _decode_whole)
            if record is not None:
                yield record.pool.trace_id, record.pool


def _read(stored: Stored, decode: Callable[[bytes], T]) -> T | None:
    """A record; None for one that another version wrote."""
    try:
        return decode(stored.value)
    except msgspec.DecodeError:
        return None
