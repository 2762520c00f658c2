"""What people with the same attributes take: says something of somebody who did little or nothing yet."""

from itertools import pairwise
from typing import Self

import numpy as np

from shortlist.arrays import Arrays, FloatArray, IntArray
from shortlist.candidates.attributes import NOBODY, People
from shortlist.candidates.popular import Popular
from shortlist.candidates.source import NOTHING, Candidates, Query
from shortlist.candidates.trained import TrainedSource
from shortlist.catalog.encoder import packed, unpacked
from shortlist.catalog.table import ItemTable
from shortlist.events.interactions import Interactions
from shortlist.retrieval.top import top, within
from shortlist.settings import TrainingSettings

SHRUNK = 20.0  # takes of everybody that the shares of each part of users are mixed with
# Items that can be proposed: those that score highest for whoever takes most of their kind. All of 100k items
# would take 1.8 ms of a miss.
HEAD = 5_000


class Segment(TrainedSource):
    """Popularity times, for each attribute, how much more of the item's category the user's like take.

    Users are alike who have the same text, or a number in the same part (`Code.starts`). Lifts are logarithms
    of shares over everybody's shares, each user and item counted once; attributes are taken as independent.
    names: of attributes. starts: (parts,) of each. lifts: (1 + parts, 1 + categories) of each; the first row
    is for users without the attribute, the first column for items without a category, and both say nothing.
    category: (n,) code of the primary category, -1 where missing. popularity, for_new: (n,) as `Popular` has
    them.
    """

    name = "segment"

    def __init__(
        self,
        names: tuple[str, ...],
        starts: list[FloatArray],
        lifts: list[FloatArray],
        category: IntArray,
        popularity: FloatArray,
        for_new: FloatArray,
    ) -> None:
        self.names, self.starts, self.lifts, self.category = names, starts, lifts, category
        self.popularity, self.for_new = popularity, for_new
        self.signal_names = tuple(f"lift_{name}" for name in names)
        self._column = category + 1
        most = np.zeros(int(category.max(initial=-1)) + 2, np.float32)
        for lift in lifts:
            most += lift.max(axis=0)
        self._head, self._head_for_new = (
            np.sort(top(scores * np.exp(most)[self._column], HEAD)[0]) for scores in (popularity, for_new)
        )

    @classmethod
    def fit(
        cls, data: Interactions, items: ItemTable, settings: TrainingSettings, *, people: People = NOBODY
    ) -> Self:
        """Learn from everything in `data` what these people take. people: by user code."""
        popular = Popular.fit(data, items, settings)
        n = len(data.item_ids)
        category = items.category[:n].astype(np.int32)
        pairs = np.unique(data.users.astype(np.int64) * n + data.items)
        users, columns = pairs // n, category[pairs % n] + 1
        width = int(category.max(initial=-1)) + 2
        starts = [np.array(code.starts, np.float32) for code in people.codes.codes]
        lifts = []
        for at, own in enumerate(starts):
            part = np.searchsorted(own, people.rows[:, at], "right")[users]
            counts = np.bincount(part * width + columns, minlength=(len(own) + 1) * width)
            lifts.append(_lifts(counts.reshape(len(own) + 1, width).astype(np.float64)))
        return cls(people.codes.names, starts, lifts, category, popular.popularity, popular.for_new)

    def arrays(self) -> Arrays:
        """The artifact."""
        nothing = np.empty(0, np.float32)
        return {
            "names": packed(",".join(self.names)),
            "parts": np.array([len(own) for own in self.starts], np.int32),
            "starts": np.concatenate([nothing, *self.starts]),
            "lifts": np.concatenate([nothing, *(lift.ravel() for lift in self.lifts)]),
            "category": self.category,
            "popularity": self.popularity,
            "for_new": self.for_new,
        }

    @classmethod
    def from_arrays(cls, arrays: Arrays) -> Self:
        """The fitted source again."""
        category = arrays["category"].astype(np.int32, copy=False)
        width = int(category.max(initial=-1)) + 2
        ends = [0, *np.cumsum(arrays["parts"]).tolist()]
        starts, lifts, popularity, for_new = (
            arrays[name].astype(np.float32, copy=False)
            for name in ("starts", "lifts", "popularity", "for_new")
        )
        lifts = lifts.reshape(-1, width)
        return cls(
            tuple(filter(None, unpacked(arrays["names"]).split(","))),
            [starts[begin:end] for begin, end in pairwise(ends)],
            # Each has one row more than parts: that of users without the attribute.
            [lifts[begin + at : end + at + 1] for at, (begin, end) in enumerate(pairwise(ends))],
            category,
            popularity,
            for_new,
        )

    def candidates(self, query: Query, limit: int) -> Candidates:
        """What the user's like take most; nothing where no attribute of theirs is known."""
        own = self._own(query)
        if own is None:
            return NOTHING
        head = self._head if len(query.items) else self._head_for_new
        if query.allowed is not None:
            head = head[within(head, query.allowed)]
        best, scores = top(self._scores(query, own, head), limit)
        return Candidates(head[best], scores)

    def score(self, query: Query, positions: IntArray) -> FloatArray:
        """Expected takes of each item by the user's like; 0 where no attribute of theirs is known."""
        own = self._own(query)
        if own is None:
            return np.zeros(len(positions), np.float32)
        known = positions < len(self._column)
        if known.all():
            return self._scores(query, own, positions)
        found = np.zeros(len(positions), np.float32)
        found[known] = self._scores(query, own, positions[known])
        return found

    def signals(self, query: Query, positions: IntArray) -> FloatArray:
        """The lift of each attribute: 0 where it says nothing."""
        found = np.zeros((len(positions), len(self.names)), np.float32)
        own = self._own(query)
        if own is not None:
            known = positions < len(self._column)
            found[known] = own.T[self._column[positions[known]]]
        return found

    def _scores(self, query: Query, own: FloatArray, positions: IntArray) -> FloatArray:
        popularity = self.popularity if len(query.items) else self.for_new
        scores: FloatArray = popularity[positions] * np.exp(own.sum(axis=0))[self._column[positions]]
        return scores

    def _own(self, query: Query) -> FloatArray | None:
        """(attributes, 1 + categories) lifts for this user; once per query."""
        if self.name not in query.memo:
            query.memo[self.name] = self._lifts_of(query.attributes)
        own: FloatArray | None = query.memo[self.name]
        return own

    def _lifts_of(self, attributes: FloatArray | None) -> FloatArray | None:
        if attributes is None:
            return None
        parts = [
            int(np.searchsorted(starts, value, "right"))
            for starts, value in zip(self.starts, attributes, strict=True)
        ]
        if not any(parts):
            return None
        return np.stack([lift[part] for lift, part in zip(self.lifts, parts, strict=True)])


def _lifts(counts: FloatArray) -> FloatArray:
    """(rows, columns) log of each row's shares over all rows' shares; the first row and column 0."""
    everybody = counts.sum(axis=0) + 1.0
    share = everybody / everybody.sum()
    own = (counts + SHRUNK * share) / (counts.sum(axis=1, keepdims=True) + SHRUNK)
    lifts: FloatArray = np.log(own / share).astype(np.float32)
    lifts[0], lifts[:, 0] = 0.0, 0.0
    return lifts
