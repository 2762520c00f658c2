"""GF-CF: a low-pass filter over the graph of who had what; strong where events have no order."""

from typing import Self

import numpy as np
from scipy import sparse

from shortlist.arrays import Arrays, FloatArray
from shortlist.candidates.cooccurrence import user_items
from shortlist.candidates.past import last_distinct
from shortlist.candidates.source import Query
from shortlist.candidates.vectors import VectorSource
from shortlist.catalog.table import ItemTable
from shortlist.events.interactions import Interactions
from shortlist.retrieval.index import VectorIndex
from shortlist.settings import TrainingSettings
from shortlist.singular import right_singular

BANDWIDTH = 256
LAST = 200
ASKED = 256  # users whose vectors the index is tried with
# Less than other sources keep: users lie between many lists, and to keep 98 % would take three times as long.
KEPT_OF_NEAREST = 0.85


class Graph(VectorSource):
    """The ideal low-pass part of GF-CF (Shen et al. 2021): a user's items through the smoothest components.

    Its linear part is a cosine kNN, which `item_knn` is; only the low-pass part is kept here.
    left: (n, d) what an item puts into the components; the index holds what each component gives to items.
    """

    name = "graph"

    def __init__(self, left: FloatArray, index: VectorIndex) -> None:
        self.left, self.index = left, index

    @classmethod
    def fit(cls, data: Interactions, items: ItemTable, settings: TrainingSettings) -> Self:
        """Learn from everything in `data`."""
        n = len(data.item_ids)
        matrix = user_items(data, n)
        rows = np.maximum(np.asarray(matrix.sum(1)).ravel(), 1) ** -0.5
        degree = np.asarray(matrix.sum(0)).ravel()
        columns = np.where(degree > 0, np.maximum(degree, 1) ** -0.5, 0)
        normal = sparse.diags(rows) @ matrix @ sparse.diags(columns)
        components = right_singular(sparse.csr_matrix(normal, dtype=np.float32), BANDWIDTH, settings.seed)
        left = (components * columns[:, None]).astype(np.float32)
        right = np.where(columns[:, None] > 0, components * np.sqrt(np.maximum(degree, 0))[:, None], 0)
        asked = matrix[:: max(1, matrix.shape[0] // ASKED)] @ left
        index = VectorIndex.over(
            right.astype(np.float32), threads=settings.threads, asked=asked, kept=KEPT_OF_NEAREST
        )
        return cls(left, index)

    def arrays(self) -> Arrays:
        """The artifact."""
        return {"left": self.left, **self.index.arrays()}

    @classmethod
    def from_arrays(cls, arrays: Arrays) -> Self:
        """The fitted source again."""
        return cls(arrays["left"].astype(np.float32, copy=False), VectorIndex.from_arrays(arrays))

    def vector(self, query: Query) -> FloatArray | None:
        """The sum of the last items."""
        last, _ = last_distinct(query, len(self.left), LAST)
        return self.left.take(last, axis=0).sum(axis=0) if len(last) else None
