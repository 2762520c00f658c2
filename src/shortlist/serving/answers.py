"""From a pool to an answer: its page in words and JSON, the ready body, and the record of what was served."""

from collections.abc import Callable, Mapping
from time import perf_counter

import msgspec

from shortlist.catalog.table import ItemTable
from shortlist.coldstart.exploration import Exploration
from shortlist.ops import telemetry
from shortlist.serving.cache import Pool
from shortlist.serving.explore import Placed, placed, takes_part
from shortlist.serving.hot import Hot, Page
from shortlist.serving.inputs import Watch
from shortlist.serving.known import Known, applied
from shortlist.serving.pool import INCOMPLETE_S, cut
from shortlist.serving.recommend import category_code
from shortlist.serving.served import Served, slate_rest
from shortlist.serving.slate import CACHE, TIERS, Ask, Body, Slate, items_json, slate_items
from shortlist.serving.snapshot import Snapshot
from shortlist.serving.tracks import First, Track
from shortlist.settings import Settings


class Answers:
    """Puts answers together. `answer` is for the event loop, `ready` for the one thread that answers hits,
    the rest for any thread."""

    def __init__(
        self,
        settings: Settings,
        served: Served,
        now_ms: Callable[[], int],
        exploration: Exploration | None,
        tracks: Mapping[str, Track],
    ) -> None:
        """tracks: of users that somebody asked for, by id."""
        self.settings, self._served, self._now_ms = settings, served, now_ms
        self._exploration, self._tracks = exploration, tracks
        self._slates = {tier: telemetry.SLATES.labels(tier) for tier in TIERS}
        self._hits = telemetry.SLATES.labels(CACHE, "hits")

    def ready(self, user_id: str, hot: Hot, request_id: str, now_ms: int, began: float) -> bytes:
        """A hit: the ready body with what differs each time, logged as served."""
        if hot.unlogged is not None:
            self._served.pool(user_id, hot.unlogged)
            hot.unlogged = None
        self._served.slate(request_id, now_ms, hot.rest)
        self._hits.inc()
        return hot.body.json(request_id, now_ms, perf_counter() - began)

    def page(self, ask: Ask, pool: Pool, known: Known, *, is_stateless: bool = False) -> Page:
        """The page that is asked for, every filter applied again. is_stateless: of nobody in particular."""
        code, table = category_code(ask.category, known.snapshot), known.snapshot.table
        rules, now_ms, watch = self.settings.rules, self._now_ms(), Watch(known.snapshot, self.settings)
        explores = self._exploration is not None and not is_stateless and takes_part(ask)
        after = self._first(ask, pool, known).items if explores and ask.page > 1 else ()
        made = cut(
            pool,
            known,
            rules,
            ask.limit,
            ask.page,
            exclude=ask.exclude,
            after=after,
            category=code,
            context=ask.context,
            where=ask.filter,
        )
        shown = Placed(made)
        if explores and self._exploration is not None:
            shown = placed(made, ask, known, rules, self._exploration)
            if ask.page == 1 and (track := self._tracks.get(ask.user_id)) is not None:
                track.first = _first_of(ask, pool, shown, table)
        items = slate_items(shown.cut.items, table)
        cards = items_json(items, shown.cut.positions, table)
        read = watch.cut_inputs(
            user=known.user_version,
            now_ms=now_ms,
            by=applied(known, rules, code, ask.context),
            made=pool.inputs,
            exclude=ask.exclude,
            after=after,
            code=code,
            reads_trends=made.is_filled or bool(shown.explored),
        )
        return Page(shown.cut, items, cards, read, shown.explored, shown.trial)

    def _first(self, ask: Ask, pool: Pool, known: Known) -> First:
        """The first page before the one that is asked for: as it was shown, else as it would be now."""
        track = self._tracks.get(ask.user_id)
        first = track.first if track is not None else None
        if first is not None and (first.trace_id, first.limit, first.exclude) == (
            pool.trace_id,
            ask.limit,
            ask.exclude,
        ):
            return first
        assert self._exploration is not None
        made = cut(pool, known, self.settings.rules, ask.limit, exclude=ask.exclude)
        asked = msgspec.structs.replace(ask, page=1)
        shown = placed(made, asked, known, self.settings.rules, self._exploration)
        return _first_of(asked, pool, shown, known.snapshot.table)

    def hot(self, ask: Ask, pool: Pool, known: Known, page: Page, moves: int) -> Hot:
        """The ready body of a pool's first page."""
        seconds = min(INCOMPLETE_S, self.settings.cache.ttl_s) if pool.missing else self.settings.cache.ttl_s
        return Hot(
            moves=moves,
            snapshot=known.snapshot,
            catalog_version=known.catalog_version,
            fresh_until_ms=min(pool.made_ms + int(seconds * 1000), known.snapshot.rulebook.until_ms()),
            body=self._body(ask.user_id, CACHE, page, 1, pool, known.snapshot),
            rest=self._rest(ask, ask.user_id, CACHE, pool, page),
            trial=page.trial,
        )

    def _body(
        self, user_id: str | None, tier: str, page: Page, number: int, pool: Pool, now_snapshot: Snapshot
    ) -> Body:
        return Body(
            user_id=user_id,
            tier=tier,
            items=page.cards,
            page=number,
            next_page=page.cut.next_page,
            pool=pool,
            trained_ms=now_snapshot.model.trained_ms if now_snapshot.model is not None else 0,
        )

    def _rest(self, ask: Ask, user_id: str | None, tier: str, pool: Pool, page: Page) -> bytes:
        return slate_rest(
            user_id=user_id,
            tier=tier,
            trace_id=pool.trace_id,
            model_version=pool.model_version,
            page=ask.page,
            context=ask.context,
            category=ask.category,
            items=page.items,
            explored=page.explored,
            limit=ask.limit,
            where=ask.filter,
            pinned=page.cut.pinned,
            read=page.read,
        )

    def answer(
        self,
        ask: Ask,
        pool: Pool,
        known: Known,
        tier: str,
        began: float,
        *,
        page: Page | None = None,
        is_stateless: bool = False,
    ) -> Slate:
        """The slate that is asked for, cut from a pool and logged. page: when it was cut before."""
        user_id = None if is_stateless else ask.user_id
        page = page or self.page(ask, pool, known, is_stateless=is_stateless)
        now = self._now_ms()
        self._served.pool(ask.user_id, pool)
        self._served.slate(ask.request_id, now, self._rest(ask, user_id, tier, pool, page))
        self._slates[tier].inc()
        body = self._body(user_id, tier, page, ask.page, pool, known.snapshot)
        return Slate(
            request_id=ask.request_id,
            user_id=user_id,
            tier=tier,
            items=page.items,
            page=ask.page,
            next_page=page.cut.next_page,
            model_version=pool.model_version,
            missing=pool.missing,
            trace_id=pool.trace_id,
            body=body.json(ask.request_id, now, perf_counter() - began),
        )


def _first_of(ask: Ask, pool: Pool, shown: Placed, table: ItemTable) -> First:
    ids = table.ids  # its own strings: those of a pool out of the cache are copies
    items = tuple(ids[at] for at in shown.cut.positions) if shown.explored else ()
    return First(pool.trace_id, ask.limit, ask.exclude, items)
