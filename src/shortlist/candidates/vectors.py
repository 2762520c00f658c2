"""A source whose users and items are vectors of one space: it proposes the items nearest to the user."""

from abc import abstractmethod

import numpy as np

from shortlist.arrays import FloatArray, IntArray
from shortlist.candidates.dense import NOTHING
from shortlist.candidates.past import barred
from shortlist.candidates.source import Candidates, Query
from shortlist.candidates.trained import TrainedSource
from shortlist.retrieval.index import VectorIndex


class VectorSource(TrainedSource):
    """Scores are inner products with the user's vector."""

    index: VectorIndex

    @abstractmethod
    def user(self, query: Query) -> FloatArray | None:
        """(dimensions,) the vector of this user's past; None where it says nothing."""

    def candidates(self, query: Query, limit: int) -> Candidates:
        """The best, best first."""
        user = self.user(query)
        if user is None:
            return NOTHING
        return Candidates(*self.index.search(user, limit, allowed=query.allowed, spare=barred(query)))

    def score(self, query: Query, positions: IntArray) -> FloatArray:
        """Its scores of `positions`."""
        user = self.user(query)
        if user is None:
            return np.zeros(len(positions), np.float32)
        return self.index.products(user, positions)
