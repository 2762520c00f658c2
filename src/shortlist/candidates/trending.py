"""What trends right now, overall and in the category asked for: counted live, not trained."""

from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np

from shortlist.arrays import FloatArray, IntArray
from shortlist.candidates.source import Candidates, CandidateSource, Query
from shortlist.catalog.table import ItemTable

LISTED = 20  # as many of each list as the flow has


class Trends(Protocol):
    """Live counts by item id; `features.trending.TrendingCounts` is one."""

    def top(self, category: str | None, n: int) -> Sequence[str]:
        """Up to `n` ids, most trending first; category None: overall."""

    def weights(self) -> Mapping[str, float]:
        """Decayed events by id."""


class Trending(CandidateSource):
    """Half of the list from the category at hand (asked for, else of the user's last item), half overall."""

    name = "trending"

    def __init__(self, trends: Trends, table: ItemTable) -> None:
        self._trends = trends
        self._table = table

    def candidates(self, query: Query, limit: int) -> Candidates:
        """See the port; best first by decayed events, equal ones by id."""
        table, weights = self._table, self._trends.weights()
        overall = self._trends.top(None, limit)
        code = query.category
        if code < 0 and len(query.items):
            code = int(table.category[query.items[-1]])
        chosen: dict[str, None] = {}
        if (name := table.category_name(code)) is not None:
            chosen = dict.fromkeys(self._trends.top(name, limit))
            # All of an asked category; of the last item's only half, or nothing else would ever show.
            if query.category < 0:
                chosen = dict.fromkeys(list(chosen)[: limit - limit // 2])
        chosen |= dict.fromkeys(overall)
        known = [(item, at) for item in chosen if (at := table.position(item)) >= 0][:limit]
        known.sort(key=lambda entry: (-weights.get(entry[0], 0.0), entry[0]))
        positions = np.array([at for _, at in known], np.int32)
        scores = np.array([weights.get(item, 0.0) for item, _ in known], np.float32)
        found = query.memo[self.name] = Candidates(positions, scores)
        return found

    def score(self, query: Query, positions: IntArray) -> FloatArray:
        """What is in none of the lists does not trend: 0."""
        found = query.memo.get(self.name) or self.candidates(query, LISTED)
        order = np.argsort(found.positions)
        listed = found.positions[order]
        if not len(listed):
            return np.zeros(len(positions), np.float32)
        at = np.minimum(np.searchsorted(listed, positions), len(listed) - 1)
        return np.where(listed[at] == positions, found.scores[order[at]], 0).astype(np.float32)
