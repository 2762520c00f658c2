"""What trends right now, overall and in the category asked for: counted live, not trained."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from shortlist.arrays import FloatArray, IntArray
from shortlist.candidates.source import Candidates, CandidateSource, Query
from shortlist.catalog.table import Columns, ItemTable
from shortlist.kernels.sums import SumsById

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
        self._lists = _Lists(trends.weights(), table.columns)

    def candidates(self, query: Query, limit: int) -> Candidates:
        """See the port; best first by decayed events, equal ones by id."""
        code, columns = query.category, self._table.columns
        is_asked = code >= 0
        if not is_asked and len(query.items):
            code = int(columns.category[query.items[-1]])
        lists, weights = self._lists, self._trends.weights()
        if lists.weights is not weights or lists.columns is not columns:
            lists = self._lists = _Lists(weights, columns)
        key = (code, is_asked, limit)
        found = lists.made.get(key)
        if found is None:
            found = lists.made[key] = self._listed(code, is_asked, limit, weights)
        query.memo[self.name] = found
        return found

    def _listed(self, code: int, is_asked: bool, limit: int, weights: Mapping[str, float]) -> Candidates:
        table, overall = self._table, self._trends.top(None, limit)
        chosen: dict[str, None] = {}
        if (name := table.category_name(code)) is not None:
            chosen = dict.fromkeys(self._trends.top(name, limit))
            # All of an asked category; of the last item's only half, or nothing else would ever show.
            if not is_asked:
                chosen = dict.fromkeys(list(chosen)[: limit - limit // 2])
        chosen |= dict.fromkeys(overall)
        known = [(item, at) for item in chosen if (at := table.position(item)) >= 0][:limit]
        known.sort(key=lambda entry: (-weights.get(entry[0], 0.0), entry[0]))
        positions = np.array([at for _, at in known], np.int32)
        scores = np.array([weights.get(item, 0.0) for item, _ in known], np.float32)
        return Candidates(positions, scores)

    def score(self, query: Query, positions: IntArray) -> FloatArray:
        """What is in none of the lists does not trend: 0."""
        found = query.memo.get(self.name) or self.candidates(query, LISTED)
        size = int(found.positions.max(initial=-1)) + 1
        return SumsById(found.positions, found.scores[None].astype(np.float64), size).at(positions)


@dataclass(frozen=True, slots=True)
class _Lists:
    """What was listed while weights and catalog were these: by category, whether it was asked for, length."""

    weights: Mapping[str, float]
    columns: Columns
    made: dict[tuple[int, bool, int], Candidates] = field(default_factory=dict)
