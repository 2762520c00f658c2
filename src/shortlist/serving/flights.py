"""Pools being computed: one flight per user and kind of slate, however many ask for it.

Everything here runs on the event loop, but `_flying`, which worker threads carry.
"""

import asyncio
from collections.abc import Callable, Mapping
from functools import partial
from time import perf_counter

import structlog

from shortlist.errors import ShortlistError
from shortlist.ops import telemetry
from shortlist.ranking.chain import Steps
from shortlist.serving.answers import Answers
from shortlist.serving.cache import Pool, SlateCache, key_of
from shortlist.serving.flight import Flight, Landed
from shortlist.serving.on_loop import OnLoop
from shortlist.serving.recommend import Recommender
from shortlist.serving.slate import BROWSING, KEPT, Ask, RequestIds
from shortlist.serving.snapshot import Snapshot
from shortlist.serving.threads import Threads
from shortlist.serving.tracks import Track
from shortlist.settings import Settings

log = structlog.get_logger()

ASKED, REFRESH, TASTE = "miss", "refresh", "taste"  # why a pool is computed
BEGIN_BY = 0.5  # share of a request's budget after which its pool need not be begun any more
QUEUED = 16  # flights per thread that may wait: more than a request's budget is worth waits for nothing


class Flights:
    """Starts and ends flights, and keeps what they bring."""

    def __init__(
        self,
        *,
        settings: Settings,
        cache: SlateCache,
        recommender: Recommender,
        answers: Answers,
        threads: Threads,
        tracks: Mapping[str, Track],
        snapshot: Callable[[], Snapshot],
        loop: OnLoop,
        now_ms: Callable[[], int],
    ) -> None:
        """tracks: of users that somebody asked for, by id. snapshot: the one that serves now."""
        self._settings, self._cache, self._recommender, self._answers = settings, cache, recommender, answers
        self._asked = telemetry.RECOMPUTES.labels(ASKED)
        self._threads, self._tracks, self._snapshot = threads, tracks, snapshot
        self._loop, self._now_ms = loop, now_ms
        self._flights: dict[str, Flight] = {}
        self._again: set[str] = set()  # users whose background flight was overtaken by a fold
        self._puts: set[asyncio.Task[None]] = set()
        self._landed: dict[str, tuple[Track, Pool]] = {}  # what is on its way to the cache
        self._ids = RequestIds()

    async def computed(
        self, key: str, ask: Ask, track: Track, now_snapshot: Snapshot, began: float, left_s: float
    ) -> Landed | None:
        """What the flight of this pool brings within `left_s`; None: nothing by then."""
        flight = self.start(key, ask, track, now_snapshot, began=began)
        if flight is None:
            return None
        return await flight.wait(left_s)

    def start(
        self,
        key: str,
        ask: Ask,
        track: Track,
        now_snapshot: Snapshot,
        *,
        background: str = "",
        began: float = 0.0,
    ) -> Flight | None:
        """The flight that will bring this pool, begun or joined; None when too much waits already."""
        flight = self._flights.get(key)
        is_new = flight is None or not flight.serves(track, now_snapshot)
        if is_new:
            if not background and self._threads.miss.waiting >= QUEUED * self._settings.serving.miss_threads:
                return None
            flight = Flight(key=key, ask=ask, cause=background or ASKED, track=track, snapshot=now_snapshot)
        assert flight is not None
        work = partial(self._threads.gather.carry, self._flying(flight))
        if background:
            if is_new and self._threads.miss.submit_background(work):
                self._flights[key] = flight
                telemetry.RECOMPUTES.labels(background).inc()
        else:
            if is_new:
                self._flights[key] = flight
                self._asked.inc()
            flight.begin_by = began + BEGIN_BY * self._settings.serving.budget_ms / 1000.0
            if flight.moves < 0 and not flight.is_urgent:  # it may wait in the background queue
                flight.is_urgent = True
                self._threads.miss.submit(work)
        return flight

    def _flying(self, flight: Flight) -> Steps[None]:
        """On worker threads."""
        if not flight.take():
            return
        if flight.is_urgent and perf_counter() > flight.begin_by:
            # It would come too late, and make the next one late as well: that is how a short overload
            # turns into nothing but fallbacks.
            self._loop.call(partial(self._land, flight, None))
            return
        landed, ask = None, flight.ask
        try:
            pool, known = yield from self._recommender.pool(
                ask.user_id, ask.context, ask.category, flight.snapshot, self._ids(), ask.filter
            )
            if ask.context == BROWSING and not ask.category and not ask.filter and pool.tier in KEPT:
                default = Ask(user_id=ask.user_id, limit=self._settings.serving.limit)
                page = self._answers.page(default, pool, known)
                hot = self._answers.hot(default, pool, known, page, flight.moves)
                hot.unlogged = pool
                landed = Landed(pool, known, page, hot)
            else:
                landed = Landed(pool, known)
        except ShortlistError as error:
            log.warning("slate not computed", error=str(error))
        except Exception:
            telemetry.FAILURES.labels("slate").inc()
            log.exception("slate not computed")
        self._loop.call(partial(self._land, flight, landed))

    def _land(self, flight: Flight, landed: Landed | None) -> None:
        flight.land(landed)  # first: whoever waits goes on before the pool is packed for the cache
        if self._flights.get(flight.key) is flight:
            del self._flights[flight.key]
        if landed is not None:
            track = flight.track
            track.learn(landed.known, flight.moves)
            if track.moves == flight.moves and flight.snapshot is self._snapshot():
                if landed.pool.tier in KEPT:
                    self._put(flight, landed.pool)
                track.hot = landed.hot or track.hot
                if flight.ask.user_id in self._again:
                    self._again.discard(flight.ask.user_id)
                if flight.cause == TASTE and landed.known.appended_ms:
                    telemetry.REACTION.observe(max(0, self._now_ms() - landed.known.appended_ms) / 1000.0)
        if flight.ask.user_id in self._again:  # a fold came in between
            self._again.discard(flight.ask.user_id)
            self.after_fold({flight.ask.user_id: flight.track})

    def after_fold(self, moved: Mapping[str, Track]) -> None:
        """Compute anew what was asked for by users whose features moved."""
        for user_id, track in moved.items():
            if not track.warm or self._tracks.get(user_id) is not track:
                continue
            ask = Ask(user_id=user_id)
            key = key_of(user_id, ask.context, ask.category)
            flight = self._flights.get(key)
            if flight is not None and flight.moves >= 0 and not flight.serves(track, self._snapshot()):
                self._again.add(user_id)  # one at a time per user: the next starts when this one lands
            else:
                self.start(key, ask, track, self._snapshot(), background=TASTE)

    async def kept(self, key: str, track: Track) -> Pool | None:
        """The pool of this key that landed last, on its way to the cache or there."""
        whose, pool = self._landed.get(key, (None, None))
        if whose is track:
            return pool
        return await self._cache.get(key)

    def _put(self, flight: Flight, pool: Pool) -> None:
        loop = self._loop.loop
        if loop is None:  # closed meanwhile
            return
        key, track = flight.key, flight.track

        async def put() -> None:
            try:
                await self._cache.put(key, pool)
                if self._tracks.get(flight.ask.user_id) is not track:  # forgotten meanwhile
                    await self._cache.forget(flight.ask.user_id)
            finally:
                if self._landed.get(key) is landed:
                    del self._landed[key]

        landed = self._landed[key] = track, pool
        task = loop.create_task(put())
        self._puts.add(task)
        task.add_done_callback(self._puts.discard)
