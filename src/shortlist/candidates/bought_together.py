"""Items often in one basket with the last items: the strongest source on a cart page."""

from typing import Self

import numpy as np
from scipy import sparse

from shortlist.arrays import Arrays
from shortlist.candidates.cooccurrence import strongest_products
from shortlist.candidates.neighbours import Neighbours
from shortlist.candidates.past import last_distinct
from shortlist.candidates.source import Query
from shortlist.candidates.summed import SummedSource
from shortlist.catalog.table import ItemTable
from shortlist.events.interactions import Interactions
from shortlist.kernels.sums import SumsById
from shortlist.settings import TrainingSettings

KEPT = 100
LAST = 10
MOST_PER_BASKET = 100  # a reseller's basket of a thousand says little about what goes together


class BoughtTogether(SummedSource):
    """Cosine of baskets: purchases of one user in one session. Empty for a shop that knows no purchases."""

    name = "bought_together"

    def __init__(self, together: Neighbours) -> None:
        self.together = together

    @classmethod
    def fit(cls, data: Interactions, items: ItemTable, settings: TrainingSettings) -> Self:
        """Learn from everything in `data`."""
        n = len(data.item_ids)
        users, sessions = data.users[data.purchases], data.sessions[data.purchases]
        bought = data.items[data.purchases]
        if not len(bought):
            return cls(Neighbours(np.zeros((n, 1), np.int32), np.zeros((n, 1), np.float32)))
        _, baskets = np.unique(np.stack([users, sessions], axis=1), axis=0, return_inverse=True)
        pairs = np.unique(np.stack([baskets.ravel(), bought], axis=1), axis=0)
        sizes = np.bincount(pairs[:, 0])
        kept = pairs[(sizes > 1)[pairs[:, 0]] & (sizes <= MOST_PER_BASKET)[pairs[:, 0]]]
        ones = np.ones(len(kept), np.float32)
        matrix = sparse.csr_matrix((ones, (kept[:, 0], kept[:, 1])), shape=(len(sizes), n))
        counts = np.asarray(matrix.sum(0)).ravel()
        scale = np.where(counts > 0, np.maximum(counts, 1) ** -0.5, 0).astype(np.float32)
        return cls(strongest_products(matrix, matrix, KEPT, row_scale=scale, column_scale=scale))

    def arrays(self) -> Arrays:
        """The artifact."""
        return self.together.arrays()

    @classmethod
    def from_arrays(cls, arrays: Arrays) -> Self:
        """The fitted source again."""
        return cls(Neighbours.from_arrays(arrays))

    def sums(self, query: Query) -> SumsById | None:
        """Links from the last items."""
        last, distance = last_distinct(query, len(self.together), LAST)
        return self.together.sums(last, 0.8**distance) if len(last) else None
