"""What most people take, lately and overall: the source that always has something."""

from typing import Self

import numpy as np
from numpy.typing import NDArray

from shortlist.arrays import Arrays, BoolArray, FloatArray, IntArray
from shortlist.candidates.source import Candidates, Query
from shortlist.candidates.trained import TrainedSource
from shortlist.catalog.table import ItemTable
from shortlist.events.interactions import Interactions
from shortlist.retrieval.top import within
from shortlist.settings import TrainingSettings

DAY_S = 86_400.0
CALENDAR_FROM_S = 1e8  # 1973: what is smaller is a position that stands for a time
STATISTICS = ("count", "count_28", "count_7", "age_days", "place")
RECENT = STATISTICS.index("count_28")
# What somebody new takes is what others took when they were new: on people held out of training, their first
# 50 interactions counted 1 and later ones 0.3 reach an NDCG@10 of .0767, .0211 and .0091 on three data sets,
# plain counts .0754, .0176 and .0091, those of the last 28 days .0335, .0109 and .0091.
FIRST, LATER = 50, 0.3


class Popular(TrainedSource):
    """Counts per item, and the other figures about an item that the ranker uses.

    statistics: (5, n): interactions of all time, of the last 28 and 7 days (where times are positions: of the
    last 28 % and 7 % of each user's past), days since the first one, mean relative place in users' pasts
    (0 first … 1 last; 0.5 where unknown). first: (n,) interactions among the first of their user.
    """

    name = "popular"
    signal_names = ("log_count", "log_count_28", "log_count_7", "trend", "age_days", "place")

    def __init__(self, statistics: FloatArray, first: FloatArray | None = None) -> None:
        """first: None: every interaction was."""
        self.statistics = statistics
        self.first: FloatArray = statistics[0] if first is None else first
        count, count_28, count_7, age, place = statistics
        # All time breaks ties of the recent ones, and stands in where nothing is recent.
        self.popularity = (count_28 + 0.001 * count).astype(np.float32)
        self.for_new = (self.first + LATER * np.maximum(count - self.first, 0)).astype(np.float32)
        self._order = _ordered(self.popularity)
        self._order_for_new = _ordered(self.for_new)
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
            return cls(statistics, np.zeros(n, np.float32))
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
        is_first = number_in_past(data) < FIRST
        return cls(statistics, np.bincount(data.items[is_first], minlength=n).astype(np.float32))

    def arrays(self) -> Arrays:
        """The artifact."""
        return {"statistics": self.statistics, "first": self.first}

    @classmethod
    def from_arrays(cls, arrays: Arrays) -> Self:
        """The fitted source again."""
        return cls(*(arrays[name].astype(np.float32, copy=False) for name in ("statistics", "first")))

    def score(self, query: Query, positions: IntArray) -> FloatArray:
        """Counts; for somebody without a past how many took each first."""
        counts = self.popularity if len(query.items) else self.for_new
        return gathered(counts, positions)

    def top(self, limit: int, among: BoolArray | None = None) -> Candidates:
        """What people take first, of the items marked in `among` (any size; None: all): for guests and
        fallbacks."""
        return self._best(self._order_for_new, self.for_new, limit, among)

    def _best(self, whole: IntArray, scores: FloatArray, limit: int, among: BoolArray | None) -> Candidates:
        order = whole
        if among is not None:
            # Most of the first are marked, as a rule: look no further than it takes.
            for reach in (4 * limit, len(whole)):
                order = whole[:reach]
                order = order[within(order, among)]
                if len(order) >= limit:
                    break
        return Candidates(order[:limit], scores[order[:limit]])

    def candidates(self, query: Query, limit: int) -> Candidates:
        """The most popular of what is allowed, lately; for somebody without a past what people take first."""
        if not len(query.items):
            return self.top(limit, query.allowed)
        return self._best(self._order, self.popularity, limit, query.allowed)

    def signals(self, query: Query, positions: IntArray) -> FloatArray:
        """Logarithms of the counts, this week against the month, age, place in people's pasts."""
        return gathered(self._signals, positions)


def gathered(values: FloatArray, positions: IntArray) -> FloatArray:
    """Rows of `values` at `positions`, 0 for positions beyond."""
    if int(positions.max(initial=-1)) < len(values):
        return values.take(positions, axis=0)
    found = np.zeros((len(positions), *values.shape[1:]), np.float32)
    known = positions < len(values)
    found[known] = values[positions[known]]
    return found


def _ordered(scores: FloatArray) -> IntArray:
    """Positions with a score, the best first."""
    order = np.argsort(-scores, kind="stable").astype(np.int32)
    return order[scores[order] > 0]


def number_in_past(data: Interactions) -> NDArray[np.int64]:
    """(events,) the how manieth of its user each event is, from 0."""
    order = np.argsort(data.users, kind="stable")
    users = data.users[order]
    starts = np.flatnonzero(np.r_[True, users[1:] != users[:-1]])
    within = np.arange(len(users)) - np.repeat(starts, np.diff(np.r_[starts, len(users)]))
    number = np.empty(len(users), np.int64)
    number[order] = within
    return number


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
