"""What people turned to after the last items: the strongest single source wherever events have an order."""

from typing import Self

import numpy as np
from scipy import sparse

from shortlist.arrays import Arrays, FloatArray, IntArray
from shortlist.candidates.neighbours import Neighbours
from shortlist.candidates.past import last_distinct
from shortlist.candidates.source import Query
from shortlist.candidates.summed import SummedSource
from shortlist.catalog.table import ItemTable
from shortlist.events.interactions import Interactions
from shortlist.kernels.sums import SumsById
from shortlist.settings import TrainingSettings

REACH = 10  # steps after an item that still count as following it, each with weight 1 / steps
LAST = 20  # items of the past that are followed up, the newest with weight 1, each older one half of it
KEPT = 300


class Transitions(SummedSource):
    """Counts of item → later item, within ten steps."""

    name = "transitions"
    signal_names = ("last", "second", "third")

    def __init__(self, following: Neighbours) -> None:
        self.following = following

    @classmethod
    def fit(cls, data: Interactions, items: ItemTable, settings: TrainingSettings) -> Self:
        """Learn from everything in `data`."""
        n = len(data.item_ids)
        order = np.argsort(data.users, kind="stable")  # by user, then time
        users, sequence = data.users[order], data.items[order]
        nothing = (np.zeros(0, np.float32), (np.zeros(0, np.int32), np.zeros(0, np.int32)))
        links = sparse.csr_matrix(nothing, shape=(n, n))
        for step in range(1, REACH + 1):
            same = (users[:-step] == users[step:]) & (sequence[:-step] != sequence[step:])
            before, after = sequence[:-step][same], sequence[step:][same]
            weights = np.full(len(before), 1 / step, np.float32)
            links = links + sparse.csr_matrix((weights, (before, after)), shape=(n, n))
        return cls(Neighbours.strongest(links, KEPT))

    def arrays(self) -> Arrays:
        """The artifact."""
        return self.following.arrays()

    @classmethod
    def from_arrays(cls, arrays: Arrays) -> Self:
        """The fitted source again."""
        return cls(Neighbours.from_arrays(arrays))

    def sums(self, query: Query) -> SumsById | None:
        """Links from the last items."""
        last, distance = last_distinct(query, len(self.following), LAST)
        return self.following.sums(last, 0.5**distance) if len(last) else None

    def signals(self, query: Query, positions: IntArray) -> FloatArray:
        """Links from the last, second last and third last item."""
        last, _ = last_distinct(query, len(self.following), 3)
        found = np.zeros((len(positions), 3), np.float32)
        found[:, : len(last)] = self.following.links(last, positions).T
        return found
