"""Forgetting old records: never before their partition has a checkpoint from which to start again."""

import threading
import time
from collections.abc import Callable

import structlog

from shortlist.events.log import EVENTS, SERVED, EventLog
from shortlist.features.store import FeatureStore

log = structlog.get_logger()

DAY_MS = 86_400_000
EVERY_S = 3_600.0
# A checkpoint rewrites a partition's features: not worth it for fewer records.
LEAST = 1_000


def retain(
    events: EventLog, store: FeatureStore, *, days: float, dedup_window: int, now_ms: int, least: int = LEAST
) -> int:
    """Forget records appended more than `days` before `now_ms`; how many.

    Of events those stay that are not folded, and the last `dedup_window` of what is: a replay needs them to
    know repeats. Partitions with fewer than `least` records to forget are left for later."""
    oldest_ms = now_ms - int(days * DAY_MS)
    forgotten = 0
    for partition, begin in enumerate(events.begins(EVENTS)):
        cut = _first_since(events, EVENTS, partition, oldest_ms)
        if min(cut, store.offset(partition) - dedup_window) - begin < least:
            continue
        before = min(cut, store.checkpoint(partition) - dedup_window)
        events.truncate(EVENTS, partition, before)
        forgotten += before - begin
    for partition, begin in enumerate(events.begins(SERVED)):
        cut = _first_since(events, SERVED, partition, oldest_ms)
        if cut - begin >= least:
            events.truncate(SERVED, partition, cut)
            forgotten += cut - begin
    return forgotten


def _first_since(events: EventLog, topic: str, partition: int, since_ms: int) -> int:
    """The first offset appended at `since_ms` or later; the end where there is none. By bisection."""
    low, high = events.begins(topic)[partition], events.ends(topic)[partition]
    while low < high:
        middle = (low + high) // 2
        found = events.read(topic, partition, middle, 1)
        if found and found[0].appended_ms < since_ms:
            low = found[0].offset + 1
        else:
            high = middle
    return low


class Retention:
    """Runs `retain` every hour in a thread of its own; not at all when `days` is 0."""

    def __init__(
        self,
        events: EventLog,
        store: FeatureStore,
        *,
        days: float,
        dedup_window: int,
        now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        self._log = events
        self._store = store
        self._days = days
        self._dedup_window = dedup_window
        self._now_ms = now_ms
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Once now, then every hour."""
        if self._days > 0:
            self._thread = threading.Thread(target=self._run, name="retention", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """End after the partition at hand."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        while True:
            try:
                forgotten = retain(
                    self._log,
                    self._store,
                    days=self._days,
                    dedup_window=self._dedup_window,
                    now_ms=self._now_ms(),
                )
                log.info("old records forgotten", records=forgotten)
            except Exception:
                log.exception("retention failed; trying again in an hour")
            if self._stopping.wait(EVERY_S):
                return
