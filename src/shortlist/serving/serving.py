"""Slates, from wherever they come quickest: a ready body, a cached pool, a computed one, a fallback.

Threads: everything here runs on the event loop unless it says otherwise. Hits come on the server's thread;
workers compute pools; the processor's thread tells of folds; the model watcher's thread swaps models.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from threading import Lock
from time import perf_counter, time
from typing import Any, TypeVar

import msgspec
import structlog

from shortlist.candidates.trending import Trends
from shortlist.catalog.rule import Rule
from shortlist.catalog.store import Change
from shortlist.catalog.table import ItemTable
from shortlist.coldstart.exploration import Exploration
from shortlist.errors import ShortlistError
from shortlist.events.log import EventLog
from shortlist.features.store import FeatureStore, Folded
from shortlist.models.model import Model
from shortlist.ops import telemetry
from shortlist.ranking.chain import Steps
from shortlist.ranking.conditions import parse
from shortlist.ranking.rules import Rulebook
from shortlist.serving import first_slate, names, rank, similar
from shortlist.serving.answers import Answers
from shortlist.serving.asking import Asking, check_filter
from shortlist.serving.cache import Pool, SlateCache, key_of
from shortlist.serving.flights import REFRESH, Flights
from shortlist.serving.hot import Page
from shortlist.serving.known import Known
from shortlist.serving.newcomers import Grown, Newcomers
from shortlist.serving.on_loop import OnLoop
from shortlist.serving.pool import MISS, OLD, judged
from shortlist.serving.recommend import Recommender, history_query, warm
from shortlist.serving.served import Served
from shortlist.serving.slate import (
    BROWSING,
    CACHE,
    KEPT,
    STALE,
    Ask,
    RequestIds,
    Slate,
)
from shortlist.serving.snapshot import Snapshot, snapshot
from shortlist.serving.threads import Threads
from shortlist.serving.trace import Trace
from shortlist.serving.tracks import Track, Tracks
from shortlist.settings import Settings

log = structlog.get_logger()
T = TypeVar("T")

READ_S = 0.020  # a fallback's patience with the feature store
_encode = msgspec.json.Encoder().encode


def clock_ms() -> int:
    """Milliseconds since 1970."""
    return int(time() * 1000)


class Serving:
    """The orchestrator. One per process."""

    def __init__(
        self,
        *,
        settings: Settings,
        features: FeatureStore,
        cache: SlateCache,
        log: EventLog,
        table: ItemTable,
        trends: Trends | None = None,
        model: Model | None = None,
        newcomers: Newcomers | None = None,
        exploration: Exploration | None = None,
        rules: Sequence[Rule] = (),
        attributes: Callable[[str], Mapping[str, Any]] = lambda user_id: {},
        now_ms: Callable[[], int] = clock_ms,
    ) -> None:
        """table: the live items; from here on changed by `apply` and `swap` alone. rules: the operator's.
        attributes: of a user; called on worker threads, where it may wait a little.

        Raises RuleInvalid."""
        self.settings, self.cache, self.trends, self._now_ms = settings, cache, trends, now_ms
        self._newcomers = newcomers or Newcomers()
        self._snapshot = self._snapshot_of(model, table, Grown(), rules)
        self._newcomers.follow(self._snapshot, Grown())
        self._exploration = exploration
        self._explore()
        self._changing = Lock()  # one at a time replaces the snapshot or applies to its table
        self._recommender = Recommender(features, settings, now_ms, attributes)
        self._loop = OnLoop()
        self._threads = Threads(settings, self._loop)
        self._tracks = Tracks(settings.cache.max_entries)
        self._served = Served(log, settings, self._loop)
        self._answers = Answers(settings, self._served, now_ms, exploration, self._tracks)
        self._ids = RequestIds()
        self._asking = Asking(settings.serving, self._ids)
        self._flights = Flights(
            settings=settings,
            cache=cache,
            recommender=self._recommender,
            answers=self._answers,
            threads=self._threads,
            tracks=self._tracks,
            snapshot=lambda: self._snapshot,
            loop=self._loop,
            now_ms=now_ms,
        )

        telemetry.CATALOG_ITEMS.set_function(lambda: int(self.table.servable.sum()))
        telemetry.MODEL_AGE.set_function(self._model_age_s)

    @property
    def table(self) -> ItemTable:
        """The live items. A new model brings a new table."""
        return self._snapshot.table

    @property
    def snapshot(self) -> Snapshot:
        """What slates are computed from now."""
        return self._snapshot

    @property
    def recommender(self) -> Recommender:
        """What computes pools."""
        return self._recommender

    async def aside(self, work: Callable[[], T]) -> T:
        """The result of work that nobody's slate waits for, on a thread of its own, one after the other."""
        return await self._threads.result(self._threads.aside, work)

    @property
    def model(self) -> Model | None:
        """The model that serves."""
        return self._snapshot.model

    # --- flow 1: the hit -------------------------------------------------------------------------------

    def instant(self, user_id: str, request_id: str = "") -> bytes | None:
        """The JSON of the user's default slate, if a pool is ready and nothing moved since; else None.

        Logs the slate as served. 4 µs. For one thread at a time, whichever: nothing that a request needs to
        be answered waits for the event loop. request_id: made here if empty."""
        began = perf_counter()
        track = self._tracks.get(user_id)
        if track is None:
            return None
        hot = track.hot
        if (
            hot is None
            or hot.moves != track.moves
            or hot.snapshot is not self._snapshot
            or hot.catalog_version != hot.snapshot.table.columns.version
            or (self._exploration is not None and hot.trial is not self._exploration.trial)
        ):
            return None
        now = self._now_ms()
        if now >= hot.fresh_until_ms:
            return None
        try:
            self._tracks.move_to_end(user_id)
        except KeyError:  # the event loop took it out this moment
            return None
        return self._answers.ready(user_id, hot, request_id or self._ids(), now, began)

    # --- flow 2: the miss, flow 12: the fallbacks ------------------------------------------------------

    async def recommend(self, ask: Ask) -> Slate:
        """A slate, within `serving.budget_ms` from whatever answers by then. Raises AskInvalid."""
        began = perf_counter()
        ask = self._asking.checked(ask)
        now_snapshot = self._snapshot
        if ask.category or ask.filter:
            await self._require_known(ask.filter, ask.is_shop, now_snapshot, ask.category)
        self._loop.here()
        track = self._tracks.of(ask.user_id)
        track.warm = True
        if ask.filter:
            await self._prepared(ask.filter, now_snapshot, began)
        key = key_of(ask.user_id, ask.context, ask.category, ask.filter)
        pool = await self._flights.kept(key, track)
        if pool is not None:
            known = track.current(now_snapshot) or await self._read(ask.user_id, track, now_snapshot, began)
            state = judged(
                pool,
                known,
                now_snapshot,
                self._recommender.rules_version(known, ask.category, ask.context) if known else "",
                self.settings.cache,
                self._now_ms(),
            )
            if state is not MISS and known is not None:
                if state is OLD:
                    self._flights.start(key, ask, track, now_snapshot, background=REFRESH)
                tier = STALE if state is OLD else CACHE if pool.tier in KEPT else pool.tier
                page = self._answers.page(ask, pool, known)
                if tier == CACHE and self._is_default(ask):
                    self._keep_hot(ask, pool, known, page)
                return self._answers.answer(ask, pool, known, tier, began, page=page)
        landed = await self._flights.computed(key, ask, track, now_snapshot, began, self._left(began))
        if landed is not None:
            known = await self._newest(ask.user_id, track, landed.known, began)
            if known.snapshot is landed.known.snapshot:
                cut = landed.page if known is landed.known and self._is_default(ask) else None
                slate = self._answers.answer(ask, landed.pool, known, landed.pool.tier, began, page=cut)
                telemetry.MISS.observe(perf_counter() - began)
                return slate
        slate = await self._fallback(ask, pool, track, began)
        telemetry.FALLBACK.observe(perf_counter() - began)
        return slate

    async def recommend_history(
        self, history: Sequence[str], limit: int = 0, *, where: str = "", is_shop: bool = False
    ) -> Slate:
        """A slate for a past, oldest first, of somebody without a user id. Nothing is kept but the log.

        where, is_shop: as `Ask.filter` and `Ask.is_shop`."""
        began = perf_counter()
        ask = self._asking.checked(Ask(user_id="-", limit=limit, filter=where, is_shop=is_shop))
        now_snapshot = self._snapshot
        if where:
            await self._require_known(where, is_shop, now_snapshot)
            await self._prepared(where, now_snapshot, began)

        steps = self._recommender.pool_of_history(history, now_snapshot, ask.request_id, where)
        try:
            pool, known = await self._threads.carried(steps, self._left(began))
        except Exception as error:  # whatever it was, a fallback answers
            if isinstance(error, TimeoutError | ShortlistError):
                log.warning("history slate fell back", error=str(error) or "late")
            else:
                telemetry.FAILURES.labels("slate").inc()
                log.exception("history slate fell back")
            known = self._recommender.nobody(now_snapshot)
            pool = self._recommender.other_pool(known, "", ask.request_id, where=where)
        return self._answers.answer(ask, pool, known, pool.tier, began, is_stateless=True)

    # --- flow 7, and ordering what the caller brings ---------------------------------------------------

    async def similar(
        self,
        item_id: str,
        limit: int = 0,
        user_id: str | None = None,
        request_id: str = "",
        *,
        where: str = "",
        is_shop: bool = False,
    ) -> similar.SimilarSlate:
        """Items like one, without what cannot come for this user. where, is_shop: as in `Ask`.

        Raises ItemUnknown, AskInvalid."""
        check_filter(where, is_shop)
        began = perf_counter()
        limit = self._asking.limit(limit, self.settings.serving.similar)
        now_snapshot, recommender = self._snapshot, self._recommender
        if where:
            await self._require_known(where, is_shop, now_snapshot)
        track = self._tracks.get(user_id) if user_id is not None else None
        known = track.current(now_snapshot) if track is not None else None
        request_id = request_id or self._ids()

        def work() -> similar.SimilarSlate:
            who = known or (
                recommender.know(user_id, now_snapshot)
                if user_id is not None
                else recommender.nobody(now_snapshot)
            )
            rules = self.settings.rules
            return similar.slate(
                item_id, limit, who, rules, request_id, self._now_ms(), began, user_id, where=where
            )

        slate = await self._threads.result(self._threads.quick, work)
        self._served.slate(request_id, self._now_ms(), slate.rest)
        return slate

    async def survey(self, user_id: str, request_id: str = "") -> first_slate.Asked:
        """The survey of flow 9, as this user may see it. Raises StoreUnavailable."""
        now_snapshot, recommender = self._snapshot, self._recommender

        def work() -> first_slate.Asked:
            known = recommender.know(user_id, now_snapshot)
            return first_slate.survey(user_id, known, self.settings.rules, request_id or self._ids())

        return await self._threads.result(self._threads.quick, work)

    async def rank(
        self,
        items: Sequence[str],
        *,
        user_id: str | None = None,
        history: Sequence[str] = (),
        request_id: str = "",
    ) -> rank.RankedItems:
        """The caller's items in the order of their chance, for a user or for a past, without what may not be
        shown to them."""
        began = perf_counter()
        now_snapshot = self._snapshot

        def steps() -> Steps[rank.RankedItems]:
            recommender, rules = self._recommender, self.settings.rules
            if user_id is not None:
                known = recommender.know(user_id, now_snapshot)
                query = recommender.query(user_id, known)
            else:
                known, query = recommender.nobody(now_snapshot), history_query(history, now_snapshot)
            return (yield from rank.ranked(items, query, known, rules, request_id or self._ids(), began))

        return await self._threads.carried(steps())

    def trace(self, request_id: str) -> Trace | None:
        """How one of the last slates came about; None when forgotten."""
        return self._served.trace(request_id)

    # --- what happens around -------------------------------------------------------------------------

    def on_folded(self, folded: Sequence[Folded]) -> None:
        """Batches were folded: what was ready for their users holds no more. On the processor's thread.

        Pools that somebody asked for are computed anew in the background."""
        tried = self._exploration.trial.ids if self._exploration is not None else ()
        moved = self._tracks.moved(folded, tried)
        if moved:
            self._loop.call(partial(self._flights.after_fold, moved))

    def on_tired(self, user_ids: Collection[str]) -> None:
        """These users were served a new item again and again: their next slate may have another one. On any
        thread."""
        self._loop.call(partial(self._tracks.cut_anew, user_ids))

    def swap(self, model: Model | None) -> None:
        """Serve with another model from now on; requests under way end with the old one. On any thread.

        Raises ValueError, changing nothing, when the ranker does not fit the model's sources."""
        grown = self._newcomers.grown(model) if model is not None else Grown()
        with self._changing:
            old = self._snapshot.table
            order = [*model.item_ids, *grown.ids] if model is not None else []
            table = ItemTable((item for item in old.items if item is not None), old.version, order=order)
            fresh = self._snapshot_of(model, table, grown, self._snapshot.rulebook.rules)
            warm(fresh)
            self._snapshot = fresh
            self._newcomers.follow(fresh, grown)
            self._explore()
        telemetry.MODEL_SWAPS.inc()
        self._loop.call(self._tracks.forget_snapshots)

    def apply(self, changes: Sequence[Change]) -> None:
        """Show later changes of the catalog in every slate from now on. On any thread."""
        with self._changing:
            self._snapshot.table.apply(changes, self._snapshot.rulebook.follow)
            self._newcomers.changed(self._snapshot, changes)
            self._explore()

    def rule(self, rules: Sequence[Rule]) -> None:
        """Follow these rules in every slate from now on. On any thread. Raises RuleInvalid."""
        with self._changing:
            now = self._snapshot
            book = now.rulebook.changed(rules)
            self._snapshot = replace(now, rulebook=book)
        self._loop.call(self._tracks.forget_snapshots)

    async def forget(self, user_id: str) -> None:
        """Drop what is known of a user, and every slate that is ready for them."""
        track = self._tracks.pop(user_id, None)
        if track is not None:
            track.moves += 1
        await self.cache.forget(user_id)

    async def erase(self, user_id: str) -> None:
        """Drop everything kept of a user for good, what was served to them included."""
        await self.forget(user_id)
        kept = await self.aside(partial(self._served.kept_without, user_id))
        self._served.forget(user_id, kept)

    def close(self) -> None:
        """End the threads, and log what still waits to be."""
        self._loop.leave()
        self._served.flush()
        self._threads.close()
        self._newcomers.close()

    # --- inside --------------------------------------------------------------------------------------

    def _snapshot_of(
        self, model: Model | None, table: ItemTable, grown: Grown, rules: Sequence[Rule]
    ) -> Snapshot:
        book = Rulebook(table, rules, self._now_ms)
        return snapshot(model, table, self.trends, self.settings.candidates, grown.bases, book)

    async def _require_known(
        self, where: str, is_shop: bool, now_snapshot: Snapshot, category: str = ""
    ) -> None:
        """Raises AskInvalid naming a category or attribute that no item has."""
        table = now_snapshot.table
        if not names.are_known(table, category, where):
            refused = await self.aside(partial(names.unknown, table, category, where, is_shop))
            if refused is not None:
                raise refused

    async def _prepared(self, where: str, now_snapshot: Snapshot, began: float) -> None:
        """Work out on another thread which items a filter lets pass, so that the loop need not."""
        book, columns, condition = now_snapshot.rulebook, now_snapshot.table.columns, parse(where)
        if not book.facts.has_mask(condition, columns, book.now_ms()):
            work = partial(book.facts.kept_mask, condition, columns, book.now_ms())
            with suppress(TimeoutError):
                await self._threads.result(self._threads.quick, work, self._left(began))

    def _explore(self) -> None:
        """Look which items are new."""
        if self._exploration is not None:
            model = self._snapshot.model
            self._exploration.refresh(self._snapshot.table, len(model.item_ids) if model is not None else 0)

    def _model_age_s(self) -> float:
        """Of the model that serves; 0 where none does."""
        return max(0.0, (self._now_ms() - self.model.trained_ms) / 1000.0) if self.model is not None else 0.0

    def _left(self, began: float) -> float:
        return max(0.0, self.settings.serving.budget_ms / 1000.0 - (perf_counter() - began))

    async def _read(self, user_id: str, track: Track, now_snapshot: Snapshot, began: float) -> Known | None:
        """The user's features from the store; None when it does not answer in time."""
        moves = track.moves  # before the store is read
        work = partial(self._recommender.know, user_id, now_snapshot)
        try:
            known = await self._threads.result(self._threads.quick, work, min(READ_S, self._left(began)))
        except (TimeoutError, ShortlistError) as error:
            log.warning("features not read", error=str(error) or "late")
            return None
        track.learn(known, moves)
        return known

    async def _newest(self, user_id: str, track: Track, known: Known, began: float) -> Known:
        """`known`, or what was folded while the pool was computed."""
        newest = track.current(known.snapshot)
        if newest is None and (track.moves or known.catalog_version != known.snapshot.table.version):
            newest = await self._read(user_id, track, known.snapshot, began)
        return newest or known

    # from a pool to an answer

    def _is_default(self, ask: Ask) -> bool:
        return (
            ask.limit == self.settings.serving.limit
            and ask.page == 1
            and ask.context == BROWSING
            and not ask.category
            and not ask.filter
            and not ask.exclude
        )

    def _keep_hot(self, ask: Ask, pool: Pool, known: Known, page: Page) -> None:
        """A pool from the cache answered the default question: the next time its bytes do."""
        track = self._tracks.get(ask.user_id)
        if track is not None and track.current(known.snapshot) is known:
            track.hot = self._answers.hot(ask, pool, known, page, track.known_moves)

    async def _fallback(self, ask: Ask, pool: Pool | None, track: Track, began: float) -> Slate:
        """Flow 12: the stale pool, else popular items. Filters hold as far as the user is known."""
        now_snapshot = self._snapshot
        known = track.current(now_snapshot) or await self._read(
            ask.user_id, track, now_snapshot, perf_counter() - READ_S
        )
        missing = {} if known is not None else {"features": "late"}
        if known is None and track.known is not None and track.known.snapshot is now_snapshot:
            known = track.known  # older than it should be, better than nothing
        known = known or self._recommender.stranger(now_snapshot)
        if pool is not None:
            pool = msgspec.structs.replace(pool, missing={**pool.missing, **missing})
            return self._answers.answer(ask, pool, known, STALE, began)
        pool = self._recommender.other_pool(
            known, ask.category, ask.request_id, missing, context=ask.context, where=ask.filter
        )
        return self._answers.answer(ask, pool, known, pool.tier, began)
