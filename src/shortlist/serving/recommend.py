"""The miss (flow 2): from a user to a pool of ranked items with reasons. Blocking; runs on worker threads."""

from collections.abc import Callable, Mapping, Sequence
from hashlib import sha256
from typing import Any, Protocol

import msgspec
import numpy as np
import structlog

from shortlist.arrays import BoolArray, FloatArray, IntArray
from shortlist.candidates.past import query_from
from shortlist.candidates.source import Query
from shortlist.catalog.store import CatalogUnavailable
from shortlist.catalog.variants import barred
from shortlist.coldstart.fatigue import damped, damping
from shortlist.coldstart.profile import liked
from shortlist.coldstart.stage import Stages
from shortlist.events.event import EventType
from shortlist.features.store import Features
from shortlist.ranking import rerank
from shortlist.ranking.chain import Steps
from shortlist.ranking.rules import Applied
from shortlist.serving import fallback, first_slate
from shortlist.serving.cache import Pool, PooledItem
from shortlist.serving.inputs import FALLBACK, HISTORY, MISS, Inputs, Watch, kept_settings
from shortlist.serving.known import Known, allowed, applied, known_of, query_of
from shortlist.serving.reasons import reasons
from shortlist.serving.slate import BROWSING, CATALOG, FRESH, ONBOARDING
from shortlist.serving.snapshot import NOTHING, Snapshot
from shortlist.settings import RuleSettings, Settings

log = structlog.get_logger()

WARM_ITEMS, WARM_TIMES = 50, 3
NOT_TIRED: tuple[IntArray, FloatArray] = NOTHING, np.empty(0, np.float32)
STEP_S = 30.0  # between the items of a past that comes without times: a quick session


class ReadsFeatures(Protocol):
    """`features.FeatureStore`, as far as a miss needs it."""

    def read(self, user_ids: Sequence[str], now_ms: int) -> list[Features]:
        """One `Features` per id, in the order asked. Raises StoreUnavailable."""


