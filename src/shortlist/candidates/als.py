"""Collaborative filtering by implicit ALS, the user folded in from their last items at the time of asking."""

from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.linalg import lapack

from shortlist.arrays import Arrays, FloatArray, IntArray
from shortlist.candidates.past import last_distinct, strengths
from shortlist.candidates.source import Query
from shortlist.candidates.vectors import VectorSource
from shortlist.catalog.table import ItemTable
from shortlist.events.interactions import Interactions
from shortlist.retrieval.index import VectorIndex
from shortlist.settings import TrainingSettings


class Als(VectorSource):
    """Items and users in one space; what lies in the user's direction is proposed.

    The user's vector is solved from the last 200 items with the confidence and regularisation of training
    (Hu, Koren and Volinsky 2008), so somebody who clicked a minute ago is no stranger.
    """

    name = "als"
    signal_names = ("cos_last", "cos_last3", "cos_recent")

    def __init__(
        self, index: VectorIndex, gram: NDArray[np.float64], *, confidence: float, typical: float
    ) -> None:
        """gram: (f, f) YᵀY + λI. confidence: α. typical: weight of the usual event."""
        self.index, self.gram, self.confidence, self.typical = index, gram, confidence, typical
        self.factors = index.vectors
        norms = np.linalg.norm(self.factors, axis=1) if len(self.factors) else np.zeros(0)
        self.inverse_norms = np.divide(1, norms, out=np.zeros_like(norms), where=norms > 0).astype(np.float32)

    @classmethod
    def fit(
        cls,
        data: Interactions,
        items: ItemTable,
        settings: TrainingSettings,
        *,
        regularization: float = 1.0,
        confidence: float = 40.0,
        factors: int | None = None,
        iterations: int = 12,
    ) -> Self:
        """Learn from everything in `data`."""
        from implicit.als import AlternatingLeastSquares
        from threadpoolctl import threadpool_limits

        typical = float(np.median(data.weights)) if len(data.weights) else 1.0
        size = factors or settings.factors
        n = len(data.item_ids)
        matrix = _confidences(data, n, confidence, typical)
        with threadpool_limits(1, "blas"):  # implicit has threads of its own and warns of others
            model = AlternatingLeastSquares(
                factors=size,
                regularization=regularization,
                alpha=1.0,
                iterations=iterations,
                num_threads=settings.threads,
                random_state=settings.seed,
            )
            if matrix.nnz:
                model.fit(matrix, show_progress=False)
        vectors = (
            np.asarray(model.item_factors, np.float32) if matrix.nnz else np.zeros((n, size), np.float32)
        )
        seen = np.bincount(data.items, minlength=n)[:n] > 0
        vectors[~seen] = 0  # never interacted with: what is left of the random start means nothing
        gram = vectors.T.astype(np.float64) @ vectors + regularization * np.eye(vectors.shape[1])
        index = VectorIndex.over(vectors, threads=settings.threads)
        return cls(index, gram, confidence=confidence, typical=typical)

    def exact(self) -> Self:
        """The same model without approximate search."""
        return type(self)(
            VectorIndex(self.factors, None), self.gram, confidence=self.confidence, typical=self.typical
        )

    def arrays(self) -> Arrays:
        """The artifact."""
        rest = {"gram": self.gram, "confidence": np.array([self.confidence, self.typical])}
        return {**self.index.arrays(), **rest}

    @classmethod
    def from_arrays(cls, arrays: Arrays) -> Self:
        """The fitted source again."""
        confidence, typical = (float(v) for v in arrays["confidence"])
        gram = arrays["gram"].astype(np.float64, copy=False)
        return cls(VectorIndex.from_arrays(arrays), gram, confidence=confidence, typical=typical)

    def signals(self, query: Query, positions: IntArray) -> FloatArray:
        """Cosines: to the last item, mean to the last three, to the last twenty weighted by 1 / distance."""
        found = np.zeros((len(positions), 3), np.float32)
        last, distance = last_distinct(query, len(self.factors), 20)
        known = positions < len(self.factors)
        if not len(last) or not known.any():
            return found
        at = positions[known]
        past = self.factors[last] * self.inverse_norms[last][:, None]
        near = np.stack([past[0], past[:3].mean(0), (1 / (1 + distance)) @ past])
        found[known] = (self.factors[at] @ near.astype(np.float32).T) * self.inverse_norms[at][:, None]
        return found

    def user(self, query: Query) -> FloatArray | None:
        """The folded-in vector (f,), made once per query; None without a known past."""
        if "als:user" not in query.memo:
            items, strength = strengths(query, len(self.factors), self.typical)
            query.memo["als:user"] = self.solved(items, strength * self.confidence)
        user: FloatArray | None = query.memo["als:user"]
        return user

    def solved(self, items: IntArray, confidence: FloatArray) -> FloatArray | None:
        """The vector (f,) of somebody who chose these items with these confidences (α × strength)."""
        if not len(items):
            return None
        rows = self.factors[items]
        excess = np.maximum(confidence - 1, 0)[:, None] * rows
        left = self.gram + rows.T @ excess
        right = confidence @ rows
        _, solved, failed = lapack.dposv(left, right, overwrite_a=True)  # linalg.solve checks for 0.2 ms more
        return np.asarray(solved, np.float32) if failed == 0 else None


def _confidences(data: Interactions, n: int, confidence: float, typical: float) -> Any:
    """Users × items, each pair's confidence α × log2(1 + Σ weight / typical)."""
    shape = (len(data.user_ids), n)
    matrix = sparse.csr_matrix((data.weights / typical, (data.users, data.items)), shape=shape)
    matrix.sum_duplicates()
    matrix.data = (confidence * np.log2(1 + matrix.data)).astype(np.float32)
    return matrix
