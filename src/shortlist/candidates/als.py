"""Collaborative filtering by implicit ALS, the user folded in from their last items at the time of asking."""

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.linalg import lapack

from shortlist.arrays import Arrays, BoolArray, FloatArray, IntArray
from shortlist.candidates.cold import ColdMap, taken_among
from shortlist.candidates.past import last_distinct, strength_of, strengths
from shortlist.candidates.source import Query
from shortlist.candidates.vectors import VectorSource
from shortlist.catalog.item import Item
from shortlist.catalog.table import ItemTable
from shortlist.events.interactions import Interactions
from shortlist.retrieval.index import Index, VectorIndex
from shortlist.settings import TrainingSettings

MAP_USERS, MAP_CELLS = 200, 20_000_000  # users whose lists scale the map of cold items; fewer × more items
RECENT = 20  # items of the past that candidates are compared with


def _lent(count: int) -> FloatArray:
    """(3, count) what each of so many last items counts in the cosines that are signals."""
    distance = np.arange(count)
    return np.stack([distance == 0, (distance < 3) / max(min(3, count), 1), 1 / (1 + distance)]).astype(
        np.float32
    )


LENT = [_lent(count) for count in range(RECENT + 1)]


class Als(VectorSource):
    """Items and users in one space; what lies in the user's direction is proposed.

    The user's vector is solved from the last 200 items with the confidence and regularisation of training
    (Hu, Koren and Volinsky 2008), so somebody who clicked a minute ago is no stranger. An item that few
    people or nobody touched has the factors that a map from its text and attributes expects; its own take
    over as interactions come in.
    """

    name = "als"
    signal_names = ("cos_last", "cos_last3", "cos_recent")

    def __init__(
        self,
        index: VectorIndex,
        touched: BoolArray,
        gram: NDArray[np.float64],
        cold: ColdMap,
        *,
        confidence: float,
        typical: float,
    ) -> None:
        """touched: (n,) whether anybody had it in training. gram: (f, f) YᵀY + λI, Y as learned from
        interactions alone. cold: makes factors of new items. confidence: α. typical: weight of the usual
        event."""
        self.index: Index = index
        self.touched, self.gram, self.cold = touched, gram, cold
        self.confidence, self.typical = confidence, typical
        self.factors = index.vectors  # of training; `index` has those that came since
        self._gram, self._inverse = gram.astype(np.float32), np.linalg.inv(gram).astype(np.float32)

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
        texts: FloatArray | None = None,
    ) -> Self:
        """Learn from everything in `data`. texts: (n, d) vectors of what is said of the items; None: items
        that nobody touched stay unknown."""
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
        counts = np.bincount(data.items, minlength=n)[:n]
        touched = counts > 0
        vectors[~touched] = 0  # what is left of the random start means nothing
        gram = vectors.T.astype(np.float64) @ vectors + regularization * np.eye(vectors.shape[1])
        cold = ColdMap.none(vectors.shape[1])
        if texts is not None and matrix.nnz:
            most = min(MAP_USERS, max(MAP_CELLS // n, 20))
            some = np.sort(np.random.default_rng(settings.seed).permutation(matrix.shape[0])[:most])
            cold = ColdMap.fit(
                items.items[:n], texts, vectors, counts,
                users=np.asarray(model.user_factors, np.float32)[some],
                seen=matrix[some].toarray() > 0, seed=settings.seed,
            )  # fmt: skip
            vectors = cold.blended(items.items[:n], texts, vectors, counts, float(data.ts_s[-1]) * 1000)
        asked = np.asarray(model.user_factors, np.float32) if matrix.nnz else None
        index = VectorIndex.over(vectors, threads=settings.threads, asked=asked)
        return cls(index, touched, gram, cold, confidence=confidence, typical=typical)

    def exact(self) -> Self:
        """The same model without approximate search."""
        return type(self)(
            VectorIndex(self.factors, None), self.touched, self.gram, self.cold,
            confidence=self.confidence, typical=self.typical,
        )  # fmt: skip

    def arrays(self) -> Arrays:
        """The artifact."""
        rest = {
            "touched": self.touched,
            "gram": self.gram,
            "confidence": np.array([self.confidence, self.typical]),
        }
        return {**self.index.arrays(), **self.cold.arrays(), **rest}

    @classmethod
    def from_arrays(cls, arrays: Arrays) -> Self:
        """The fitted source again."""
        confidence, typical = (float(v) for v in arrays["confidence"])
        gram = arrays["gram"].astype(np.float64, copy=False)
        return cls(
            VectorIndex.from_arrays(arrays), arrays["touched"].astype(np.bool_, copy=False), gram,
            ColdMap.from_arrays(arrays), confidence=confidence, typical=typical,
        )  # fmt: skip

    def placed(
        self, positions: IntArray, items: Sequence[Item | None], texts: FloatArray
    ) -> FloatArray | None:
        """As the map expects; an item that people took stays where they put it until the next training."""
        if not len(self.cold.weights):
            return None
        rows = self.cold.factors(items, texts)
        taken = taken_among(positions, self.touched)
        rows[taken] = self.index.rows(positions[taken])
        return rows

    def signals(self, query: Query, positions: IntArray) -> FloatArray:
        """Cosines: to the last item, mean to the last three, to the last twenty weighted by 1 / distance."""
        last, _ = last_distinct(query, len(self.index), RECENT)
        if not len(last) or not len(positions):
            return np.zeros((len(positions), 3), np.float32)
        recent, rows = self.index.rows(last), self.rows(query, positions)
        near = (LENT[len(last)] / _lengths(recent)) @ recent
        cosines = near @ rows.T
        cosines /= _lengths(rows)
        return np.asarray(cosines.T, np.float32)

    def vector(self, query: Query) -> FloatArray | None:
        """The folded-in vector (f,); None without a known past."""
        items, strength = strengths(query, len(self.index), self.typical)
        return self.solved(items, strength * self.confidence)

    def solved(self, items: IntArray, confidence: FloatArray) -> FloatArray | None:
        """The vector (f,) of somebody who chose these items with these confidences (α × strength).

        A confidence below 0 is as sure, of a preference of 0 instead of 1 (as in `implicit`): the vector
        turns away from the item and its neighbours, and never towards their opposite."""
        if not len(items):
            return None
        rows = self.index.rows(items)
        wanted, excess = np.maximum(confidence, 0), np.maximum(np.abs(confidence) - 1, 0)
        if 2 * len(items) < rows.shape[1]:
            return self._updated(rows, wanted, excess)
        left = rows.T @ (excess[:, None] * rows)
        left += self._gram
        right = wanted @ rows
        _, solved, failed = lapack.sposv(left, right, overwrite_a=True)  # linalg.solve checks for 0.2 ms more
        return np.asarray(solved, np.float32) if failed == 0 else None

    def _updated(self, rows: FloatArray, wanted: FloatArray, excess: FloatArray) -> FloatArray | None:
        """The same by Woodbury's identity from the inverse of the gram matrix: a system of as many unknowns
        as there are items, 0.02 ms for a short past against 0.1 ms."""
        lent = rows @ self._inverse
        small = lent @ rows.T
        small.flat[:: len(rows) + 1] += 1 / np.maximum(excess, 1e-6)  # its diagonal
        start = wanted @ lent
        _, solved, failed = lapack.sposv(small, rows @ start, overwrite_a=True)
        return np.asarray(start - solved @ lent, np.float32) if failed == 0 else None


def _lengths(rows: FloatArray) -> FloatArray:
    """(n,) of the rows, and of those of zeros as good as nothing."""
    lengths: FloatArray = np.sqrt(np.einsum("nf,nf->n", rows, rows))
    return np.maximum(lengths, 1e-9, out=lengths)


def _confidences(data: Interactions, n: int, confidence: float, typical: float) -> Any:
    """Users × items, each pair's confidence α × log2(1 + Σ weight / typical); below 0 where it was turned
    down, which `implicit` takes for a preference of 0."""
    shape = (len(data.user_ids), n)
    against = data.against
    weights = np.r_[data.weights, against.weights] / typical
    places = (np.r_[data.users, against.users], np.r_[data.items, against.items])
    matrix = sparse.csr_matrix((weights, places), shape=shape)
    matrix.sum_duplicates()
    matrix.data = confidence * strength_of(matrix.data)
    matrix.eliminate_zeros()
    return matrix
