"""What this user had before and may want again: groceries, gifts, a page visited often."""

from typing import Self

import numpy as np

from shortlist.arrays import Arrays, FloatArray, IntArray
from shortlist.candidates.past import last_distinct
from shortlist.candidates.popular import RECENT, Popular
from shortlist.candidates.source import NOTHING, Candidates, Query
from shortlist.candidates.trained import TrainedSource
from shortlist.catalog.table import ItemTable
from shortlist.events.interactions import Interactions
from shortlist.retrieval.top import within
from shortlist.settings import TrainingSettings

HALF_LIFE_S = 120 * 86_400.0  # of one purchase: on a year of a gift shop 30 days were 16 % worse, 60 days 1 %


class Again(TrainedSource):
    """Own items by how often and lately, times √(1 + what all people took of it lately).

    That factor is worth 13 % NDCG on a gift shop: what is out of season is not bought again.
    repeat_rate: (n,) of the people who had an item, the share that came back to it in another session.
    recent: (n,) interactions of all people in the last 28 days.
    """

    name = "again"
    signal_names = ("repeat_rate",)

    def __init__(self, repeat_rate: FloatArray, recent: FloatArray) -> None:
        self.repeat_rate, self.recent = repeat_rate, recent
        self._season = np.sqrt(1 + recent)

    @classmethod
    def fit(cls, data: Interactions, items: ItemTable, settings: TrainingSettings) -> Self:
        """Learn from everything in `data`."""
        n = len(data.item_ids)
        visits = np.unique(np.stack([data.users, data.items, data.sessions], axis=1), axis=0)
        pairs, times = np.unique(visits[:, :2], axis=0, return_counts=True)
        had = np.bincount(pairs[:, 1], minlength=n)
        came_back = np.bincount(pairs[times > 1, 1], minlength=n)
        overall = came_back.sum() / max(had.sum(), 1)
        recent = Popular.fit(data, items, settings).statistics[RECENT]
        return cls(((came_back + 10 * overall) / (had + 10)).astype(np.float32), recent)

    def arrays(self) -> Arrays:
        """The artifact."""
        return {"repeat_rate": self.repeat_rate, "recent": self.recent}

    @classmethod
    def from_arrays(cls, arrays: Arrays) -> Self:
        """The fitted source again."""
        rate, recent = (arrays[name].astype(np.float32, copy=False) for name in ("repeat_rate", "recent"))
        return cls(rate, recent)

    def candidates(self, query: Query, limit: int) -> Candidates:
        """The best, best first."""
        items, scores = self._own(query)
        if query.allowed is not None:
            inside = within(items, query.allowed)
            items, scores = items[inside], scores[inside]
        if not len(items):
            return NOTHING
        order = np.lexsort((items, -scores))[:limit]
        return Candidates(items[order].astype(np.int32), scores[order])

    def score(self, query: Query, positions: IntArray) -> FloatArray:
        """Its scores of `positions`."""
        items, scores = self._own(query)
        found = np.zeros(len(positions), np.float32)
        if len(items):
            order = np.argsort(items)
            at = np.minimum(np.searchsorted(items[order], positions), len(items) - 1)
            hit = items[order][at] == positions
            found[hit] = scores[order[at[hit]]]
        return found

    def signals(self, query: Query, positions: IntArray) -> FloatArray:
        """How often people come back to each item."""
        known = positions < len(self.repeat_rate)
        rate = np.zeros((len(positions), 1), np.float32)
        rate[known, 0] = self.repeat_rate[positions[known]]
        return rate

    def _own(self, query: Query) -> tuple[IntArray, FloatArray]:
        """Own items and their scores, once per query."""
        if self.name not in query.memo:
            query.memo[self.name] = self._counted(query)
        own: tuple[IntArray, FloatArray] = query.memo[self.name]
        return own

    def _counted(self, query: Query) -> tuple[IntArray, FloatArray]:
        size = len(self.repeat_rate)
        recent, distance = last_distinct(query, size, len(query.items))
        bought = query.bought < size
        items = np.unique(np.concatenate([recent, query.bought[bought]]))
        if not len(items):
            return items, np.empty(0, np.float32)
        known = query.items < size
        at = np.searchsorted(items, query.items[known])
        decay = 0.5 ** (query.ages_s[known] / HALF_LIFE_S)
        strength = np.bincount(at, decay, len(items)).astype(np.float64)
        # Bought before the kept past begins: at least as old as all of it. How often is not counted: where
        # purchases carry quantities, a dozen cups would count as twelve visits.
        owned = np.searchsorted(items, query.bought[bought])
        strength[owned[strength[owned] == 0]] = decay.min() if len(decay) else 1.0
        strength[np.searchsorted(items, recent)] += 0.5 / (1 + distance)
        return items, (strength * self._season[items]).astype(np.float32)
