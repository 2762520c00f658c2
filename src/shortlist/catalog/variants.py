"""Variants: items that stand for one. A slate shows one of them, and who bought one has bought them all."""

import numpy as np

from shortlist.arrays import BoolArray, IntArray
from shortlist.catalog.table import Columns


def barred(mask: BoolArray, positions: IntArray, columns: Columns) -> None:
    """Take `positions`, and whatever stands for the same, out of `mask`, in place.

    mask: (size of the columns,). Positions beyond it are passed over.
    """
    inside = positions[positions < len(mask)]
    mask[inside] = False
    if columns.group is not None and len(inside):
        gone = np.zeros(len(mask), np.bool_)
        gone[columns.group[inside]] = True
        mask &= ~gone[columns.group]


def firsts(positions: IntArray, columns: Columns) -> IntArray:
    """Indexes into `positions`, ascending, without any item that one before it stands for already."""
    if columns.group is None:
        return np.arange(len(positions), dtype=np.int32)
    _, first = np.unique(columns.group[positions], return_index=True)
    return np.sort(first).astype(np.int32)
