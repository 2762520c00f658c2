"""What a user did with candidates before."""

import numpy as np

from shortlist.arrays import BoolArray, FloatArray, IntArray
from shortlist.kernels.library import LIBRARY, address, ints, scratch

ROWS = 6  # of what is found: see `own_past`


def own_past(
    items: IntArray,
    during: BoolArray,
    ages: FloatArray,
    bought: IntArray,
    positions: IntArray,
    *,
    far: float,
    old: float,
    size: int,
    found: FloatArray,
) -> None:
    """Fill in, for each of `positions`: how often it was met, how many came after the last time, the age of
    that, how often in the session at hand, whether it was bought, and what share of the past it is.

    items, during, ages: (n,) the past in order, whether each was in that session, and its age in any unit.
    bought: (m,). far, old: distance and age where it was never met. size: one past the largest id that
    counts. found: (6, len(positions)) of float32, contiguous, written to.
    """
    assert found.shape == (ROWS, len(positions))
    assert found.dtype == np.float32
    assert found.flags.c_contiguous
    if len(positions):
        LIBRARY.own_past(
            ints(items), during.tobytes(), ages.astype(np.float32, copy=False).tobytes(), len(items),
            ints(bought), len(bought), ints(positions), len(positions),
            far, old, scratch.slots(size), size, address(found),
        )  # fmt: skip
