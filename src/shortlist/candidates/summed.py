"""Sources that add up, by item, what a past points to: what is best, and what each given item gets."""

from abc import abstractmethod

import numpy as np

from shortlist.arrays import FloatArray, IntArray
from shortlist.candidates.source import NOTHING, Candidates, Query
from shortlist.candidates.trained import TrainedSource
from shortlist.kernels.sums import SumsById


class SummedSource(TrainedSource):
    """Sums once per query; items that nothing points to have none."""

    @abstractmethod
    def sums(self, query: Query) -> SumsById | None:
        """Its raw scores, of kind 0; None: it knows nothing of this user."""

    def candidates(self, query: Query, limit: int) -> Candidates:
        """The best, best first."""
        sums = self.once(query)
        if sums is None:
            return NOTHING
        ids, values = sums.best(limit, query.allowed)
        return Candidates(ids, values.astype(np.float32))

    def score(self, query: Query, positions: IntArray) -> FloatArray:
        """Its scores of `positions`."""
        sums = self.once(query)
        return np.zeros(len(positions), np.float32) if sums is None else sums.at(positions)

    def once(self, query: Query) -> SumsById | None:
        """The sums, made when first asked for."""
        if self.name not in query.memo:
            query.memo[self.name] = self.sums(query)
        sums: SumsById | None = query.memo[self.name]
        return sums
