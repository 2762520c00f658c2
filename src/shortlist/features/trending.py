"""What trends: events per item, overall and by category, each worth half after a half-life (flow 8).

Forward decay: an event at `ts` adds w × 2^((ts - landmark) / half-life) and nothing is ever scaled down, so
additions commute and partitions can be summed. The landmark moves before the exponent overflows a double.
Source: Cormode, Shkapenyuk, Srivastava and Xu, Forward Decay, ICDE 2009.
"""

import heapq
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import Any

import msgspec
import structlog
from msgspec import Struct

from shortlist import files
from shortlist.events.event import INTERACTIONS, Event, EventType
from shortlist.events.log import EVENTS, EventLog
from shortlist.features.replay import counted
from shortlist.features.store import FeatureStore, Folded
from shortlist.settings import Settings

log = structlog.get_logger()

HOUR_MS = 3_600_000
DAY_MS = 86_400_000
# Items in a published list: the largest slate, and as much again for what filters take out.
LISTED = 200
PUBLISH_S = 1.0
SAVE_S = 10.0
# Events counted between two looks at the lock: 5,000 take about 5 ms.
REPLAY_STEP = 5_000
# Doubles overflow at 2^1024. Half of it leaves room for weights and for billions of events.
MOVE_AT = 512.0
# Below 2^-60 of the newest event nothing trends: it neither adds an item nor keeps one.
FORGET_BELOW = 2.0**-60
# A bound on memory against invented ids: 200,000 items × 2 sums × about 150 bytes = 60 MB.
MAX_ITEMS = 200_000


class _Saved(Struct):
    """A checkpoint: sums, and per partition the offset up to which they count."""

    half_life_ms: float
    landmark_ms: int
    latest_ms: int
    offsets: list[int]
    items: dict[str, float]
    categories: dict[str, dict[str, float]]


class Published(Struct, frozen=True):
    """Lists and weights of one moment. Weights are in events, as they count at the latest event's time."""

    overall: tuple[str, ...] = ()
    by_category: Mapping[str, tuple[str, ...]] = {}
    weights: Mapping[str, float] = {}


class DecayedCounts:
    """Decayed sums by item and by category and item. Not thread-safe."""

    def __init__(self, half_life_ms: float, weights: Mapping[str, float], *, most: int = MAX_ITEMS) -> None:
        """weights: of an event, by type; a negative one lowers, of whatever type, and only interactions lift.
        most: items kept, and pairs of category and item."""
        self._most = most
        self.half_life_ms = half_life_ms
        self._weights = {
            kind: weight
            for kind in EventType
            if (weight := weights.get(kind, 0.0)) < 0 or (weight > 0 and kind in INTERACTIONS)
        }
        self.landmark_ms = 0
        self.latest_ms = 0
        self.items: dict[str, float] = {}
        self.categories: dict[str, dict[str, float]] = {}
        self.changed: set[str] = set()  # categories with sums that no list shows yet

    def add(self, events: Iterable[Event], not_after_ms: int) -> bool:
        """Count `events`; whether any of them mattered.

        not_after_ms: later ones are left out, since one event of the year 9999 would outweigh all others."""
        mattered = False
        floor = FORGET_BELOW * self._unit()
        for event in events:
            weight = self._weights.get(event.type)
            if weight is None or event.ts > not_after_ms:
                continue
            exponent = (event.ts - self.landmark_ms) / self.half_life_ms
            if exponent > MOVE_AT:
                self._move(event.ts)
                exponent = 0.0
                floor = FORGET_BELOW * self._unit()
            if event.ts > self.latest_ms:
                self.latest_ms = event.ts
                floor = FORGET_BELOW * self._unit()
            amount = weight * 2.0 ** max(exponent, -1_000.0)
            if abs(amount) < floor:
                continue
            mattered = True
            item = event.item_id
            self.items[item] = self.items.get(item, 0.0) + amount
            if event.category is not None:
                sums = self.categories.setdefault(event.category, {})
                sums[item] = sums.get(item, 0.0) + amount
                self.changed.add(event.category)
        return mattered

    def forget(self) -> None:
        """Drop what no longer trends, and the weakest above the bounds on memory."""
        floor = FORGET_BELOW * self._unit()
        self.items = _strongest(self.items, floor, self._most)
        for category, sums in list(self.categories.items()):
            if kept := _strongest(sums, floor, self._most):
                self.categories[category] = kept
            else:
                del self.categories[category]
        pairs = sum(map(len, self.categories.values()))
        if pairs > self._most:
            weakest_last = sorted(self.categories, key=lambda c: -max(self.categories[c].values()))
            while pairs > self._most and len(weakest_last) > 1:
                pairs -= len(self.categories.pop(weakest_last.pop()))

    def weights(self) -> dict[str, float]:
        """Every item's sum as it counts at the latest event's time, of those that trend at all."""
        unit = self._unit()
        return {item: value / unit for item, value in self.items.items() if value > 0}

    def _unit(self) -> float:
        """What an event of weight 1 at the latest time adds."""
        return float(2.0 ** max(-1_000.0, (self.latest_ms - self.landmark_ms) / self.half_life_ms))

    def _move(self, landmark_ms: int) -> None:
        """Count from a later landmark: every sum shrinks by what the exponents of new events lose."""
        factor = 2.0 ** max(-1_074.0, (self.landmark_ms - landmark_ms) / self.half_life_ms)
        self.landmark_ms = landmark_ms
        self.items = {item: value * factor for item, value in self.items.items()}
        for category, sums in self.categories.items():
            self.categories[category] = {item: value * factor for item, value in sums.items()}