class Recommender:
    """Makes pools. Thread-safe: it holds nothing of a request."""

    def __init__(
        self,
        features: ReadsFeatures,
        settings: Settings,
        now_ms: Callable[[], int],
        attributes: Callable[[str], Mapping[str, Any]],
    ) -> None:
        """attributes: of a user; may block, and raise CatalogUnavailable."""
        self.features, self.settings, self.now_ms = features, settings, now_ms
        self.attributes = attributes
        self._settings_version = version_of(settings.rules)
        self._settings_name, _ = kept_settings(settings)
        self.stages = Stages(settings.coldstart)

    def rules_version(self, known: Known, category: str, context: str) -> str:
        """Names the rules, of settings and operators, that make such a pool of this user now."""
        code = category_code(category, known.snapshot)
        return self._settings_version + applied(known, self.settings.rules, code, context).version

    def know(self, user_id: str, snapshot: Snapshot) -> Known:
        """What filters and fallbacks need of a user. Raises StoreUnavailable."""
        user = self.features.read([user_id], self.now_ms())[0]
        return known_of(user, snapshot, self.settings.rules, self._attributes(user_id, snapshot))

    def pool(
        self,
        user_id: str,
        context: str,
        category: str,
        snapshot: Snapshot,
        trace_id: str,
        where: str = "",
        *,
        without: IntArray = NOTHING,
    ) -> Steps[tuple[Pool, Known]]:
        """The pool of a user. where: the request's filter. without: positions that must not come either.

        Raises StoreUnavailable when their features cannot be read."""
        settings, code, now_ms = self.settings, category_code(category, snapshot), self.now_ms()
        watch = Watch(snapshot, settings)
        user = self.features.read([user_id], now_ms)[0]  # → feature store: GET user
        known = known_of(user, snapshot, settings.rules, self._attributes(user_id, snapshot))
        query = query_of(
            user, snapshot, settings.weights, category=code, context=context, attributes=known.attributes
        )
        mask = allowed(known, settings.rules, code, context=context, where=where)
        barred(mask, without, snapshot.table.columns)
        by = applied(known, self.settings.rules, code, context)
        is_home = context == BROWSING and not category and not where
        share = self.stages.share(user, now_ms) if is_home else 0.0
        is_first = is_home and self.stages.is_first(user)
        missing: dict[str, str] = {}
        candidates = NOTHING
        late = {"attributes": "late"} if known.attributes is None else {}
        if is_first:  # → flow 9: a new user
            items = first_slate.popular_items(user, known, mask, settings.cache.pool)
        else:
            tired = damping(user, snapshot.table, settings.features, now_ms)
            last = last_types(user)
            items, missing, candidates = yield from self.items(
                query, mask, snapshot, last, known.categories, by.factors, tired
            )
        if share > 0.0:
            items = first_slate.explored(
                items, share, user_id=user_id, user=user, known=known, mask=mask, settings=settings
            )
        tier = ONBOARDING if is_first or share > 0.0 else ""
        inputs = watch.inputs(
            MISS,
            self._settings_name,
            query=query,
            category=category,
            code=code,
            context=context,
            where=where,
            by=by,
            candidates=candidates,
            explores=share > 0.0,
        )
        missing = {**missing, **late}
        return self._pool(known, items, missing, trace_id, tier, by=by, now_ms=now_ms, inputs=inputs), known

    def pool_of_history(
        self,
        history: Sequence[str],
        snapshot: Snapshot,
        trace_id: str,
        where: str = "",
        *,
        without: IntArray = NOTHING,
    ) -> Steps[tuple[Pool, Known]]:
        """The pool of somebody who brings their past, oldest first, instead of a name; see `pool`."""
        watch, now_ms = Watch(snapshot, self.settings), self.now_ms()
        known, query = self.nobody(snapshot), history_query(history, snapshot)
        mask, by = allowed(known, self.settings.rules, where=where), applied(known, self.settings.rules)
        barred(mask, without, snapshot.table.columns)
        items, missing, candidates = yield from self.items(query, mask, snapshot, {}, (), by.factors)
        inputs = watch.inputs(
            HISTORY, self._settings_name, context=BROWSING, where=where, by=by, candidates=candidates
        )
        return self._pool(known, items, missing, trace_id, by=by, now_ms=now_ms, inputs=inputs), known

    def other_pool(
        self,
        known: Known,
        category: str,
        trace_id: str,
        missing: Mapping[str, str] | None = None,
        *,
        context: str = BROWSING,
        where: str = "",
    ) -> Pool:
        """What answers when nothing personal can (flow 12): popular in the user's categories, and so on."""
        snapshot, code = known.snapshot, category_code(category, known.snapshot)
        watch, now_ms = Watch(snapshot, self.settings), self.now_ms()
        by = applied(known, self.settings.rules, code, context)
        mask = allowed(known, self.settings.rules, code, context=context, where=where)
        rest = fallback.others(
            snapshot,
            mask,
            self.settings.cache.pool,
            taken=NOTHING,
            categories=known.categories,
            category=code,
        )
        tiers = list(rest)
        tier = tiers[0][1] if tiers else CATALOG
        items = pooled(tiers, snapshot, by.factors)
        inputs = watch.inputs(
            FALLBACK, self._settings_name, category=category, code=code, context=context, where=where, by=by
        )
        missing = dict(missing or {})
        return self._pool(known, items, missing, trace_id, tier, by=by, now_ms=now_ms, inputs=inputs)

    def nobody(self, snapshot: Snapshot) -> Known:
        """What is known of somebody without a past."""
        return known_of(Features(), snapshot, self.settings.rules)

    def stranger(self, snapshot: Snapshot) -> Known:
        """What is known of somebody whose features cannot be read now: nothing, attributes neither."""
        return known_of(Features(), snapshot, self.settings.rules, None)

    def query(self, user_id: str, known: Known) -> Query:
        """A user's past and attributes as sources read them. Raises StoreUnavailable."""
        user = self.features.read([user_id], self.now_ms())[0]
        return query_of(user, known.snapshot, self.settings.weights, attributes=known.attributes)

    def items(
        self,
        query: Query,
        mask: BoolArray,
        snapshot: Snapshot,
        last_type: Mapping[str, str],
        categories: Sequence[int],
        factors: FloatArray | None = None,
        tired: tuple[IntArray, FloatArray] = NOT_TIRED,
    ) -> Steps[tuple[list[PooledItem], dict[str, str], IntArray]]:
        """The best items for a past, with reasons, best first; which sources are missing, and why; and the
        positions of all candidates that were scored.

        factors: what operator rules multiply scores by. tired: positions that were shown too often in vain,
        and the share of its score that each keeps."""
        size, items, positions, missing = self.settings.cache.pool, [], NOTHING, {}
        candidates = NOTHING
        if snapshot.chain is not None and snapshot.model is not None:
            ranked = yield from snapshot.chain.ranking(query, mask)  # → sources, → the ranker
            scores = rerank.boosted(
                ranked.positions, ranked.scores, self._trending(snapshot), self.settings.rules
            )
            scores = rerank.weighted(ranked.positions, scores, factors)
            scores = damped(ranked.positions, scores, tired)
            best = rerank.ranking(scores)[:size]  # → rules: those that need the whole list
            positions, scores = ranked.positions[best], scores[best]
            codes, of_what, spoken = reasons(
                query,
                positions,
                {name: values[best] for name, values in ranked.raw.items()},
                table=snapshot.table,
                sources=snapshot.model.sources,
                weights=snapshot.model.blend.weights,
                last_type=last_type,
                own_categories=categories,
            )
            ids, missing, candidates = snapshot.table.ids, ranked.missing, ranked.positions
            named = [ids[position] for position in positions.tolist()]
            items = [*map(PooledItem, named, scores.tolist(), spoken, codes, of_what)]
        rest = fallback.others(
            snapshot, mask, size - len(items), taken=positions, categories=categories, category=query.category
        )
        items += pooled(list(rest), snapshot, factors)
        return items, missing, candidates

    def _pool(
        self,
        known: Known,
        items: list[PooledItem],
        missing: dict[str, str],
        trace_id: str,
        tier: str = "",
        *,
        by: Applied,
        now_ms: int,
        inputs: Inputs,
    ) -> Pool:
        is_ranked = known.snapshot.chain is not None and any(item.score > 0 for item in items[:1])
        return Pool(
            trace_id=trace_id,
            made_ms=now_ms,
            model_version=known.snapshot.model_version,
            user_version=known.user_version,
            taste_version=known.taste_version,
            catalog_version=known.catalog_version,
            rules_version=self._settings_version + by.version,
            tier=tier or (FRESH if is_ranked else items[0].reason if items else CATALOG),
            missing=missing,
            items=items,
            rules=by.ids,
            factors=factors_of(items, by, known.snapshot),
            interaction_count=known.interaction_count,
            appended_ms=known.appended_ms,
            inputs=inputs,
        )

    def _attributes(self, user_id: str, snapshot: Snapshot) -> Mapping[str, Any] | None:
        """Attributes, where somebody asks for them: a rule that hides must not be passed for want of them,
        the ranker does without (None)."""
        if snapshot.rulebook.reads_users:
            return self.attributes(user_id)
        if not len(snapshot.codes):
            return {}
        try:
            return self.attributes(user_id)
        except CatalogUnavailable as error:
            log.warning("slate without attributes", error=str(error))
            return None

    def _trending(self, snapshot: Snapshot) -> IntArray:
        return snapshot.trending(-1, self.settings.candidates.trending)


