"""What others went on to in sessions like this one: V-SkNN, near neural encoders for milliseconds."""

from typing import Self

import numpy as np

from shortlist.arrays import Arrays, FloatArray, IntArray
from shortlist.candidates.source import Query
from shortlist.candidates.summed import SummedSource
from shortlist.catalog.table import ItemTable
from shortlist.events.interactions import Interactions
from shortlist.kernels.sums import Rows, SumsById
from shortlist.settings import TrainingSettings

LONGEST = 20  # events of a session that are kept: longer ones are cut into pieces of this length
SESSIONS_PER_ITEM = 500  # newest sessions looked at for each item of the current one
LAST = 10  # items of the current session, the newest with the largest weight
NEIGHBOURS = 500
# By steps from the shared click: a neighbour's next click counts most, in both directions.
BY_STEPS = 1 / (1 + np.maximum(np.arange(LONGEST) - 1.0, 0))


class Session(SummedSource):
    """Nearest sessions by weighted overlap (Ludewig and Jannach 2018), items near the shared click first.

    events: (sessions, LONGEST) items of each session in order, -1 padding. by_item: (n, SESSIONS_PER_ITEM)
    the newest sessions that hold an item, -1 padding. rarity: (n,) log of sessions / sessions with the item.
    """

    name = "session"

    def __init__(self, events: IntArray, by_item: IntArray, rarity: FloatArray) -> None:
        self.events, self.by_item, self.rarity = events, by_item, rarity
        self._sessions, self._holding = Rows(events), Rows(by_item)

    @classmethod
    def fit(cls, data: Interactions, items: ItemTable, settings: TrainingSettings) -> Self:
        """Learn from everything in `data`."""
        n = len(data.item_ids)
        events = _pieces(data)
        rows = np.repeat(np.arange(len(events), dtype=np.int64), LONGEST)
        flat = events.ravel()
        pairs = np.unique(rows[flat >= 0] * n + flat[flat >= 0])  # by session, then item
        session, item = (pairs // n).astype(np.int32), (pairs % n).astype(np.int32)
        counts = np.bincount(item, minlength=n)
        width = int(min(SESSIONS_PER_ITEM, counts.max(initial=1)))
        order = np.lexsort((-session, item))  # newest first
        starts = np.cumsum(counts) - counts
        within = np.arange(len(order)) - np.repeat(starts, counts)
        kept = order[within < width]
        by_item = np.full((n, width), -1, np.int32)
        by_item[item[kept], within[within < width]] = session[kept]
        rarity = np.log(max(len(events), 1) / np.maximum(counts, 1)).astype(np.float32)
        return cls(events, by_item, rarity)

    def arrays(self) -> Arrays:
        """The artifact."""
        return {"events": self.events, "by_item": self.by_item, "rarity": self.rarity}

    @classmethod
    def from_arrays(cls, arrays: Arrays) -> Self:
        """The fitted source again."""
        return cls(
            arrays["events"].astype(np.int32, copy=False),
            arrays["by_item"].astype(np.int32, copy=False),
            arrays["rarity"].astype(np.float32, copy=False),
        )

    def sums(self, query: Query) -> SumsById | None:
        """What the nearest sessions lend to their items, times how rare each is."""
        current = _current(query, len(self.rarity))
        if not len(current):
            return None
        weights = 1 - np.arange(len(current)) / LAST  # linear from the newest, as in V-SkNN
        overlap = self._holding.sums(current, weights[None], len(self.events))
        # Newer sessions have larger numbers, and count a hair more.
        values = overlap.values + overlap.ids / (len(self.events) * 1e4)
        near, similarity = SumsById(overlap.ids, values, overlap.size).best(NEIGHBOURS)
        found = self._sessions.near(near, similarity, current, weights, BY_STEPS, len(self.rarity))
        return SumsById(found.ids, found.values * self.rarity[found.ids], found.size)


def _current(query: Query, size: int) -> IntArray:
    """Different items of the current session, newest first, at most `LAST`."""
    if not len(query.items):
        return np.empty(0, np.int32)
    recent = query.items[query.session == query.session[-1]][::-1]
    recent = recent[recent < size][: 3 * LAST]
    return np.array(list(dict.fromkeys(recent.tolist()))[:LAST], np.int32)


def _pieces(data: Interactions) -> IntArray:
    """(sessions, LONGEST) sessions of at least two events, oldest session first, long ones in pieces."""
    order = np.lexsort((np.arange(len(data.users)), data.sessions, data.users))
    users, sessions, items = data.users[order], data.sessions[order], data.items[order]
    if not len(items):
        return np.full((0, LONGEST), -1, np.int32)
    new = np.r_[True, (users[1:] != users[:-1]) | (sessions[1:] != sessions[:-1])]
    starts = np.flatnonzero(new)
    lengths = np.diff(np.r_[starts, len(items)])
    within = np.arange(len(items)) - np.repeat(starts, lengths)
    piece_starts = np.flatnonzero(within % LONGEST == 0)
    number = np.cumsum(within % LONGEST == 0) - 1
    events = np.full((len(piece_starts), LONGEST), -1, np.int32)
    events[number, within % LONGEST] = items
    newest = np.zeros(len(piece_starts))
    np.maximum.at(newest, number, order)  # the data is sorted by time: a later row is a later event
    events = events[np.argsort(newest, kind="stable")]
    kept: IntArray = events[events[:, 1] >= 0]
    return kept
