"""Running candidate sources, each with a deadline (flow 8), on the thread that computes the slate.

A source that sleeps or raises costs its own candidates and nothing more. While sources are quick, one thread
carries a slate from end to end, which keeps what it reads in its core's cache: handing the sources to another
thread and their results back cost a fifth of a miss. One more thread watches. Where a source keeps the first
thread for long, another one goes on with the rest of them; at the deadline another one finishes the slate.
While a call of a source is still out of time, or as many as it may have run, the next slates go on without
it ("busy") instead of waiting or piling up threads.
"""

import threading
from collections import deque
from collections.abc import Callable
from functools import partial
from queue import SimpleQueue
from time import perf_counter
from typing import Any

import structlog

from shortlist.ops import telemetry
from shortlist.ranking.chain import Steps, Work
from shortlist.serving.workers import be_nice

log = structlog.get_logger()

LATE, FAILED, BUSY = "late", "failed", "busy"

STUCK_S = 0.010  # a source that keeps a thread for so long is left to it
IDLE_S = 1.0  # without any slate, after which the watching thread sleeps until the next one


class _Batch:
    """The sources of one slate. Lists and dicts are shared between threads by their atomic operations."""

    __slots__ = ("closed", "end", "names", "overdue", "results", "runner", "seen", "steps", "todo", "took",
                 "unfinished", "went_on", "why")  # fmt: skip

    def __init__(self, todo: deque[tuple[str, Callable[[], Any]]], steps: Steps[Any], end: float) -> None:
        self.todo, self.steps, self.end = todo, steps, end
        self.names = [name for name, _ in todo]
        self.unfinished = set(self.names)
        self.overdue: set[str] = set()
        self.results: dict[str, Any] = {}
        self.took: dict[str, float] = {}
        self.why: dict[str, str] = {}
        self.closed = False
        self.went_on = False  # whether a thread has gone on with the steps
        self.runner: int | None = threading.get_ident()  # the thread that began it, while it is in here
        self.seen = -1  # unfinished sources when the watching thread last looked: it has not yet


