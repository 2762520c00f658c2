"""Slates for many people at once, outside the server: the same query, chain, rules and reasons."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from shortlist.arrays import BoolArray, FloatArray, IntArray
from shortlist.candidates.past import query_from
from shortlist.candidates.source import Query
from shortlist.catalog.variants import firsts
from shortlist.ranking import rerank
from shortlist.ranking.rules import Applied
from shortlist.serving import fallback
from shortlist.serving.known import CATEGORIES, RECENT, Known, allowed, applied
from shortlist.serving.pins import pinned
from shortlist.serving.reasons import WORDS, reasons, words
from shortlist.serving.recommend import STEP_S
from shortlist.serving.slate import PINNED
from shortlist.serving.snapshot import NOTHING, Snapshot
from shortlist.settings import Settings

GUEST_POOL = 100  # popular items that a guest's slate is cut from: as many as a cached pool has

PICKED = WORDS[PINNED]
Said = tuple[int, float, str]  # position, score, reason in words

_FLOATS: FloatArray = np.empty(0, np.float32)


class Row(Struct, frozen=True):
    """One recommendation as it is written. `user` is the user's id, or the case's; ranks count from 1."""

    user: str
    item: str
    rank: int
    score: float
    reason: str


@dataclass(frozen=True, slots=True)
class Case:
    """One person to recommend to, or one list to order, in positions of the table (-1: not in it).

    items, types, ts_s, weights, sessions: (n,) the past. last_ts_s: of anything they did. bought, counts:
    (m,) kept purchases. disliked: what they turned down. banned: what must not come. attributes: what the
    shop knows of them, for rules and the ranker. among: if given, exactly these are put in order.
    """

    name: str
    items: IntArray
    types: tuple[str, ...]
    ts_s: NDArray[np.float64]
    weights: FloatArray
    sessions: IntArray
    last_ts_s: float = 0.0
    bought: IntArray = field(default_factory=lambda: NOTHING)
    counts: FloatArray = field(default_factory=lambda: _FLOATS)
    disliked: IntArray = field(default_factory=lambda: NOTHING)
    banned: IntArray = field(default_factory=lambda: NOTHING)
    attributes: Mapping[str, Any] = field(default_factory=dict)
    among: IntArray | None = None

    def ordering(self, among: IntArray) -> "Case":
        """The same person, for whom these items are put in order."""
        return replace(self, among=among)


def nobody(name: str, *, among: IntArray | None = None) -> Case:
    """Somebody without a past."""
    return Case(name, NOTHING, (), np.empty(0), _FLOATS, NOTHING, among=among)


def anonymous(name: str, items: IntArray, *, end_s: float, banned: IntArray) -> Case:
    """A past of items alone, oldest first: one session that ends now, as in POST /recommendations."""
    n = len(items)
    return Case(
        name,
        items,
        ("view",) * n,
        np.asarray(end_s - STEP_S * np.arange(n, 0, -1), np.float64),
        np.ones(n, np.float32),
        np.zeros(n, np.int32),
        last_ts_s=end_s,
        banned=banned,
    )


class Batch:
    """Answers cases one after the other. rules follow `settings.rules`."""

    def __init__(self, snapshot: Snapshot, settings: Settings, limit: int) -> None:
        """Raises ValueError when the snapshot has no model."""
        if snapshot.chain is None or snapshot.model is None:
            raise ValueError("a batch needs a model")
        self._snapshot, self._chain, self._model = snapshot, snapshot.chain, snapshot.model
        self._rules, self._limit, self._dislike = settings.rules, limit, settings.weights.dislike

    @property
    def item_ids(self) -> list[str]:
        """Ids by position."""
        return self._snapshot.table.ids

    @property
    def data_end_s(self) -> float:
        """When the model's data end: the clock of people who bring no times."""
        return self._model.data_end_s

    def position(self, item_id: str) -> int:
        """The position of an id, or -1."""
        return self._snapshot.table.position(item_id)

    def rows(self, case: Case) -> list[Row]:
        """What is recommended to a case, best first; `limit` rows unless there are no more items."""
        query = self._query(case)
        if case.among is not None:
            return self._ordered(case, query, case.among)
        known = self._known(case, query)
        mask, by = allowed(known, self._rules), applied(known, self._rules)
        positions, scores, raw = NOTHING, _FLOATS, {}
        if len(query.items) or query.attributes is not None:
            ranked = self._chain.rank(query, mask)
            scores = rerank.weighted(ranked.positions, ranked.scores, by.factors)
            order = rerank.ranking(scores)
            positions, scores = ranked.positions[order], scores[order]
            raw = {name: values[order] for name, values in ranked.raw.items()}
        # Nothing personal can be said: what a guest gets, capped like any other slate.
        need = self._limit - len(positions) if len(positions) else max(GUEST_POOL, self._limit)
        pins = pinned(by.pins, positions, mask, self._snapshot)
        rest = self._rest(known, mask, pins.positions, need, by)
        everything = np.r_[pins.positions, [position for position, _ in rest]].astype(np.int32)
        columns = self._snapshot.table.columns
        stay = firsts(everything, columns, pins.rules)
        now = {index: place for place, index in enumerate(stay.tolist())}
        places = {place: now[index] for place, index in pins.places.items()}
        cut = rerank.cut(
            columns.category[everything[stay]].tolist(),
            columns.brand[everything[stay]].tolist(),
            self._rules,
            self._limit,
            pins={min(place, len(stay) - 1): index for place, index in places.items()},
        )
        chosen = stay[cut].tolist()
        own = [index for index in chosen if index < len(positions) and index not in pins.rules]
        named = {name: values[own] for name, values in raw.items()}
        said = dict(zip(own, self._reasoned(case, query, positions[own], scores[own], named), strict=True))
        fill = {len(pins.positions) + place: why for place, (_, why) in enumerate(rest)}
        rows = []
        for index in chosen:
            why = said[index][2] if index in said else fill.get(index, PICKED)
            score = float(scores[index]) if index < len(scores) else 0.0
            rows.append((int(everything[index]), score, why))
        return self._written(case.name, rows)

    def _known(self, case: Case, query: Query) -> Known:
        snapshot = self._snapshot
        return Known(
            snapshot=snapshot,
            catalog_version=snapshot.table.version,
            user_version=0,
            taste_version=0,
            interaction_count=len(query.items),
            appended_ms=0,
            banned=case.banned,
            categories=tuple(self._categories(query)),
            attributes=case.attributes,
        )

    def _query(self, case: Case) -> Query:
        return query_from(
            case.items,
            case.ts_s,
            case.weights,
            case.sessions,
            now_s=max(self._model.data_end_s, case.last_ts_s),
            bought=case.bought,
            bought_counts=case.counts,
            against=case.disliked,
            against_weights=np.full(len(case.disliked), self._dislike, np.float32),
            attributes=self._model.codes.row(case.attributes),
        )

    def _ordered(self, case: Case, query: Query, among: IntArray) -> list[Row]:
        """The caller's own list in the order of its chances, without what may not come; uncapped."""
        positions = among[allowed(self._known(case, query), self._rules)[among]]
        chances = self._chain.score(query, positions)
        order = rerank.ranking(chances)[: self._limit]
        positions, scores = positions[order], chances[order]
        raw = {source.name: source.score(query, positions) for source in self._chain.sources}
        return self._written(case.name, self._reasoned(case, query, positions, scores, raw))

    def _reasoned(
        self, case: Case, query: Query, positions: IntArray, scores: FloatArray, raw: dict[str, FloatArray]
    ) -> list[Said]:
        if not len(positions):
            return []
        table = self._snapshot.table
        why = reasons(
            query,
            positions,
            raw,
            table=table,
            sources=self._model.sources,
            weights=self._model.blend.weights,
            last_type=dict(zip(case.items.tolist(), case.types, strict=True)),
            own_categories=self._categories(query),
        )
        return [
            (position, score, words(code, of, table))
            for position, score, (code, of, _) in zip(positions.tolist(), scores.tolist(), why, strict=True)
        ]

    def _rest(
        self, known: Known, mask: BoolArray, taken: IntArray, need: int, by: Applied
    ) -> list[tuple[int, str]]:
        """(position, why) of what fills a list up."""
        if need <= 0:
            return []
        table, snapshot = self._snapshot.table, self._snapshot
        rest = list(fallback.others(snapshot, mask, need, taken=taken, categories=known.categories))
        places = np.array([position for position, _ in rest], np.int32)
        items = [
            (rest[at][0], fallback.pooled(snapshot, *rest[at])) for at in rerank.moved(places, by.factors)
        ]
        return [(position, words(item.reason, item.because, table)) for position, item in items]

    def _categories(self, query: Query) -> list[int]:
        recent = self._snapshot.table.category[query.items[-RECENT:]].tolist()
        return [code for code, _ in Counter(code for code in recent if code >= 0).most_common(CATEGORIES)]

    def _written(self, name: str, said: Sequence[Said]) -> list[Row]:
        ids = self._snapshot.table.ids
        return [
            Row(name, ids[position], rank, score, reason)
            for rank, (position, score, reason) in enumerate(said, 1)
        ]
