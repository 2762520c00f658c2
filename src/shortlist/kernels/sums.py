"""Sums by id over rows of ids: neighbours of items, items of sessions, proposals of sources."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shortlist.arrays import BoolArray, FloatArray, IntArray
from shortlist.kernels.library import LIBRARY, address, floats, ints, scratch

Sums = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class SumsById:
    """What was summed up for ids below `size`.

    ids: (t,) different ones, in the order in which they came up. values: (kinds, t)."""

    ids: IntArray
    values: Sums
    size: int

    def best(self, limit: int, allowed: BoolArray | None = None) -> tuple[IntArray, Sums]:
        """Ids and values, of kind 0, of the `limit` largest above 0, best first; of equal ones the lower id.

        allowed: (any size,) by id; ids beyond it are not; None: all.

        >>> SumsById(np.array([7, 2, 5], np.int32), np.array([[1.0, 2.0, 1.0]]), 8).best(2)[0].tolist()
        [2, 5]
        """
        limit = max(0, min(limit, len(self.ids)))
        ids, values = np.empty(limit, np.int32), np.empty(limit, np.float64)
        if not limit or (allowed is not None and not len(allowed)):
            return ids[:0], values[:0]
        mask, size = (None, 0) if allowed is None else (address(allowed), len(allowed))
        count = LIBRARY.best(
            address(self.ids), address(self.values[0]), len(self.ids), mask, size, limit,
            address(ids), address(values),
        )  # fmt: skip
        return ids[:count], values[:count]

    def at(self, positions: IntArray, kind: int = 0) -> FloatArray:
        """(len(positions),) the values of these ids, 0 where nothing was summed up.

        >>> SumsById(np.array([7, 2], np.int32), np.array([[1.0, 2.0]]), 8).at(np.array([2, 3], np.int32))
        array([2., 0.], dtype=float32)
        """
        if not len(self.ids) or not len(positions):
            return np.zeros(len(positions), np.float32)
        found = np.empty(len(positions), np.float32)
        LIBRARY.at_positions(
            address(self.ids), address(self.values[kind]), len(self.ids), ints(positions), len(positions),
            scratch.slots(self.size), self.size, address(found),
        )  # fmt: skip
        return found


class Rows:
    """Rows of ids, each with a weight: whole rows are read one after the other."""

    __slots__ = ("_ids_at", "_weights_at", "ids", "weights")

    def __init__(self, ids: IntArray, weights: FloatArray | None = None) -> None:
        """ids: (n, width), below 0 where there is none. weights: (n, width), or 0 there; None: all 1."""
        self.ids = np.ascontiguousarray(ids, np.int32)
        self.weights = None if weights is None else np.ascontiguousarray(weights, np.float32)
        self._ids_at = self.ids.ctypes.data
        self._weights_at = None if self.weights is None else self.weights.ctypes.data

    def sums(self, of: IntArray, lent: Sums, size: int) -> SumsById:
        """Σ over rows `of` of lent × weight, for every id below `size` in them.

        of: (rows,); those that are not below n lend nothing. lent: (kinds, rows) what each lends, for one
        or two sums at once."""
        kinds, width = len(lent), self.ids.shape[1]
        assert kinds in (1, 2)
        most = min(len(of) * width, size) + 1
        ids, values = np.empty(most, np.int32), np.empty((kinds, most), np.float64)
        count = LIBRARY.row_sums(
            self._ids_at, self._weights_at, width, len(self.ids), ints(of), len(of), floats(lent), kinds,
            scratch.slots(size), size, address(ids), address(values), most,
        )  # fmt: skip
        return SumsById(ids[:count], values[:, :count], size)

    def links(self, of: IntArray, positions: IntArray, size: int) -> FloatArray:
        """(len(of), len(positions)) the weights with which each row has `positions`; 0 where it has not.

        of: rows; those that are not below n have none. positions: different ones; from `size` on none."""
        found = np.zeros((len(of), len(positions)), np.float32)
        if found.size:
            LIBRARY.links_to(
                self._ids_at, self._weights_at, self.ids.shape[1], len(self.ids), ints(of), len(of),
                ints(positions), len(positions), scratch.slots(size), size, address(found),
            )  # fmt: skip
        return found

    def near(
        self, of: IntArray, lent: Sums, current: IntArray, matched: Sums, by_steps: Sums, size: int
    ) -> SumsById:
        """What rows lend to their ids below `size`, most to those that stand near the newest one of `current`
        in the row: Σ lent × matched × by_steps. A row without any of them lends nothing.

        of, lent: (rows,). current, matched: (m,) ids, the newest first, and what such a match counts.
        by_steps: (width,) what an id so many steps away from it counts."""
        width = self.ids.shape[1]
        most = len(of) * width + 1
        # Behind the sums: where in each row the match stands, and what the row lends.
        ids, values = np.empty(most + len(of), np.int32), np.empty((1, most + len(of)), np.float64)
        count = LIBRARY.session_sums(
            self._ids_at, width, len(self.ids), ints(of), floats(lent), len(of),
            ints(current), floats(matched), len(current), floats(by_steps),
            scratch.slots(size), size, address(ids), address(values),
        )  # fmt: skip
        return SumsById(ids[:count], values[:, :count], size)


def summed(ids: IntArray, weights: Sums | FloatArray, size: int) -> SumsById:
    """The sum of the weights of each different id below `size`.

    ids: (n,). weights: (n,), or (2, n) for two sums at once.

    >>> summed(np.array([3, 1, 3], np.int32), np.array([1.0, 5.0, 2.0]), 4).values.tolist()
    [[3.0, 5.0]]
    """
    kinds = 1 if weights.ndim == 1 else len(weights)
    assert kinds in (1, 2)
    most = min(len(ids), size) + 1
    found, values = np.empty(most, np.int32), np.empty((kinds, most), np.float64)
    count = LIBRARY.row_sums(
        ints(ids), None, 1, len(ids), None, len(ids), floats(weights), kinds,
        scratch.slots(size), size, address(found), address(values), most,
    )  # fmt: skip
    return SumsById(found[:count], values[:, :count], size)
