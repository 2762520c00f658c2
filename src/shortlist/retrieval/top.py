"""The largest of many scores."""

import numpy as np

from shortlist.arrays import FloatArray, IntArray


def top(scores: FloatArray, limit: int) -> tuple[IntArray, FloatArray]:
    """Positions and values of the `limit` largest scores above 0, best first; ties keep the lower position.

    scores: (n,). Costs a partition of what is above 0, not of everything.

    >>> top(np.array([0.5, 0.0, 0.9, 0.5], np.float32), 2)[0].tolist()
    [2, 0]
    """
    found = np.flatnonzero(scores > 0)
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
