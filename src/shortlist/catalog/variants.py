"""Variants: items that stand for one. A slate shows one of them, and who bought one has bought them all."""

from collections.abc import Collection

import numpy as np

from shortlist.arrays import BoolArray, IntArray
from shortlist.catalog.table import Columns


def barred(mask: BoolArray, positions: IntArray, columns: Columns) -> None:
    """Take `positions`, and whatever stands for the same, out of `mask`, in place.

    mask: (at most size of the columns,): items may have come since it was made. Positions beyond it are
    passed over.
    """
    inside = positions[positions < len(mask)]
    mask[inside] = False
    if columns.group is not None and len(inside):
        gone = np.zeros(len(columns.group), np.bool_)
        gone[columns.group[inside]] = True
        mask &= ~gone[columns.group[: len(mask)]]


def firsts(positions: IntArray, columns: Columns, chosen: Collection[int] = ()) -> IntArray:
    """Indexes into `positions`, ascending, of the first item of each group.

    chosen: indexes that are kept, and that come before all others of their group.
    """
    every = np.arange(len(positions), dtype=np.int32)
    if columns.group is None:
        return every
    fixed = np.array(sorted(chosen), np.int32)
    order = np.concatenate([fixed, np.delete(every, fixed)])
    _, first = np.unique(columns.group[positions[order]], return_index=True)
    return np.unique(np.concatenate([order[first], fixed])).astype(np.int32)