class TrendingCounts:
    """The one owner of the counts: fed by the processor, it publishes lists every second.

    Its own checkpoint is a file with sums and offsets; what came after is replayed from the log at start.
    """

    def __init__(
        self,
        events: EventLog,
        store: FeatureStore,
        settings: Settings,
        *,
        file: Path | None = None,
        now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        """file: the checkpoint; None keeps none."""
        self._log = events
        self._store = store
        self._dedup_window = settings.log.dedup_window
        self._file = file
        self._now_ms = now_ms
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        weights = settings.weights.by_type()
        self._counts = DecayedCounts(settings.features.trending_half_life_h * HOUR_MS, weights)
        self._offsets = events.begins(EVENTS)
        self._is_unpublished = self._is_unsaved = False
        self._published = Published()
        self._load()
        self.publish()

    # --- what others read: no lock, a whole moment at a time -------------------------------------------

    @property
    def published(self) -> Published:
        """The lists of this moment."""
        return self._published

    def top(self, category: str | None, n: int) -> list[str]:
        """Up to `n` item ids, most trending first; category None: overall."""
        published = self._published
        found = published.overall if category is None else published.by_category.get(category, ())
        return list(found[:n])

    def weights(self) -> Mapping[str, float]:
        """Decayed events by item id; items missing here have none worth mentioning."""
        return self._published.weights

    # --- feeding ---------------------------------------------------------------------------------------

    def on_folded(self, folded: Sequence[Folded]) -> None:
        """Count what the processor folded. What does not follow on what is counted waits for the replay."""
        with self._lock:
            following = [one for one in folded if self._offsets[one.partition] == one.offset]
            for one in following:
                self._offsets[one.partition] = one.next_offset
            self._count(chain.from_iterable(one.events for one in following))

    def replay(self) -> None:
        """Count from the log what was folded and is not counted yet. Beside a running processor, too."""
        for partition in range(len(self._offsets)):
            while self._offsets[partition] < self._store.offset(partition) and not self._stopping.is_set():
                self._replay(partition, self._store.offset(partition))

    def _replay(self, partition: int, end: int) -> None:
        """Count up to `end`, in steps; stop where the processor's own call came between."""
        at = self._offsets[partition]
        start = max(at, self._log.begins(EVENTS)[partition])
        events = counted(self._log, partition, start, end, self._dedup_window)
        while step := list(islice(events, REPLAY_STEP)):
            # Fewer than asked for: the rest up to the end are repeats or no events.
            next_offset = end if len(step) < REPLAY_STEP else step[-1][0].offset + 1
            if not self._count_from(partition, at, [event for _, event in step], next_offset):
                return
            at = next_offset
        self._count_from(partition, at, [], end)

    def _count_from(self, partition: int, at: int, events: list[Event], next_offset: int) -> bool:
        with self._lock:
            if self._offsets[partition] != at:
                return False
            self._offsets[partition] = next_offset
            self._count(events)
            return True

    def _count(self, events: Iterable[Event]) -> None:
        self._is_unsaved = True
        if self._counts.add(events, not_after_ms=self._now_ms() + DAY_MS):
            self._is_unpublished = True

    # --- publishing and saving -------------------------------------------------------------------------

    def publish(self) -> None:
        """Make new lists of what changed."""
        with self._lock:
            if not self._is_unpublished:
                return
            self._is_unpublished = False
            counts = self._counts
            changed, counts.changed = counts.changed, set()
            lists = {c: _best(counts.categories[c]) for c in changed if c in counts.categories}
            kept = {c: ids for c, ids in self._published.by_category.items() if c in counts.categories}
            self._published = Published(_best(counts.items), kept | lists, counts.weights())

    def forget(self) -> None:
        """Keep memory bounded; see `DecayedCounts.forget`."""
        with self._lock:
            self._counts.forget()

    def save(self) -> None:
        """Write the checkpoint: a whole one or none."""
        if self._file is None:
            return
        with self._lock:
            if not self._is_unsaved:
                return
            self._is_unsaved = False
            counts = self._counts
            saved = _Saved(
                counts.half_life_ms,
                counts.landmark_ms,
                counts.latest_ms,
                list(self._offsets),
                counts.items.copy(),
                {category: sums.copy() for category, sums in counts.categories.items()},
            )
        files.replace(self._file, msgspec.msgpack.encode(saved))

    def _load(self) -> None:
        saved = self._read()
        if saved is None:
            return
        ends = self._log.ends(EVENTS)
        fits = saved.half_life_ms == self._counts.half_life_ms and len(saved.offsets) == len(ends)
        # Counts of records that this log does not hold: it was replaced under the file.
        if not fits or any(at > end for at, end in zip(saved.offsets, ends, strict=True)):
            log.warning("trending starts over from the log", file=str(self._file))
            return
        self._offsets = saved.offsets
        counts = self._counts
        counts.landmark_ms, counts.latest_ms = saved.landmark_ms, saved.latest_ms
        counts.items, counts.categories = saved.items, saved.categories
        counts.changed = set(saved.categories)
        self._is_unpublished = True

    def _read(self) -> _Saved | None:
        if self._file is None or not self._file.exists():
            return None
        try:
            return msgspec.msgpack.decode(self._file.read_bytes(), type=_Saved)
        except (msgspec.DecodeError, OSError) as error:
            log.warning("trending checkpoint unreadable", file=str(self._file), why=str(error))
            return None

    # --- running ---------------------------------------------------------------------------------------

    def start(self) -> None:
        """Catch up, then publish and save in a thread until `stop`."""
        self._thread = threading.Thread(target=self._run, name="trending", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Save and end. After the processor's `stop`, so that nothing is counted any more."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
            self._safely(self.save)

    def _run(self) -> None:
        self._safely(self.replay)
        saved = time.monotonic()
        while True:
            self._safely(self.publish)
            if time.monotonic() - saved > SAVE_S:
                self._safely(self.forget)
                self._safely(self.save)
                saved = time.monotonic()
            if self._stopping.wait(PUBLISH_S):
                return

    def _safely(self, step: Callable[[], Any]) -> None:
        """The edge of the loop: old lists are better than no thread."""
        try:
            step()
        except Exception:
            log.exception("trending step failed", step=step.__name__)


def _best(sums: Mapping[str, float]) -> tuple[str, ...]:
    """The strongest items first; equal ones by id, so that every run publishes the same."""
    return tuple(
        item
        for _, item in heapq.nsmallest(LISTED, ((-value, item) for item, value in sums.items() if value > 0))
    )


def _strongest(sums: dict[str, float], floor: float, most: int) -> dict[str, float]:
    if len(sums) <= most and min(sums.values(), default=floor) >= floor:
        return sums
    kept = {item: value for item, value in sums.items() if abs(value) >= floor}
    if len(kept) > most:  # down to half, so that it is not done again at the next event
        kept = dict(heapq.nlargest(most // 2, kept.items(), key=lambda entry: entry[1]))
    return kept