class Gatherer:
    """Threads shared by all slates, with a bound per source."""

    def __init__(
        self, deadline_s: float, *, in_flight: int, on_stuck: Callable[[int], None] | None = None
    ) -> None:
        """deadline_s: after a slate's sources began. in_flight: most calls of one source that may run, over
        all slates. on_stuck: told the identity of a thread that a source keeps beyond the deadline: it will
        come back from `carry` some time, its slate is finished by another one."""
        self.deadline_s, self.in_flight, self._on_stuck = deadline_s, in_flight, on_stuck
        self._running: dict[str, int] = {}
        self._overdue: dict[str, int] = {}
        self._active: dict[_Batch, None] = {}
        self._lock = threading.Lock()
        self._help: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._threads = self._idle = 0
        self._is_closed = False
        self._awake, self._is_parked = threading.Event(), False
        self._watcher = threading.Thread(target=self._watch, name="sources-watch", daemon=True)
        self._watcher.start()

    def carry(self, steps: Steps[Any]) -> None:
        """Take `steps` to their end, running what they ask for. On any thread that may block.

        Returns when they have ended, or when another thread carries them on. What they raise is theirs to
        catch: here it would be raised in whichever thread had them last.
        """
        work = next(steps, None)
        if work is not None:
            self._begin(steps, work)

    def close(self) -> None:
        """End the threads as they become free."""
        with self._lock:
            self._is_closed = True
        self._awake.set()
        for _ in range(self._threads):
            self._help.put(None)

    # --- one slate -------------------------------------------------------------------------------------

    def _begin(self, steps: Steps[Any], work: Work) -> None:
        todo: deque[tuple[str, Callable[[], Any]]] = deque()
        busy: dict[str, str] = {}
        with self._lock:
            for name, thunk in work.items():
                if self._overdue.get(name) or self._running.get(name, 0) >= self.in_flight:
                    busy[name] = BUSY
                else:
                    self._running[name] = self._running.get(name, 0) + 1
                    todo.append((name, thunk))
        batch = _Batch(todo, steps, perf_counter() + self.deadline_s)
        batch.why.update(busy)
        self._active[batch] = None
        if self._is_parked:
            self._awake.set()
        if not todo:
            batch.runner = None
            self._go_on(batch)
            return
        self._work_through(batch)

    def _work_through(self, batch: _Batch) -> None:
        """Run what no other thread has taken; go on with the steps if that was the last of it."""
        is_last = False
        while not batch.closed:
            try:
                name, thunk = batch.todo.popleft()
            except IndexError:
                break
            is_last = self._one(batch, name, thunk)
        with self._lock:
            if batch.runner == threading.get_ident():
                batch.runner = None
        if is_last:
            self._go_on(batch)

    def _one(self, batch: _Batch, name: str, thunk: Callable[[], Any]) -> bool:
        """Run one source; whether it was the last that was missing."""
        began, failure = perf_counter(), None
        try:
            batch.results[name] = thunk()
            batch.took[name] = perf_counter() - began
        except Exception as error:  # whatever it was, it costs this source's candidates and nothing more
            batch.why[name], failure = FAILED, error
        batch.unfinished.discard(name)
        if failure is not None:  # now that it cannot be taken for late any more: this writes a traceback
            log.error("source failed", source=name, exc_info=failure)
        if perf_counter() < batch.end:  # asked after the name is gone: whoever closes the batch sees that
            return not batch.unfinished
        with self._lock:
            if name in batch.overdue:
                self._running[name] -= 1
                self._overdue[name] -= 1
            return not batch.unfinished and not batch.closed

    def _go_on(self, batch: _Batch) -> None:
        """Give the steps what was found, unless another thread has."""
        with self._lock:
            if batch.went_on:
                return
            batch.went_on = True
            for name in batch.names:
                if name not in batch.overdue:
                    self._running[name] -= 1
            telemetry.SOURCE.observe(batch.took.copy())
        self._active.pop(batch, None)
        missing = batch.why.copy()
        results = batch.results.copy()
        for name, why in missing.items():
            results.pop(name, None)  # it came between the deadline and here: late is late
            telemetry.SOURCE_MISSING.labels(name, why).inc()
        try:
            work = batch.steps.send((results, missing))
        except StopIteration:
            return
        self._begin(batch.steps, work)

    # --- where a source is slow ------------------------------------------------------------------------

    def _watch(self) -> None:
        quiet = 0
        while not self._is_closed:
            if not self._active and quiet * STUCK_S >= IDLE_S:
                self._is_parked = True
                if not self._active:  # one that began meanwhile may have missed that this thread sleeps
                    self._awake.wait()
                self._awake.clear()
                self._is_parked, quiet = False, 0
            self._awake.wait(min(STUCK_S, self.deadline_s))
            batches = list(self._active)
            quiet = 0 if batches else quiet + 1
            now = perf_counter()
            for batch in batches:
                if now >= batch.end:
                    self._finish(batch)
                elif batch.todo and len(batch.unfinished) == batch.seen:
                    self._call_for_help(partial(self._work_through, batch))
                batch.seen = len(batch.unfinished)

    def _finish(self, batch: _Batch) -> None:
        """At the deadline: what has not come is late, and another thread goes on with what has."""
        unstarted: set[str] = set()
        while batch.todo:
            try:
                unstarted.add(batch.todo.popleft()[0])
            except IndexError:
                break
        with self._lock:
            if batch.closed or batch.went_on or not batch.unfinished:
                return  # a thread is on its way to go on
            batch.closed = True
            for name in tuple(batch.unfinished):
                batch.why[name] = LATE
                if name not in unstarted:
                    batch.overdue.add(name)
                    self._overdue[name] = self._overdue.get(name, 0) + 1
            stuck = batch.runner
            if stuck is not None and self._on_stuck is not None:
                self._on_stuck(stuck)
        self._call_for_help(partial(self._go_on, batch))

    def _call_for_help(self, work: Callable[[], None]) -> None:
        with self._lock:
            if self._is_closed:
                return
            needs_thread = not self._idle
            if needs_thread:
                self._threads += 1
            else:
                self._idle -= 1  # taken from now on, not from when it wakes up: the next call needs another
            number = self._threads
        if needs_thread:
            threading.Thread(target=self._lend_a_hand, name=f"sources-{number}", daemon=True).start()
        self._help.put(work)

    def _lend_a_hand(self) -> None:
        be_nice()
        while (work := self._help.get()) is not None:
            try:
                work()
            except Exception:  # of the steps: a thread outlives whatever it was given
                telemetry.FAILURES.labels("sources").inc()
                log.exception("steps failed")
            del work  # a waiting thread keeps no slate alive
            with self._lock:
                self._idle += 1
