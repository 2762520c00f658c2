"""Slates for many people at once, outside the server: made and cut by what serves."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec
import numpy as np
from msgspec import Struct

from shortlist.arrays import IntArray
from shortlist.features.store import Features
from shortlist.features.trending import Published
from shortlist.ranking import rerank
from shortlist.ranking.chain import inline
from shortlist.serving.known import allowed
from shortlist.serving.pool import cut
from shortlist.serving.reasons import reasons, words
from shortlist.serving.recommend import Recommender, history_query, last_types
from shortlist.serving.slate import BROWSING
from shortlist.serving.snapshot import NOTHING, Snapshot
from shortlist.settings import Settings


class Row(Struct, frozen=True):
    """One recommendation as it is written. `user` is the user's id, or the case's; ranks count from 1."""

    user: str
    item: str
    rank: int
    score: float
    reason: str


@dataclass(frozen=True, slots=True)
class Still:
    """What trended at one moment; see `candidates.trending.Trends`."""

    moment: Published

    def top(self, category: str | None, n: int) -> Sequence[str]:
        """Up to `n` ids."""
        found = self.moment.overall if category is None else self.moment.by_category.get(category, ())
        return found[:n]

    def weights(self) -> Mapping[str, float]:
        """By id."""
        return self.moment.weights


@dataclass(frozen=True, slots=True)
class Case:
    """One person to recommend to, or one list to order.

    user: the features of somebody with a name; None: they bring `history`, item ids, the oldest first.
    without: positions that must not come, beside what never may. attributes: what the shop knows of them, for
    rules and the ranker. among: if given, exactly these positions are put in order.
    """

    name: str
    user: Features | None = None
    history: tuple[str, ...] = ()
    without: IntArray = field(default_factory=lambda: NOTHING)
    attributes: Mapping[str, Any] = field(default_factory=dict)
    among: IntArray | None = None


class Batch:
    """Answers cases one after the other. rules follow `settings.rules`."""

    def __init__(self, snapshot: Snapshot, settings: Settings, limit: int, *, now_ms: int) -> None:
        """now_ms: when this is. Raises ValueError when the snapshot has no model."""
        if snapshot.chain is None or snapshot.model is None:
            raise ValueError("a batch needs a model")
        self._snapshot, self._chain, self._model = snapshot, snapshot.chain, snapshot.model
        # As the server has it, but for a list that is longer than its pools.
        cache = msgspec.structs.replace(settings.cache, pool=max(settings.cache.pool, limit))
        self._settings, self._limit = msgspec.structs.replace(settings, cache=cache), limit
        self._case = Case("")
        self._recommender = Recommender(self, self._settings, lambda: now_ms, self._attributes)

    @property
    def item_ids(self) -> list[str]:
        """Ids by position."""
        return self._snapshot.table.ids

    def position(self, item_id: str) -> int:
        """The position of an id, or -1."""
        return self._snapshot.table.position(item_id)

    def read(self, user_ids: Sequence[str], now_ms: int) -> list[Features]:
        """Whoever is asked for: the case that is being answered; see `recommend.ReadsFeatures`."""
        return [self._case.user or Features()] * len(user_ids)

    def rows(self, case: Case) -> list[Row]:
        """What is recommended to a case, best first; `limit` rows unless there are no more items."""
        self._case = case
        if case.among is not None:
            return self._ordered(case, case.among)
        recommender, snapshot = self._recommender, self._snapshot
        if case.user is not None:
            steps = recommender.pool(case.name, BROWSING, "", snapshot, "", without=case.without)
        else:
            steps = recommender.pool_of_history(case.history, snapshot, "", without=case.without)
        pool, known = inline(steps)
        known = replace(known, banned=np.union1d(known.banned, case.without).astype(np.int32))
        table = snapshot.table
        return [
            Row(case.name, item.item_id, rank, item.score, words(item.reason, item.because, table))
            for rank, item in enumerate(cut(pool, known, self._settings.rules, self._limit).items, 1)
        ]

    def _attributes(self, user_id: str) -> Mapping[str, Any]:
        return self._case.attributes

    def _ordered(self, case: Case, among: IntArray) -> list[Row]:
        """The caller's own list in the order of its chances, without what may not come; uncapped."""
        recommender, snapshot, table = self._recommender, self._snapshot, self._snapshot.table
        if case.user is not None:
            known = recommender.know(case.name, snapshot)
            query, last = recommender.query(case.name, known), last_types(case.user)
        else:
            known, query, last = recommender.nobody(snapshot), history_query(case.history, snapshot), {}
        positions = among[allowed(known, self._settings.rules)[among]]
        chances = self._chain.score(query, positions)
        order = rerank.ranking(chances)[: self._limit]
        positions, scores = positions[order], chances[order]
        if not len(positions):
            return []
        codes, of_what, _ = reasons(
            query,
            positions,
            {source.name: source.score(query, positions) for source in self._chain.sources},
            table=table,
            sources=self._model.sources,
            weights=self._model.blend.weights,
            last_type=last,
            own_categories=known.categories,
        )
        return [
            Row(case.name, table.ids[position], rank, score, words(code, of, table))
            for rank, (position, score, code, of) in enumerate(
                zip(positions.tolist(), scores.tolist(), codes, of_what, strict=True), 1
            )
        ]
