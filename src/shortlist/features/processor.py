"""The loop that keeps features up to date: waits on the log, folds what came, says what was folded."""

import threading
import time
from collections.abc import Callable, Sequence

import structlog

from shortlist.events.log import EVENTS, EventLog, OffsetGone, RecordCorrupt, Stored
from shortlist.features.store import FeatureStore, Folded, OffsetMoved
from shortlist.ops import telemetry
from shortlist.progress import Report, silent

log = structlog.get_logger()

OnFolded = Callable[[int, Folded], None]

# How long the loop sleeps in the log before it looks whether it should stop, and after a failure.
WAIT_S = 0.5

# What a value can bring about. Anything else is a fault of ours or of the engine, which must not cost events:
# the partition then waits, and is tried again.
POISON = (ValueError, ArithmeticError, RecursionError)


class Processor:
    """Folds every partition of clickstream.events into the feature store, from where the store stands.

    Exactly once is the store's doing: a batch and its offset go in together, or not at all."""

    def __init__(
        self, events: EventLog, store: FeatureStore, *, batch: int = 200, on_folded: Sequence[OnFolded] = ()
    ) -> None:
        """batch: most records folded in one step. on_folded: called in the processor's thread after each
        step with the partition and what counted; an error in one is logged and stops nobody."""
        self._log = events
        self._store = store
        self._batch = batch
        self._listeners = list(on_folded)
        self._stopping = threading.Event()
        self._drain_until = 0.0
        self._thread: threading.Thread | None = None
        partitions = events.partitions(EVENTS)
        self._offsets = [store.offset(partition) for partition in range(partitions)]
        self.folded = 0
        self.duplicates = 0
        self.unreadable = 0
        self.failures = 0

    def on_folded(self, listener: OnFolded) -> None:
        """One more to tell. Before `start`."""
        self._listeners.append(listener)

    def start(self) -> None:
        """Fold in a thread of its own until `stop`."""
        self._thread = threading.Thread(target=self._run, name="processor", daemon=True)
        self._thread.start()

    def stop(self, drain_s: float = 5.0) -> None:
        """Fold what the log holds, for at most `drain_s`, and end; the next start folds what is left."""
        self._drain_until = time.monotonic() + drain_s
        self._stopping.set()
        if self._thread is not None:
            self._thread.join()

    def lag(self) -> int:
        """Events in the log that are not folded yet."""
        ends = self._log.ends(EVENTS)
        return sum(max(0, end - offset) for end, offset in zip(ends, self._offsets, strict=True))

    def fold_all(self, report: Report = silent, stage: str = "Folding events") -> int:
        """Fold everything that the log holds now, in this thread; how many records that were."""
        ends = self._log.ends(EVENTS)
        total = max(1, sum(ends) - sum(self._offsets))
        done = 0
        for partition, end in enumerate(ends):
            while (before := self._offsets[partition]) < end:
                self._fold(partition)
                done += max(0, self._offsets[partition] - before)
                report(stage, min(1.0, done / total))
        report(stage, 1.0)
        return done

    def _run(self) -> None:
        ends = self._log.ends(EVENTS)
        while True:
            behind = [p for p, end in enumerate(ends) if self._offsets[p] < end]
            for partition in behind:
                if self._stopping.is_set() and time.monotonic() > self._drain_until:
                    return
                self._fold_safely(partition)
            telemetry.LAG.set(sum(max(0, end - at) for end, at in zip(ends, self._offsets, strict=True)))
            if behind:
                ends = self._log.ends(EVENTS)
            elif self._stopping.is_set():
                return
            else:
                ends = self._log.wait(EVENTS, ends, WAIT_S)

    def _fold_safely(self, partition: int) -> None:
        """The edge of the loop: a failure costs one attempt, never the thread."""
        try:
            self._fold(partition)
        except Exception:
            self._failed()
            log.exception("fold failed; trying again", partition=partition, offset=self._offsets[partition])
            self._stopping.wait(WAIT_S)

    def _fold(self, partition: int) -> None:
        """One batch of one partition."""
        offset = self._offsets[partition]
        try:
            batch = self._log.read(EVENTS, partition, offset, self._batch)
        except OffsetGone as gone:
            log.error("events are gone unfolded", partition=partition, offset=offset, begin=gone.begin)
            self._pass_over(partition, gone.begin)
            return
        except RecordCorrupt as corrupt:
            log.error("record passed over", partition=partition, offset=corrupt.offset, why=str(corrupt))
            self._unreadable()
            self._pass_over(partition, corrupt.offset + 1)
            return
        if batch:
            self._fold_batch(partition, batch)

    def _fold_batch(self, partition: int, batch: Sequence[Stored]) -> None:
        expect, next_offset = self._offsets[partition], batch[-1].offset + 1
        try:
            folded = self._store.fold(partition, batch, expect=expect, next_offset=next_offset)
        except OffsetMoved as moved:
            log.warning("partition taken over", partition=partition, stored=moved.stored, expected=expect)
            self._offsets[partition] = moved.stored
            return
        except POISON:
            # Something in this batch. Alone, each record folds or is the culprit.
            self._failed()
            if len(batch) > 1:
                log.exception("batch does not fold; going one by one", partition=partition, offset=expect)
                for record in batch:
                    self._fold_batch(partition, [record])
                return
            log.exception("record does not fold and is passed over", partition=partition, offset=expect)
            self._unreadable()
            self._pass_over(partition, next_offset)
            return
        self._offsets[partition] = next_offset
        self._count(folded)
        telemetry.EVENT_VISIBLE.observe(max(0.0, time.time() - batch[0].appended_ms / 1000))
        self._tell(partition, folded)

    def _count(self, folded: Folded) -> None:
        self.folded += len(folded.events)
        self.duplicates += folded.duplicates
        self.unreadable += folded.unreadable
        telemetry.EVENTS_FOLDED.inc(len(folded.events))
        telemetry.EVENTS_DUPLICATE.inc(folded.duplicates)
        telemetry.EVENTS_UNREADABLE.inc(folded.unreadable)

    def _unreadable(self) -> None:
        self.unreadable += 1
        telemetry.EVENTS_UNREADABLE.inc()

    def _failed(self) -> None:
        self.failures += 1
        telemetry.FAILURES.labels("processor").inc()

    def _pass_over(self, partition: int, next_offset: int) -> None:
        self._store.fold(partition, [], expect=self._offsets[partition], next_offset=next_offset)
        self._offsets[partition] = next_offset

    def _tell(self, partition: int, folded: Folded) -> None:
        for listener in self._listeners:
            try:
                listener(partition, folded)
            except Exception:
                self._failed()
                log.exception("listener failed", partition=partition)
