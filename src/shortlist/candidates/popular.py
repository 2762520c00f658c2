"""What most people take, lately and overall: the source that always has something."""

from typing import Self

import numpy as np
from numpy.typing import NDArray

from shortlist.arrays import Arrays, BoolArray, FloatArray, IntArray
from shortlist.candidates.dense import DenseSource
from shortlist.candidates.source import Candidates, Query
from shortlist.catalog.table import ItemTable
from shortlist.events.interactions import Interactions
from shortlist.retrieval.top import within
from shortlist.settings import TrainingSettings

DAY_S = 86_400.0
CALENDAR_FROM_S = 1e8  # 1973: what is smaller is a position that stands for a time
STATISTICS = ("count", "count_28", "count_7", "age_days", "place")
RECENT = STATISTICS.index("count_28")


class Popular(DenseSource):
    """Counts per item, and the other figures about an item that the ranker uses.

    statistics: (5, n): interactions of all time, of the last 28 and 7 days (where times are positions: of the
    last 28 % and 7 % of each user's past), days since the first one, mean relative place in users' pasts
    (0 first … 1 last; 0.5 where unknown).
    """

    name = "popular"
    signal_names = ("log_count", "log_count_28", "log_count_7", "trend", "age_days", "place")

    def __init__(self, statistics: FloatArray) -> None:
        self.statistics = statistics
        count, count_28, count_7, age, place = statistics
        # All time breaks ties of the recent ones, and stands in where nothing is recent.
        self.popularity = (count_28 + 0.001 * count).astype(np.float32)
        order = np.argsort(-self.popularity, kind="stable").astype(np.int32)
        self._order = order[self.popularity[order] > 0]
        logs = [np.log1p(values) for values in (count, count_28, count_7)]
        trend = np.log((count_7 + 1) / (count_28 / 4 + 1))
        self._signals = np.stack([*logs, trend, age, place], axis=1).astype(np.float32)

    @classmethod
    def fit(cls, data: Interactions, items: ItemTable, settings: TrainingSettings) -> Self:
        """Learn from everything in `data`."""
        n = len(data.item_ids)
        statistics = np.zeros((len(STATISTICS), n), np.float32)
        statistics[4] = 0.5
        if not len(data.items):
            return cls(statistics)
        place = relative_places(data)
        calendar = data.ts_s[-1] >= CALENDAR_FROM_S
        back = (data.ts_s[-1] - data.ts_s) / DAY_S if calendar else (1 - place) * 100
        count = np.bincount(data.items, minlength=n)
        first = np.zeros(n)
        np.maximum.at(first, data.items, back)
        statistics[0] = count
        statistics[1] = np.bincount(data.items[back <= 28], minlength=n)
        statistics[2] = np.bincount(data.items[back <= 7], minlength=n)
        statistics[3] = first
        seen = count > 0
        statistics[4, seen] = np.bincount(data.items, place, n)[seen] / count[seen]
        return cls(statistics)

    def arrays(self) -> Arrays:
        """The artifact."""
        return {"statistics": self.statistics}

    @classmethod
    def from_arrays(cls, arrays: Arrays) -> Self:
        """The fitted source again."""
        return cls(arrays["statistics"].astype(np.float32, copy=False))

    def scores(self, query: Query) -> FloatArray:
        """Scores of every item."""
        popularity: FloatArray = self.popularity
        return popularity

    def top(self, limit: int, among: BoolArray | None = None) -> Candidates:
        """The most popular, of those marked in `among` (any size; None: all), for fallbacks and guests."""
        order = self._order
        if among is not None:
            # Most of the first are marked, as a rule: look no further than it takes.
            for reach in (4 * limit, len(order)):
                order = self._order[:reach]
                order = order[within(order, among)]
                if len(order) >= limit:
                    break
        return Candidates(order[:limit], self.popularity[order[:limit]])

    def candidates(self, query: Query, limit: int) -> Candidates:
        """The most popular of what is allowed."""
        return self.top(limit, query.allowed)

    def signals(self, query: Query, positions: IntArray) -> FloatArray:
        """Logarithms of the counts, this week against the month, age, place in people's pasts."""
        found = np.zeros((len(positions), len(self.signal_names)), np.float32)
        known = positions < len(self._signals)
        found[known] = self._signals[positions[known]]
        return found


def relative_places(data: Interactions) -> NDArray[np.float64]:
    """(events,) where in its user's past each event stands: 0 the first, 1 the last, 0.5 an only one."""
    order = np.argsort(data.users, kind="stable")
    users = data.users[order]
    starts = np.flatnonzero(np.r_[True, users[1:] != users[:-1]])
    lengths = np.diff(np.r_[starts, len(users)])
    within = np.arange(len(users)) - np.repeat(starts, lengths)
    span = np.repeat(lengths - 1, lengths)
    place = np.where(span > 0, within / np.maximum(span, 1), 0.5)
    result = np.empty(len(users))
    result[order] = place
    return result
