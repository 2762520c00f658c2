"""What speaks most for each item: which sources, and which of the items of a past."""

import numpy as np
from numpy.typing import NDArray

from shortlist.arrays import FloatArray, IntArray
from shortlist.kernels.library import LIBRARY, address, ints


def strongest(
    scores: FloatArray, shares: FloatArray, most: int, least: float
) -> tuple[IntArray, NDArray[np.float64], IntArray]:
    """For each item the sources that speak most for it, the strongest first, of equal ones the first; their
    raw scores; and how many of them count at least `least` of what the strongest counts.

    scores: (sources, n) raw. shares: (sources,) what one unit of each counts. Returns (n, most), (n, most)
    and (n,); most: no more than there are sources.

    >>> ranks, values, counts = strongest(
    ...     np.array([[1.0], [3.0], [0.1]], np.float32), np.array([2.0, 1.0, 1.0], np.float32), 2, 0.5)
    >>> ranks.tolist(), values.tolist(), counts.tolist()
    ([[1, 0]], [[3.0, 1.0]], [2])
    """
    sources, n = scores.shape
    assert 1 <= most <= sources
    ranks, values = np.empty((n, most), np.int32), np.empty((n, most), np.float64)
    counts = np.empty(n, np.int32)
    if n:
        scores, shares = (np.ascontiguousarray(given, np.float32) for given in (scores, shares))
        LIBRARY.strongest(
            address(scores), shares.tobytes(), sources, n, most, least,
            address(ranks), address(values), address(counts),
        )  # fmt: skip
    return ranks, values, counts


def nearest_rows(near: FloatArray, of: IntArray, positions: IntArray) -> IntArray:
    """(n,) for each column the row of its largest value above 0, the first of equal ones; -1: there is none.

    near: (rows, n). of: (rows,) and positions: (n,) ids; an id is not near itself.

    >>> near = np.array([[9.0, 1.0, 0.0], [2.0, 3.0, 0.0]], np.float32)
    >>> nearest_rows(near, np.array([7, 8], np.int32), np.array([7, 5, 4], np.int32)).tolist()
    [1, 1, -1]
    """
    nearest = np.full(len(positions), -1, np.int32)
    if near.size:
        near = np.ascontiguousarray(near, np.float32)
        LIBRARY.nearest_rows(
            address(near), ints(of), len(of), ints(positions), len(positions), address(nearest)
        )
    return nearest
