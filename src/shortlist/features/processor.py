"""The loop that keeps features up to date: waits on the log, folds what came, says what was folded."""

import threading
import time
from collections.abc import Callable, Sequence
from itertools import compress
from operator import lt

import structlog

from shortlist.events.log import EVENTS, EventLog, OffsetGone, RecordCorrupt, Stored
from shortlist.features.store import FeatureStore, Folded, OffsetMoved, Step
from shortlist.ops import telemetry
from shortlist.progress import Report, silent

log = structlog.get_logger()

OnFolded = Callable[[Sequence[Folded]], None]

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
        """batch: most records folded at once. on_folded: called in the processor's thread after each time
        with what counted, by partition; an error in one is logged and stops nobody."""
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
        telemetry.LAG.set_function(self.lag)
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
        ends, begun = self._log.ends(EVENTS), list(self._offsets)
        total = max(1, sum(ends) - sum(begun))
        while behind := self._behind(ends):
            self._fold(behind)
            report(stage, min(1.0, (sum(self._offsets) - sum(begun)) / total))
        report(stage, 1.0)
        return sum(max(0, at - before) for at, before in zip(self._offsets, begun, strict=True))

    def _run(self) -> None:
        ends = self._log.ends(EVENTS)
        while True:
            if behind := self._behind(ends):
                if self._stopping.is_set() and time.monotonic() > self._drain_until:
                    return
                self._fold_safely(behind)
            elif self._stopping.is_set():
                return
            else:
                ends = self._log.wait(EVENTS, ends, WAIT_S)

    def _behind(self, ends: Sequence[int]) -> list[int]:
        return list(compress(range(len(ends)), map(lt, self._offsets, ends)))

    def _fold_safely(self, partitions: Sequence[int]) -> None:
        """The edge of the loop: a failure costs one partition one attempt, never the thread."""
        try:
            self._fold(partitions)
        except Exception:
            if len(partitions) > 1:  # whose failure it is shows when each is alone
                for partition in partitions:
                    self._fold_safely([partition])
                return
            [partition] = partitions
            self._failed()
            log.exception("fold failed; trying again", partition=partition, offset=self._offsets[partition])
            self._stopping.wait(WAIT_S)

    def _fold(self, partitions: Sequence[int]) -> None:
        """One batch of records, of as many of these partitions as it takes to fill it."""
        recent = self._log.recent(EVENTS, self._offsets)
        steps, room = [], self._batch
        for partition in partitions:
            if room and (batch := recent.get(partition) or self._read(partition, room)):
                batch = batch[:room]
                steps.append(Step(partition, batch, self._offsets[partition], batch[-1].offset + 1))
                room -= len(batch)
        if steps:
            self._fold_steps(steps)

    def _read(self, partition: int, limit: int) -> list[Stored]:
        """What the partition holds next; nothing where it had to be passed over."""
        offset = self._offsets[partition]
        try:
            return self._log.read(EVENTS, partition, offset, limit)
        except OffsetGone as gone:
            log.error("events are gone unfolded", partition=partition, offset=offset, begin=gone.begin)
            self._pass_over(partition, gone.begin)
        except RecordCorrupt as corrupt:
            log.error("record passed over", partition=partition, offset=corrupt.offset, why=str(corrupt))
            self._unreadable()
            self._pass_over(partition, corrupt.offset + 1)
        return []

    def _fold_steps(self, steps: Sequence[Step]) -> None:
        first = steps[0]
        try:
            folded = self._store.fold_together(steps)
        except OffsetMoved as moved:
            if len(steps) > 1:
                for step in steps:
                    self._fold_steps([step])
                return
            log.warning(
                "partition taken over", partition=first.partition, stored=moved.stored, expected=first.expect
            )
            self._offsets[first.partition] = moved.stored
            return
        except POISON:
            # Something in one of these records. Alone, each folds or is the culprit.
            self._failed()
            if sum(len(step.batch) for step in steps) > 1:
                log.exception(
                    "batch does not fold; going one by one", partitions=[s.partition for s in steps]
                )
                for step in steps:
                    self._fold_one_by_one(step)
                return
            log.exception(
                "record does not fold and is passed over", partition=first.partition, offset=first.expect
            )
            self._unreadable()
            self._pass_over(first.partition, first.next_offset)
            return
        for one in folded:
            self._offsets[one.partition] = one.next_offset
        self._count(folded)
        oldest_ms = min(step.batch[0].appended_ms for step in steps)
        telemetry.EVENT_VISIBLE.observe(max(0.0, time.time() - oldest_ms / 1000))
        self._tell(folded)

    def _fold_one_by_one(self, step: Step) -> None:
        for record in step.batch:
            expect, next_offset = self._offsets[step.partition], record.offset + 1
            if expect < next_offset:
                self._fold_steps([Step(step.partition, [record], expect, next_offset)])

    def _count(self, folded: Sequence[Folded]) -> None:
        events = sum(len(one.events) for one in folded)
        self.folded += events
        telemetry.EVENTS_FOLDED.inc(events)
        if duplicates := sum(one.duplicates for one in folded):
            self.duplicates += duplicates
            telemetry.EVENTS_DUPLICATE.inc(duplicates)
        if unreadable := sum(one.unreadable for one in folded):
            self.unreadable += unreadable
            telemetry.EVENTS_UNREADABLE.inc(unreadable)

    def _unreadable(self) -> None:
        self.unreadable += 1
        telemetry.EVENTS_UNREADABLE.inc()

    def _failed(self) -> None:
        self.failures += 1
        telemetry.FAILURES.labels("processor").inc()

    def _pass_over(self, partition: int, next_offset: int) -> None:
        self._store.fold(partition, [], expect=self._offsets[partition], next_offset=next_offset)
        self._offsets[partition] = next_offset

    def _tell(self, folded: Sequence[Folded]) -> None:
        for listener in self._listeners:
            try:
                listener(folded)
            except Exception:
                self._failed()
                log.exception("listener failed", partitions=[one.partition for one in folded])
