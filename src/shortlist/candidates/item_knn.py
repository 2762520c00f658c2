"""Items that share people with the last items: plain, quick, and hard to beat."""

from typing import Self

import numpy as np

from shortlist.arrays import Arrays, FloatArray, IntArray
from shortlist.candidates.cooccurrence import strongest_products, user_items
from shortlist.candidates.neighbours import Neighbours
from shortlist.candidates.past import last_distinct
from shortlist.candidates.source import Query
from shortlist.candidates.summed import SummedSource
from shortlist.catalog.table import ItemTable
from shortlist.events.interactions import Interactions
from shortlist.kernels.sums import SumsById
from shortlist.settings import TrainingSettings

KEPT = 300
LAST = 50  # items of the past: the weights 1 / distance beyond sum to little, and each costs a row
POWER = 0.3  # of both counts: 0.5 is the cosine, less lets popular items through


class ItemKnn(SummedSource):
    """Σ over the last items of similarity / distance from the newest."""

    name = "item_knn"
    signal_names = ("flat",)

    def __init__(self, similar: Neighbours) -> None:
        self.similar = similar

    @classmethod
    def fit(
        cls, data: Interactions, items: ItemTable, settings: TrainingSettings, *, power: float = POWER
    ) -> Self:
        """Learn from everything in `data`."""
        n = len(data.item_ids)
        matrix = user_items(data, n)
        degree = np.asarray(matrix.sum(1)).ravel()
        counts = np.asarray(matrix.sum(0)).ravel()
        weighted = matrix.copy()
        weighted.data /= np.sqrt(np.repeat(degree, np.diff(matrix.indptr))).astype(np.float32)
        scale = np.where(counts > 0, np.maximum(counts, 1) ** -power, 0).astype(np.float32)
        return cls(strongest_products(weighted, matrix, KEPT, row_scale=scale, column_scale=scale))

    def arrays(self) -> Arrays:
        """The artifact."""
        return self.similar.arrays()

    @classmethod
    def from_arrays(cls, arrays: Arrays) -> Self:
        """The fitted source again."""
        return cls(Neighbours.from_arrays(arrays))

    def sums(self, query: Query) -> SumsById | None:
        """Weighted by 1 / distance, and, of kind 1, every item of the past alike."""
        last, distance = last_distinct(query, len(self.similar), LAST)
        return self.similar.sums(last, 1 / (1 + distance), np.ones(len(last))) if len(last) else None

    def signals(self, query: Query, positions: IntArray) -> FloatArray:
        """The sum with every item weighted alike: taste rather than what it is about now."""
        sums = self.once(query)
        flat = sums.at(positions, 1) if sums is not None else np.zeros(len(positions), np.float32)
        return flat[:, None]
