"""The largest of many scores."""

import numpy as np

from shortlist.arrays import BoolArray, FloatArray, IntArray


def top(scores: FloatArray, limit: int, allowed: BoolArray | None = None) -> tuple[IntArray, FloatArray]:
    """Positions and values of the `limit` largest scores above 0, best first; ties keep the lower position.

    scores: (n,). allowed: (any size,) positions that may be among them; None: all. Costs a partition of
    what is above 0, not of everything.

    >>> top(np.array([0.5, 0.0, 0.9, 0.5], np.float32), 2)[0].tolist()
    [2, 0]
    """
    marked = scores > 0
    if allowed is not None:
        size = min(len(marked), len(allowed))
        marked[size:] = False
        marked[:size] &= allowed[:size]
    found = np.flatnonzero(marked)
    values = scores[found]
    if len(found) > limit:
        if limit <= 0:
            found = found[:0]
        else:
            # What ties with the last place is sorted too, so that the lower position wins it.
            least = np.partition(values, len(values) - limit)[len(values) - limit]
            found = found[values >= least]
        values = scores[found]
    order = np.argsort(-values, kind="stable")[:limit]
    return found[order].astype(np.int32), values[order].astype(np.float32)


def within(positions: IntArray, allowed: BoolArray) -> BoolArray:
    """(len(positions),) whether each is allowed; positions beyond `allowed` are not.

    >>> within(np.array([0, 1, 9], np.int32), np.array([True, False])).tolist()
    [True, False, False]
    """
    if not len(allowed):
        return np.zeros(len(positions), np.bool_)
    inside: BoolArray = positions < len(allowed)
    return inside & allowed[np.minimum(positions, len(allowed) - 1)]
