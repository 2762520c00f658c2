"""A past and what came after it: what the ranker learns from and what evaluation asks."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from shortlist.arrays import BoolArray, FloatArray, IntArray
from shortlist.candidates.attributes import People
from shortlist.candidates.past import query_from
from shortlist.candidates.source import Query
from shortlist.events.interactions import Interactions


@dataclass(frozen=True, slots=True)
class Case:
    """One question and its answer.

    items, ts_s, weights, sessions, purchases: the past, oldest first. relevant: distinct items of the very
    next step. later: distinct others that came after it. among: the only items to rank; None: all there are.
    user: their code; -1 where nothing depends on who it is. attributes: theirs, encoded; None: none is known.
    """

    items: IntArray
    ts_s: NDArray[np.float64]
    weights: FloatArray
    sessions: IntArray
    purchases: BoolArray
    relevant: IntArray
    later: IntArray = field(default_factory=lambda: np.empty(0, np.int32))
    among: IntArray | None = None
    user: int = -1
    attributes: FloatArray | None = None

    def query(self, now_s: float) -> Query:
        """As serving would make it."""
        bought, counts = np.unique(self.items[self.purchases], return_counts=True)
        latest = max(now_s, float(self.ts_s[-1])) if len(self.ts_s) else now_s
        return query_from(
            self.items,
            self.ts_s,
            self.weights,
            self.sessions,
            now_s=latest,
            bought=bought.astype(np.int32),
            bought_counts=counts.astype(np.float32),
            attributes=self.attributes,
        )


def known(cases: Sequence[Case], people: People) -> list[Case]:
    """The same cases with their users' attributes."""
    if not len(people.codes):
        return list(cases)
    return [replace(case, attributes=people.row(case.user)) if case.user >= 0 else case for case in cases]


def pasts(data: Interactions) -> list[slice]:
    """Where each user's events stand once `data` is sorted by user: a slice by user code."""
    counts = np.bincount(data.users, minlength=len(data.user_ids))
    ends = np.cumsum(counts)
    return [slice(int(end - count), int(end)) for end, count in zip(ends, counts, strict=True)]


def by_user(data: Interactions) -> Interactions:
    """The same events sorted by user, then time."""
    order = np.argsort(data.users, kind="stable")
    return Interactions(
        users=data.users[order],
        items=data.items[order],
        ts_s=data.ts_s[order],
        weights=data.weights[order],
        sessions=data.sessions[order],
        purchases=data.purchases[order],
        user_ids=data.user_ids,
        item_ids=data.item_ids,
    )
