"""Threads that compute slates: what a request waits for goes first, background work never takes them all."""

import sys
import threading
from collections import deque
from collections.abc import Callable
from queue import SimpleQueue

import structlog

from shortlist.ops import telemetry

log = structlog.get_logger()

Work = Callable[[], None]
"""Hands its result on by itself; what it raises is counted and logged."""

# Worker threads yield to the event loop: the hit's p99 beside misses fell from 3.0 to 1.7 ms. Not lower than
# this, or a browser drawing on the same machine starves them and the slate comes from a fallback.
NICE = 4


def be_nice() -> None:
    """Lower the calling thread's priority, where the system has one per thread."""
    if sys.platform == "linux":
        import os

        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICE)


class Workers:
    """A fixed number of threads with two queues: urgent work, and bounded background work.

    Background work runs on all threads but one (on the one, if there is only one).
    """

    def __init__(self, name: str, threads: int, *, background: int = 1024, nice: bool = True) -> None:
        self._urgent: deque[Work] = deque()
        self._background: deque[Work] = deque()
        self._most_background, self._nice = background, nice
        self._background_threads = max(1, threads - 1)
        self._in_background = 0
        self._set_aside = 0  # tokens whose background work had to wait for a thread
        self._lock = threading.Lock()
        self._tokens: SimpleQueue[bool] = SimpleQueue()  # one per piece of work; False ends a thread
        self._threads = [
            threading.Thread(target=self._run, name=f"{name}-{number}", daemon=True)
            for number in range(threads)
        ]
        for thread in self._threads:
            thread.start()

    def submit(self, work: Work) -> None:
        """Run `work` as soon as a thread is free, before all background work."""
        self._urgent.append(work)
        self._tokens.put(True)

    def submit_background(self, work: Work) -> bool:
        """Run `work` when nothing urgent waits; False, doing nothing, when too much waits already."""
        if len(self._background) >= self._most_background:
            return False
        self._background.append(work)
        self._tokens.put(True)
        return True

    @property
    def waiting(self) -> int:
        """How much urgent work no thread has taken."""
        return len(self._urgent)

    def close(self) -> None:
        """Finish what runs, drop what waits, end the threads (those that hang are left to the process)."""
        self._urgent.clear()
        self._background.clear()
        for _ in self._threads:
            self._tokens.put(False)
        for thread in self._threads:
            thread.join(timeout=1.0)

    def _run(self) -> None:
        if self._nice:
            be_nice()
        while self._tokens.get():
            work, is_background = self._next()
            if work is None:
                continue
            try:
                work()
            except Exception:  # a thread outlives whatever it was given
                telemetry.FAILURES.labels("workers").inc()
                log.exception("work failed")
            del work
            if is_background:
                with self._lock:
                    self._in_background -= 1
                    waiting, self._set_aside = self._set_aside, 0
                for _ in range(waiting):
                    self._tokens.put(True)

    def _next(self) -> tuple[Work | None, bool]:
        with self._lock:
            if self._urgent:
                return self._urgent.popleft(), False
            if self._background:
                if self._in_background < self._background_threads:
                    self._in_background += 1
                    return self._background.popleft(), True
                self._set_aside += 1
            return None, False