def pooled(
    tiers: Sequence[tuple[int, str]], snapshot: Snapshot, factors: FloatArray | None
) -> list[PooledItem]:
    """What fallbacks bring, as (position, tier), in the order that boosts and buries leave."""
    order = rerank.moved(np.array([position for position, _ in tiers], np.int32), factors)
    return [fallback.pooled(snapshot, *tiers[at]) for at in order]


def factors_of(items: Sequence[PooledItem], by: Applied, snapshot: Snapshot) -> dict[str, float]:
    """By what rules multiplied the scores of items: those that they did."""
    if by.factors is None:
        return {}
    places = snapshot.table.positions(item.item_id for item in items)
    inside = places[places < len(by.factors)]
    values = by.factors[inside].tolist()
    ids = snapshot.table.ids
    return {ids[at]: value for at, value in zip(inside.tolist(), values, strict=True) if value != 1.0}


def category_code(category: str, snapshot: Snapshot) -> int:
    """The code to filter by; -1 for no filter, and one that no item has for a category nobody knows."""
    if not category:
        return -1
    code = snapshot.table.category_code(category)
    return code if code >= 0 else len(snapshot.table.categories) + 1_000_000


def last_types(features: Features) -> dict[str, str]:
    """By id of a past item what the user did with it last."""
    of_survey = dict.fromkeys(liked(features), EventType.LIKE.value)
    return of_survey | {seen.item_id: seen.type for seen in features.history}


def warm(snapshot: Snapshot) -> None:
    """Rank for nobody, so that no user waits for what first calls load and map."""
    if snapshot.chain is not None and snapshot.model is not None:
        query = history_query(snapshot.model.item_ids[:WARM_ITEMS], snapshot)
        for _ in range(WARM_TIMES):
            snapshot.chain.rank(query, snapshot.table.servable)
    snapshot.prepared.long_tail()


def history_query(history: Sequence[str], snapshot: Snapshot) -> Query:
    """The query of a past of items alone, oldest first: one session that ends now."""
    n = len(history)
    now_s = snapshot.model.data_end_s if snapshot.model is not None else 0.0
    return query_from(
        [snapshot.table.position(item_id) for item_id in history],
        now_s - STEP_S * np.arange(n, 0, -1),
        np.ones(n, np.float32),
        np.zeros(n, np.int32),
        now_s=now_s,
    )


def version_of(rules: RuleSettings) -> str:
    """Names a set of rules: pools made under another are old."""
    return sha256(msgspec.json.encode(rules)).hexdigest()[:12]
