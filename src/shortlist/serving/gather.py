"""Running candidate sources side by side, each with a deadline (flow 8).

A source that sleeps or raises costs its own candidates and nothing more: the slate goes on at the deadline,
and while a call of it is still out of time, or as many as it may have run, the next slates go on without it
("busy") instead of waiting or piling up threads.
"""

import threading
from collections import deque
from collections.abc import Callable, Mapping
from queue import SimpleQueue
from time import perf_counter
from typing import Any, TypeVar

import structlog

from shortlist.ops import telemetry
from shortlist.serving.workers import be_nice

log = structlog.get_logger()
T = TypeVar("T")

LATE, FAILED, BUSY = "late", "failed", "busy"

# A thread works through the sources of one request one after the other, which is cheapest while they are
# quick. When it gets stuck on one for this long, another thread takes over the rest.
STUCK_S = 0.005


class _Batch:
    """The sources of one request. Lists and dicts are shared between threads by their atomic operations."""

    __slots__ = ("closed", "done", "names", "overdue", "results", "todo", "took", "unfinished", "why")

    def __init__(self, todo: deque[tuple[str, Callable[[], Any]]]) -> None:
        self.todo = todo
        self.names = [name for name, _ in todo]
        self.unfinished = set(self.names)
        self.overdue: set[str] = set()
        self.results: dict[str, Any] = {}
        self.took: dict[str, float] = {}
        self.why: dict[str, str] = {}
        self.closed = False
        self.done = threading.Lock()
        self.done.acquire()


class Gatherer:
    """Threads shared by all requests, with a bound per source. Called from worker threads."""

    def __init__(self, deadline_s: float, *, in_flight: int = 4) -> None:
        """deadline_s: after a call began. in_flight: most calls of one source that may run, over all
        requests."""
        self.deadline_s, self.in_flight = deadline_s, in_flight
        self._running: dict[str, int] = {}
        self._overdue: dict[str, int] = {}
        self._lock = threading.Lock()
        self._queue: SimpleQueue[_Batch | None] = SimpleQueue()
        self._threads = 0
        self._idle = 0
        self._is_closed = False

    def __call__(self, thunks: Mapping[str, Callable[[], T]]) -> tuple[dict[str, T], dict[str, str]]:
        """Results by name, and why for each that brought none: "late", "failed" or "busy"."""
        missing: dict[str, str] = {}
        todo: deque[tuple[str, Callable[[], T]]] = deque()
        with self._lock:
            for name, thunk in thunks.items():
                if self._overdue.get(name) or self._running.get(name, 0) >= self.in_flight:
                    missing[name] = BUSY
                else:
                    self._running[name] = self._running.get(name, 0) + 1
                    todo.append((name, thunk))
        if todo:
            batch = _Batch(todo)
            self._call_for_help(batch)
            if not self._wait(batch):
                self._close(batch, missing)
            missing |= batch.why.copy()
            for name, seconds in batch.took.copy().items():
                telemetry.SOURCE.labels(name).observe(seconds)
            results: dict[str, T] = batch.results.copy()
        else:
            results = {}
        for name, why in missing.items():
            results.pop(name, None)  # it came between the deadline and here: late is late
            telemetry.SOURCE_MISSING.labels(name, why).inc()
        return results, missing

    def close(self) -> None:
        """End the threads as they become free."""
        self._is_closed = True
        for _ in range(self._threads):
            self._queue.put(None)

    def _wait(self, batch: _Batch) -> bool:
        """True when every source has finished, False at the deadline."""
        end = perf_counter() + self.deadline_s
        unfinished = len(batch.names)
        while True:
            left = end - perf_counter()
            if left <= 0.0:
                return False
            if batch.done.acquire(timeout=min(STUCK_S, left)):
                return True
            if batch.todo and len(batch.unfinished) == unfinished:
                self._call_for_help(batch)
            unfinished = len(batch.unfinished)

    def _close(self, batch: _Batch, missing: dict[str, str]) -> None:
        batch.closed = True
        unstarted: set[str] = set()
        while batch.todo:
            try:
                unstarted.add(batch.todo.popleft()[0])
            except IndexError:
                break
        with self._lock:
            for name in batch.unfinished:
                missing[name] = LATE
                if name in unstarted:
                    self._running[name] -= 1
                else:
                    batch.overdue.add(name)
                    self._overdue[name] = self._overdue.get(name, 0) + 1

    def _call_for_help(self, batch: _Batch) -> None:
        with self._lock:
            needs_thread = self._idle <= self._queue.qsize() and not self._is_closed
            self._threads += needs_thread
            number = self._threads
        if needs_thread:
            threading.Thread(target=self._run, name=f"source-{number}", daemon=True).start()
        self._queue.put(batch)

    def _run(self) -> None:
        be_nice()
        while True:
            with self._lock:
                self._idle += 1
            batch = self._queue.get()
            with self._lock:
                self._idle -= 1
            if batch is None:
                return
            while batch.todo and not batch.closed:
                try:
                    name, thunk = batch.todo.popleft()
                except IndexError:  # another thread was faster
                    break
                self._one(batch, name, thunk)

    def _one(self, batch: _Batch, name: str, thunk: Callable[[], Any]) -> None:
        began = perf_counter()
        try:
            batch.results[name] = thunk()
            batch.took[name] = perf_counter() - began
        except Exception:  # whatever it was, it costs this source's candidates and nothing more
            batch.why[name] = FAILED
            log.exception("source failed", source=name)
        with self._lock:
            batch.unfinished.discard(name)
            self._running[name] -= 1
            if name in batch.overdue:
                self._overdue[name] -= 1
            is_last = not batch.unfinished
        if is_last:
            batch.done.release()
