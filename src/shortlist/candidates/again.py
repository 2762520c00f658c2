"""What this user had before and may want again: groceries, gifts, a page visited often."""

from typing import Self

import numpy as np

from shortlist.arrays import Arrays, FloatArray, IntArray
from shortlist.candidates.past import last_distinct
from shortlist.candidates.popular import RECENT, Popular, gathered
from shortlist.candidates.source import Query
from shortlist.candidates.summed import SummedSource
from shortlist.catalog.table import ItemTable
from shortlist.events.interactions import Interactions
from shortlist.kernels.sums import SumsById, summed
from shortlist.settings import TrainingSettings

HALF_LIFE_S = 120 * 86_400.0  # of one purchase: on a year of a gift shop 30 days were 16 % worse, 60 days 1 %


class Again(SummedSource):
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

    def sums(self, query: Query) -> SumsById | None:
        """Own items, bought ones among them, and their scores."""
        size = len(self.repeat_rate)
        recent, distance = last_distinct(query, size, len(query.items))
        if not len(recent) and not len(query.bought):
            return None
        decay = 0.5 ** (query.ages_s / HALF_LIFE_S)
        ids = np.concatenate([query.items, recent, query.bought])
        weights = np.zeros((2, len(ids)))
        weights[0, : len(decay)] = decay
        weights[1, len(decay) : len(decay) + len(recent)] = 0.5 / (1 + distance)
        found = summed(ids, weights, size)
        strength, near = found.values
        # Bought before the kept past begins: at least as old as all of it. How often is not counted: where
        # purchases carry quantities, a dozen cups would count as twelve visits.
        strength[strength == 0] = decay[query.items < size].min(initial=1.0)
        return SumsById(found.ids, ((strength + near) * self._season[found.ids])[None], size)

    def signals(self, query: Query, positions: IntArray) -> FloatArray:
        """How often people come back to each item."""
        return gathered(self.repeat_rate, positions)[:, None]
