"""What others went on to in sessions like this one: V-SkNN, near neural encoders for milliseconds."""

from typing import Any, Self

import numpy as np

from shortlist.arrays import Arrays, FloatArray, IntArray, Sums
from shortlist.candidates.dense import DenseSource
from shortlist.candidates.source import Query
from shortlist.catalog.table import ItemTable
from shortlist.events.interactions import Interactions
from shortlist.settings import TrainingSettings

LONGEST = 20  # events of a session that are kept: longer ones are cut into pieces of this length
SESSIONS_PER_ITEM = 500  # newest sessions looked at for each item of the current one
LAST = 10  # items of the current session, the newest with the largest weight
NEIGHBOURS = 500
_STEPS = np.abs(np.subtract.outer(np.arange(LONGEST), np.arange(LONGEST)))
# By where the shared click stands: a neighbour's next click counts most, in both directions.
NEAR_SHARED = (1 / (1 + np.maximum(_STEPS - 1, 0))).astype(np.float32)
COUNTED_BELOW = 100_000  # sessions: a count of each costs less than sorting 5,000 numbers up to here


class Session(DenseSource):
    """Nearest sessions by weighted overlap (Ludewig and Jannach 2018), items near the shared click first.

    events: (sessions, LONGEST) items of each session in order, -1 padding. by_item: (n, SESSIONS_PER_ITEM)
    the newest sessions that hold an item, -1 padding. rarity: (n,) log of sessions / sessions with the item.
    """

    name = "session"

    def __init__(self, events: IntArray, by_item: IntArray, rarity: FloatArray) -> None:
        self.events, self.by_item, self.rarity = events, by_item, rarity

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

    def scores(self, query: Query) -> Sums | None:
        """Scores of every item."""
        current = _current(query, len(self.rarity))
        if not len(current):
            return None
        weights = 1 - np.arange(len(current)) / LAST  # linear from the newest, as in V-SkNN
        near, similarity = self._nearest(current, weights.astype(np.float32))
        if not len(near):
            return None
        events = self.events.take(near, axis=0)
        at, matched = _last_shared(events, current, len(self.rarity))
        lent = NEAR_SHARED[at] * (similarity * matched)[:, None]
        total = np.bincount((events + 1).ravel(), lent.ravel())[1:]  # padding left out
        return np.multiply(total, self.rarity[: len(total)], out=np.asarray(total, np.float64))

    def _nearest(self, current: IntArray, weights: FloatArray) -> tuple[IntArray, FloatArray]:
        """The sessions that share most, and Σ weight of the shared items."""
        found = self.by_item.take(current, axis=0)
        lent = np.repeat(weights, found.shape[1])
        sessions, overlap = _summed(found.ravel(), lent, len(self.events))
        if len(sessions) > NEIGHBOURS:
            # Newer sessions have larger numbers, and win among equals.
            key = overlap + sessions / (len(self.events) * 1e4)
            kept = np.argpartition(key, len(key) - NEIGHBOURS)[len(key) - NEIGHBOURS :]
            sessions, overlap = sessions[kept], overlap[kept]
        return sessions, overlap.astype(np.float32)


def _summed(sessions: IntArray, weights: FloatArray, size: int) -> tuple[Any, Any]:
    """Different sessions (those below 0 left out) and the sum of the weights of each, in order of session."""
    if size <= COUNTED_BELOW:
        total = np.bincount(sessions + 1, weights, size + 1)[1:]
        present = np.flatnonzero(total > 0)  # a tenth of the time that it takes with numbers
        return present, total[present]
    order = np.argsort(sessions)
    sessions, weights = sessions[order], weights[order]
    begin = int(np.searchsorted(sessions, 0))
    sessions, weights = sessions[begin:], weights[begin:]
    if not len(sessions):
        return sessions, weights
    starts = np.flatnonzero(np.r_[True, sessions[1:] != sessions[:-1]])
    return sessions[starts], np.add.reduceat(weights, starts)


def _current(query: Query, size: int) -> IntArray:
    """Different items of the current session, newest first, at most `LAST`."""
    if not len(query.items):
        return np.empty(0, np.int32)
    recent = query.items[query.session == query.session[-1]][::-1]
    recent = recent[recent < size][: 3 * LAST]
    _, first = np.unique(recent, return_index=True)
    first.sort()
    current: IntArray = recent[first][:LAST]
    return current


def _last_shared(events: IntArray, current: IntArray, size: int) -> tuple[IntArray, FloatArray]:
    """(sessions,) where in each session the newest shared item stands, and that item's weight."""
    places = np.full(size + 1, LAST, np.int8)  # the last one is padding's
    places[current] = np.arange(len(current))
    rank = places[events]
    at = rank.argmin(axis=1)
    return at.astype(np.int32), (1 - rank[np.arange(len(events)), at] / LAST).astype(np.float32)


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
