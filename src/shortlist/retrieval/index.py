"""Vectors by position and the search among them."""

import importlib
import math
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from shortlist.arrays import Arrays, BoolArray, FloatArray, IntArray
from shortlist.retrieval.top import top, within

faiss: Any = importlib.import_module("faiss")  # its stubs lack half of what it has

# Where others use the memory too, reading all vectors takes several times as long as alone in a loop.
EXACT_BELOW = 5_000
SPARE = 0.5  # share by which more than asked for are looked up, for those that are not allowed
FEW = 0.1  # share of allowed items below which those alone are looked at, all of them
ITERATIONS, POINTS_PER_LIST = 10, 64  # of k-means; more of either finds no more
FEWEST_PROBES, KEPT = 4, 0.98  # lists looked at; share of the value of the true nearest that they must keep
SAMPLE, NEAREST, MIXED = 64, 100, 5  # queries that say how many: sums of up to five vectors


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
        self, vector: FloatArray, limit: int, *, allowed: BoolArray | None = None
    ) -> tuple[IntArray, FloatArray]:
        """Positions and values of the `limit` largest inner products above 0, best first.

        Where not `is_exact`, some of them are missed and values are those of 8-bit codes, about 1 % off:
        whoever shows them asks `products`. Where it is, ties keep the lower position. allowed: (any size,)
        what may be found; None: all.
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
    """Nearest by inner product, over vectors that never change.

    From `EXACT_BELOW` rows on a search looks at the lists of k-means (FAISS IVF) nearest to what is asked, as
    8-bit codes; how many lists is chosen when it is built, by queries whose true nearest are known.
    """

    def __init__(self, vectors: FloatArray, lists: Any | None, probes: int = 0) -> None:
        """vectors: (n, d); a row of zeros is no item. lists: FAISS IVF of the rows that are not zero, by
        their positions. probes: how many of its lists a search looks at."""
        self.vectors, self._lists, self.probes = vectors, lists, probes
        self._options = faiss.SearchParametersIVF(nprobe=probes) if lists is not None else None

    @classmethod
    def over(
        cls,
        vectors: FloatArray,
        *,
        threads: int = 0,
        asked: FloatArray | None = None,
        probes: int = 0,
        kept: float = KEPT,
        exact_below: int = EXACT_BELOW,
    ) -> Self:
        """An index over rows of `vectors`. asked: (k, d) queries as they will come, to choose the number of
        lists by; None: sums of a few rows. probes: that number where it is known. kept: share of the value of
        the true nearest that a search must keep."""
        vectors = np.ascontiguousarray(vectors, np.float32)
        if len(vectors) < exact_below:
            return cls(vectors, None)
        filled = np.flatnonzero(vectors.any(axis=1))
        with _threads(threads):
            lists = _built(vectors, filled)
            if len(filled) and not probes:
                probes = _probes(lists, vectors, filled, asked, kept)
        return cls(vectors, lists, probes)

    @property
    def is_exact(self) -> bool:
        """Whether a search looks at every vector."""
        return self._lists is None

    @property
    def dim(self) -> int:
        """Length of a vector."""
        return int(self.vectors.shape[1])

    def __len__(self) -> int:
        return len(self.vectors)

    def arrays(self) -> Arrays:
        """The artifact: the vectors, and the lists as FAISS writes them."""
        if self._lists is None:
            return {"vectors": self.vectors}
        lists = faiss.serialize_index(self._lists)
        return {"vectors": self.vectors, "lists": lists, "probes": np.array([self.probes])}

    @classmethod
    def from_arrays(cls, arrays: Arrays) -> Self:
        """The index again."""
        vectors = arrays["vectors"].astype(np.float32, copy=False)
        if "lists" not in arrays:
            return cls(vectors, None)
        lists = faiss.deserialize_index(np.array(arrays["lists"], np.uint8))
        return cls(vectors, lists, int(arrays["probes"][0]))

    def search(
        self, vector: FloatArray, limit: int, *, allowed: BoolArray | None = None
    ) -> tuple[IntArray, FloatArray]:
        """See `Index`."""
        if self._lists is None:
            return top(self.vectors @ vector, limit, allowed)
        if not self._lists.ntotal or limit <= 0:
            return np.empty(0, np.int32), np.empty(0, np.float32)
        if allowed is None:
            positions, values, _ = self._listed(vector, limit, self._options)
            return positions, values
        # Nearly all is allowed, as a rule: a few more without asking cost half of what asking of each does.
        positions, values, is_all = self._listed(vector, limit + int(SPARE * limit), self._options)
        kept = within(positions, allowed)
        if is_all or np.count_nonzero(kept) >= limit:
            return positions[kept][:limit], values[kept][:limit]
        allowed = allowed[: len(self)]
        share = np.count_nonzero(allowed) / len(self)
        if share < FEW:
            return self._among(vector, limit, allowed)
        bits = np.packbits(allowed, bitorder="little")
        options = faiss.SearchParametersIVF(
            nprobe=min(int(self.probes / share), self._lists.nlist),
            sel=faiss.IDSelectorBitmap(8 * len(bits), faiss.swig_ptr(bits)),
        )
        positions, values, is_all = self._listed(vector, limit, options)
        if not is_all and len(positions) < limit:  # the nearest lists have too few that are allowed
            return self._among(vector, limit, allowed)
        return positions, values

    def _listed(self, vector: FloatArray, limit: int, options: Any) -> tuple[IntArray, FloatArray, bool]:
        """The nearest of some lists, and whether these are all that have a value above 0 there."""
        lists: Any = self._lists
        values, found = lists.search(vector[None, :], min(limit, lists.ntotal), params=options)
        kept = (found[0] >= 0) & (values[0] > 0)
        is_all = bool(found[0, -1] >= 0 and not kept[-1])
        return found[0][kept].astype(np.int32), values[0][kept], is_all

    def _among(self, vector: FloatArray, limit: int, allowed: BoolArray) -> tuple[IntArray, FloatArray]:
        """Exact, over those that are allowed."""
        few = np.flatnonzero(allowed).astype(np.int32)
        rows, values = top(self.vectors[few] @ vector, limit)
        return few[rows], values

    def rows(self, positions: IntArray) -> FloatArray:
        """See `Index`."""
        if int(positions.max(initial=-1)) < len(self.vectors):
            return self.vectors.take(positions, axis=0)  # half the time of indexing
        inside = positions < len(self.vectors)
        rows = np.zeros((len(positions), self.dim), np.float32)
        rows[inside] = self.vectors[positions[inside]]
        return rows

    def products(self, vector: FloatArray, positions: IntArray) -> FloatArray:
        """See `Index`."""
        return self.rows(positions) @ vector


@contextmanager
def _threads(threads: int) -> Iterator[None]:
    """FAISS on so many threads within; 0: as it is."""
    before = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(threads or before)
    try:
        yield
    finally:
        faiss.omp_set_num_threads(before)


def _built(vectors: FloatArray, filled: NDArray[np.int64]) -> Any:
    """FAISS IVF of 8-bit codes over the rows `filled`, about 2 √n lists."""
    dim, rows = vectors.shape[1], vectors[filled]
    count = min(2 ** max(round(math.log2(2 * math.sqrt(len(rows) + 1))), 1), max(len(rows), 1))
    lists = faiss.IndexIVFScalarQuantizer(
        faiss.IndexFlatIP(dim), dim, count, faiss.ScalarQuantizer.QT_8bit, faiss.METRIC_INNER_PRODUCT, False
    )
    lists.cp.niter, lists.cp.max_points_per_centroid = ITERATIONS, POINTS_PER_LIST
    lists.cp.spherical = True  # or the longest vectors' lists get nearly all items
    lists.cp.min_points_per_centroid = 1  # it would only warn
    if len(rows):
        lists.train(rows)
        lists.add_with_ids(rows, filled)
    return lists


def _probes(
    lists: Any, vectors: FloatArray, filled: NDArray[np.int64], asked: FloatArray | None, kept: float
) -> int:
    """The fewest lists, half as many more each time, that keep so much of the value of the true nearest."""
    rng = np.random.default_rng(len(filled))
    if asked is None or not len(asked):
        of = rng.integers(1, MIXED + 1, SAMPLE)
        asked = np.stack([vectors[rng.choice(filled, k)].sum(axis=0) for k in of])
    else:
        asked = asked[rng.integers(0, len(asked), SAMPLE)]
    nearest = min(NEAREST, len(filled))
    products = asked @ vectors[filled].T
    best = -np.partition(-products, nearest - 1, axis=1)[:, :nearest]
    whole = np.maximum(best, 0).sum()
    probes = min(FEWEST_PROBES, lists.nlist)
    while probes < lists.nlist:
        options = faiss.SearchParametersIVF(nprobe=probes)
        _, found = lists.search(asked, nearest, params=options)
        hits = np.where(found >= 0, np.einsum("kd,knd->kn", asked, vectors[found]), 0)
        if np.maximum(hits, 0).sum() >= kept * whole:
            break
        probes = min(probes + probes // 2, lists.nlist)
    return int(probes)
