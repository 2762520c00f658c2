"""A pool being computed: one flight per user and kind of slate, however many ask for it."""

import asyncio
from dataclasses import dataclass
from threading import Lock

from shortlist.serving.cache import Pool
from shortlist.serving.hot import Hot, Page
from shortlist.serving.known import Known
from shortlist.serving.on_loop import give
from shortlist.serving.slate import Ask
from shortlist.serving.snapshot import Snapshot
from shortlist.serving.tracks import Track


@dataclass(slots=True, frozen=True)
class Landed:
    """What a flight brought: the pool and what its filters knew; of default slates the first page and the
    ready body as well."""

    pool: Pool
    known: Known
    page: Page | None = None
    hot: Hot | None = None


class Flight:
    """The event loop starts and ends it; a worker thread takes it once, before it reads any features.

    moves: what `track.moves` was when it was taken, -1 until then. It answers whoever asked while that still
    holds; who asks later starts another one.
    """

    __slots__ = (
        "_taken",
        "ask",
        "begin_by",
        "cause",
        "future",
        "is_urgent",
        "key",
        "moves",
        "snapshot",
        "track",
        "waiters",
    )

    def __init__(
        self,
        *,
        key: str,
        ask: Ask,
        cause: str,
        track: Track,
        snapshot: Snapshot,
    ) -> None:
        self.key, self.ask, self.cause = key, ask, cause
        self.track, self.snapshot = track, snapshot
        self.waiters: list[asyncio.Future[Landed | None]] = []
        self.moves = -1
        self.is_urgent = False  # whether somebody waits for it
        self.begin_by = 0.0  # perf_counter after which it comes too late for the last who asked
        self._taken = Lock()

    def take(self) -> bool:
        """True for the first caller alone (a flight that became urgent waits in two queues)."""
        if not self._taken.acquire(blocking=False):
            return False
        self.moves = self.track.moves
        return True

    def wait(self, seconds: float) -> "asyncio.Future[Landed | None]":
        """What it brings within so many seconds; None: nothing by then. One hop of the event loop after it
        lands, where `asyncio.wait` takes three."""
        loop = asyncio.get_running_loop()
        waiter: asyncio.Future[Landed | None] = loop.create_future()
        self.waiters.append(waiter)
        timer = loop.call_later(seconds, give, waiter, None)
        waiter.add_done_callback(lambda _: timer.cancel())
        return waiter

    def land(self, landed: Landed | None) -> None:
        """Tell everybody who waits."""
        waiters, self.waiters = self.waiters, []
        for waiter in waiters:
            give(waiter, landed)

    def serves(self, track: Track, snapshot: Snapshot) -> bool:
        """Whether it will answer what is asked now."""
        is_current = self.moves in (-1, track.moves)
        return self.track is track and self.snapshot is snapshot and is_current
