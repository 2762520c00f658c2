"""Who did what to which item, in order of time: the log as arrays, which training reads."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from shortlist.arrays import BoolArray, FloatArray, IntArray


@dataclass(slots=True, frozen=True)
class Against:
    """What users turned down: (k,) codes as in `Interactions`, and weights below 0."""

    users: IntArray = field(default_factory=lambda: np.empty(0, np.int32))
    items: IntArray = field(default_factory=lambda: np.empty(0, np.int32))
    weights: FloatArray = field(default_factory=lambda: np.empty(0, np.float32))


@dataclass(slots=True, frozen=True)
class Interactions:
    """Interactions as arrays, sorted by `ts_s` (ties keep their order in the log).

    users, items: (n,) codes into `user_ids` and `item_ids`. ts_s: (n,) seconds since 1970, or a position
    where the data knew no time. weights: (n,) by event type, never negative. sessions: (n,) running number
    of the user's session. purchases: (n,) whether it was a purchase. against: what is no interaction, and
    lowers items.
    """

    users: IntArray
    items: IntArray
    ts_s: NDArray[np.float64]
    weights: FloatArray
    sessions: IntArray
    purchases: BoolArray
    user_ids: list[str]
    item_ids: list[str]
    against: Against = field(default_factory=Against)
