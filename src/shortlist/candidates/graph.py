"""GF-CF: a low-pass filter over the graph of who had what; strong where events have no order."""

from typing import Any, Self

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

BANDWIDTH = 256
LAST = 200
ASKED = 256  # users whose vectors the index is tried with
# Less than other sources keep: users lie between many lists, and the last 4 % would double the time.
KEPT_OF_NEAREST = 0.95


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
        components = _smoothest(sparse.csr_matrix(normal, dtype=np.float32), BANDWIDTH, settings.seed)
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

    def user(self, query: Query) -> FloatArray | None:
        """The sum of the last items."""
        last, _ = last_distinct(query, len(self.left), LAST)
        return self.left.take(last, axis=0).sum(axis=0) if len(last) else None


def _smoothest(normal: Any, size: int, seed: int) -> FloatArray:
    """(n, ≤ size) right singular vectors of the largest singular values, by a randomised range finder."""
    rng = np.random.default_rng(seed)
    users, n = normal.shape
    size = min(size, users, n)
    if size < 1 or not normal.nnz:
        return np.zeros((n, 1), np.float32)
    probe = rng.standard_normal((n, min(size + 32, min(users, n)))).astype(np.float32)
    for _ in range(4):
        probe, _ = np.linalg.qr(normal.T @ (normal @ probe))
    _, _, components = np.linalg.svd(normal @ probe, full_matrices=False)
    return np.asarray(probe @ components[:size].T, np.float32)
