"""Vectors by position and the search among them."""

import importlib
from abc import ABC, abstractmethod
from functools import lru_cache
from typing import Any, Self

import numpy as np

from shortlist.arrays import Arrays, BoolArray, FloatArray, IntArray
from shortlist.retrieval.top import top, within

faiss: Any = importlib.import_module("faiss")  # its stubs lack half of what it has

# Measured, alone in a loop: exact 0.06 ms at 3.7k × 128 and 0.15 ms at 10k, an HNSW search 0.09 and 0.10 ms;
# where others use the memory too, reading all vectors takes several times as long.
EXACT_BELOW = 5_000
EF_SEARCH = 64  # 0.98 of the true 50 on 300k vectors of 128; the time grows with it
FEW = 0.1  # share of allowed items below which the graph would mostly find what is not allowed
EF_CONSTRUCTION = 80


@lru_cache(maxsize=1_000)
def _parameters(ef_search: int) -> Any:
    return faiss.SearchParametersHNSW(efSearch=ef_search)


class Index(ABC):
    """Vectors of one length by position, and the search among them. Any number of threads may ask."""

    @property
    @abstractmethod
    def dim(self) -> int:
        """Length of a vector."""

    @property
    @abstractmethod
    def is_exact(self) -> bool:
        """Whether a search looks at every vector."""

    @abstractmethod
    def __len__(self) -> int:
        """One past the last position that has a vector."""

    @abstractmethod
    def search(
        self, vector: FloatArray, limit: int, *, allowed: BoolArray | None = None, spare: int = 0
    ) -> tuple[IntArray, FloatArray]:
        """Positions and values of the `limit` largest inner products above 0, best first.

        Where not `is_exact`, some of them are missed and values are those of 8-bit codes, about 1 % off:
        whoever shows them asks `products`. Where it is, ties keep the lower position. allowed: (any size,)
        what may be found; None: all. spare: about how many of the nearest are not allowed.
        """

    @abstractmethod
    def rows(self, positions: IntArray) -> FloatArray:
        """(len(positions), dim) the vectors, to be kept or written to; zeros where there is none."""

    @abstractmethod
    def products(self, vector: FloatArray, positions: IntArray) -> FloatArray:
        """(len(positions),) the inner product with each; 0 where there is no vector."""

    @abstractmethod
    def arrays(self) -> Arrays:
        """The artifact of what was built."""


class VectorIndex(Index):
    """Nearest by inner product, over vectors that never change."""

    def __init__(self, vectors: FloatArray, graph: Any | None) -> None:
        """vectors: (n, d); a row of zeros is no item. graph: FAISS HNSW over the rows that are not zero."""
        self.vectors, self._graph = vectors, graph
        self._ids = np.flatnonzero(vectors.any(axis=1)).astype(np.int32) if graph is not None else None

    @classmethod
    def over(cls, vectors: FloatArray, *, threads: int = 0, exact_below: int = EXACT_BELOW) -> Self:
        """An index over rows of `vectors`; HNSW with 8-bit codes from `exact_below` rows on."""
        vectors = np.ascontiguousarray(vectors, np.float32)
        if len(vectors) < exact_below:
            return cls(vectors, None)
        filled = vectors[vectors.any(axis=1)]
        before = faiss.omp_get_max_threads()
        faiss.omp_set_num_threads(threads or before)
        kind = faiss.ScalarQuantizer.QT_8bit
        graph = faiss.IndexHNSWSQ(vectors.shape[1], kind, 32, faiss.METRIC_INNER_PRODUCT)
        graph.hnsw.efConstruction = EF_CONSTRUCTION
        if len(filled):
            graph.train(filled)
            graph.add(filled)
        faiss.omp_set_num_threads(before)
        return cls(vectors, graph)

    @property
    def is_exact(self) -> bool:
        """Whether a search looks at every vector."""
        return self._graph is None

    @property
    def dim(self) -> int:
        """Length of a vector."""
        return int(self.vectors.shape[1])

    def __len__(self) -> int:
        return len(self.vectors)

    def arrays(self) -> Arrays:
        """The artifact: the vectors, and the graph as FAISS writes it."""
        if self._graph is None:
            return {"vectors": self.vectors}
        return {"vectors": self.vectors, "graph": faiss.serialize_index(self._graph)}

    @classmethod
    def from_arrays(cls, arrays: Arrays) -> Self:
        """The index again."""
        graph = arrays.get("graph")
        vectors = arrays["vectors"].astype(np.float32, copy=False)
        return cls(vectors, faiss.deserialize_index(np.array(graph, np.uint8)) if graph is not None else None)

    def search(
        self, vector: FloatArray, limit: int, *, allowed: BoolArray | None = None, spare: int = 0
    ) -> tuple[IntArray, FloatArray]:
        """See `Index`."""
        if self._graph is None:
            return self._exact(vector, limit, allowed)
        assert self._ids is not None
        if not len(self._ids) or limit <= 0:
            return np.empty(0, np.int32), np.empty(0, np.float32)
        share = 1.0 if allowed is None else np.count_nonzero(allowed[: len(self)]) / len(self)
        if share < FEW:
            return self._among(vector, limit, allowed)
        ask = min(int((limit + spare) / share) + 1, len(self._ids))
        values, rows = self._graph.search(vector[None, :], ask, params=_parameters(max(EF_SEARCH, ask)))
        found = (rows[0] >= 0) & (values[0] > 0)
        positions, values = self._ids[rows[0][found]], values[0][found]
        if allowed is not None:
            good = within(positions, allowed)
            positions, values = positions[good], values[good]
        return positions[:limit], values[:limit]

    def _among(
        self, vector: FloatArray, limit: int, allowed: BoolArray | None
    ) -> tuple[IntArray, FloatArray]:
        """Exact, over the few that are allowed."""
        assert allowed is not None
        few = np.flatnonzero(allowed[: len(self)]).astype(np.int32)
        rows, values = top(self.vectors[few] @ vector, limit)
        return few[rows], values

    def _exact(
        self, vector: FloatArray, limit: int, allowed: BoolArray | None
    ) -> tuple[IntArray, FloatArray]:
        return top(self.vectors @ vector, limit, allowed)

    def rows(self, positions: IntArray) -> FloatArray:
        """See `Index`."""
        inside = positions < len(self.vectors)
        if inside.all():
            return self.vectors[positions]
        rows = np.zeros((len(positions), self.dim), np.float32)
        rows[inside] = self.vectors[positions[inside]]
        return rows

    def products(self, vector: FloatArray, positions: IntArray) -> FloatArray:
        """See `Index`."""
        return self.rows(positions) @ vector
