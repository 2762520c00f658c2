"""For each item the items that go with it, cut to the strongest: kNN, transitions and baskets are that."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from scipy import sparse

from shortlist.arrays import Arrays, FloatArray, IntArray, Sums


@dataclass(frozen=True, slots=True)
class Neighbours:
    """items, weights: (n, k), each row's neighbours at its end; before them padding of weight 0.

    Rows of equal length, because taking whole rows is several times quicker than walking ragged ones.
    """

    items: IntArray
    weights: FloatArray

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

    def sum(self, of: IntArray, weights: FloatArray) -> Sums:
        """What the items `of` lend to every item up to the last one that has a link: Σ weights × link."""
        return self.sums(of, weights)[0]

    def sums(self, of: IntArray, *weights: FloatArray) -> list[Sums]:
        """`sum` for several weights of the same items: their rows are read once."""
        if not len(of):
            return [np.zeros(0) for _ in weights]
        items, links = self.items.take(of, axis=0).ravel(), self.weights.take(of, axis=0)
        return [
            np.asarray(np.bincount(items, (links * each[:, None]).ravel()), np.float64) for each in weights
        ]

    def links(self, of: IntArray, positions: IntArray) -> FloatArray:
        """(len(of), len(positions)) the weights of the links from each item to `positions`; 0 where there is
        none, and from and to items that came later."""
        found = np.zeros((len(of), len(positions)), np.float32)
        known = np.flatnonzero(of < len(self.items))
        if not len(known) or not len(positions):
            return found
        order = np.argsort(positions)
        ordered = positions[order]
        items, weights = self.items.take(of[known], axis=0), self.weights.take(of[known], axis=0)
        at = np.minimum(np.searchsorted(ordered, items), len(ordered) - 1)
        row, column = np.nonzero((ordered[at] == items) & (weights > 0))
        found[known[row], order[at[row, column]]] = weights[row, column]
        return found

    def arrays(self) -> Arrays:
        """The artifact."""
        return {"items": self.items, "weights": self.weights}

    @classmethod
    def from_arrays(cls, arrays: Arrays) -> Self:
        """The neighbours again."""
        return cls(
            arrays["items"].astype(np.int32, copy=False), arrays["weights"].astype(np.float32, copy=False)
        )
