"""For each item the items that go with it, cut to the strongest: kNN, transitions and baskets are that."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from scipy import sparse

from shortlist.arrays import Arrays, FloatArray, IntArray
from shortlist.kernels.sums import Rows, SumsById


@dataclass(frozen=True, slots=True)
class Neighbours:
    """items, weights: (n, k), each row's neighbours at its end; before them padding of weight 0.

    Rows of equal length, because taking whole rows is several times quicker than walking ragged ones.
    """

    items: IntArray
    weights: FloatArray
    _rows: Rows = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_rows", Rows(self.items, self.weights))

    @classmethod
    def strongest(cls, links: Any, k: int) -> Self:
        """The `k` strongest links of each row of a sparse (rows, n) matrix; those ≤ 0 are none."""
        links = sparse.csr_matrix(links)
        links.sum_duplicates()
        n = links.shape[0]
        longest = int(np.diff(links.indptr).max(initial=0)) if n else 0
        width = max(1, min(k, longest))
        items = np.zeros((n, width), np.int32)
        weights = np.zeros((n, width), np.float32)
        for row in range(n):
            start, end = links.indptr[row], links.indptr[row + 1]
            values, columns = links.data[start:end], links.indices[start:end]
            if len(values) > width:
                kept = np.argpartition(values, len(values) - width)[len(values) - width :]
                values, columns = values[kept], columns[kept]
            if len(values):
                items[row, -len(values) :] = columns
                weights[row, -len(values) :] = np.maximum(values, 0)
        return cls(items, weights)

    @classmethod
    def stacked(cls, parts: Sequence["Neighbours"]) -> Self:
        """The rows of all parts, one after the other, padded to the longest."""
        n, width = sum(len(part) for part in parts), max((part.items.shape[1] for part in parts), default=1)
        items, weights = np.zeros((n, width), np.int32), np.zeros((n, width), np.float32)
        start = 0
        for part in parts:
            rows = slice(start, start + len(part))
            items[rows, width - part.items.shape[1] :] = part.items
            weights[rows, width - part.items.shape[1] :] = part.weights
            start += len(part)
        return cls(items, weights)

    def __len__(self) -> int:
        return len(self.items)

    def sums(self, of: IntArray, *weights: ArrayLike) -> SumsById:
        """What the items `of` (m,) lend to others: Σ weight × link, for one or two arrays of m weights."""
        return self._rows.sums(of, np.array(weights, np.float64), len(self.items))

    def links(self, of: IntArray, positions: IntArray) -> FloatArray:
        """(len(of), len(positions)) the weights of the links from each item to `positions`; 0 where there is
        none, and from and to items that came later."""
        return self._rows.links(of, positions, len(self.items))

    def arrays(self) -> Arrays:
        """The artifact."""
        return {"items": self.items, "weights": self.weights}

    @classmethod
    def from_arrays(cls, arrays: Arrays) -> Self:
        """The neighbours again."""
        return cls(
            arrays["items"].astype(np.int32, copy=False), arrays["weights"].astype(np.float32, copy=False)
        )
