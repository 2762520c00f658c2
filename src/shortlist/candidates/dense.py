"""Sources that score the whole catalog at once: what is best, and what each given item gets."""

from abc import abstractmethod

import numpy as np

from shortlist.arrays import FloatArray, IntArray, Sums
from shortlist.candidates.source import Candidates, Query
from shortlist.candidates.trained import TrainedSource
from shortlist.retrieval.top import top

NOTHING = Candidates(np.empty(0, np.int32), np.empty(0, np.float32))


def gathered(scores: FloatArray | Sums, positions: IntArray) -> FloatArray:
    """`scores` at `positions`, 0 for positions beyond."""
    size = len(scores)
    if not size:
        return np.zeros(len(positions), np.float32)
    if int(positions.max(initial=0)) < size:
        return scores[positions].astype(np.float32, copy=False)
    taken = scores[np.minimum(positions, size - 1)]
    return np.where(positions < size, taken, 0).astype(np.float32)


class DenseSource(TrainedSource):
    """Scores every item it knows in one go, once per query."""

    @abstractmethod
    def scores(self, query: Query) -> FloatArray | Sums | None:
        """(m,) its raw scores of the items at the first m positions, at most 0 where it proposes nothing;
        nothing at all of the items after these. Sums as they come, since to narrow 100k of them takes as long
        as to make them.

        None: it knows nothing of this user."""

    def candidates(self, query: Query, limit: int) -> Candidates:
        """The best, best first."""
        scores = self._once(query)
        return NOTHING if scores is None else Candidates(*top(scores, limit, query.allowed))

    def score(self, query: Query, positions: IntArray) -> FloatArray:
        """Its scores of `positions`."""
        scores = self._once(query)
        return np.zeros(len(positions), np.float32) if scores is None else gathered(scores, positions)

    def _once(self, query: Query) -> FloatArray | Sums | None:
        if self.name not in query.memo:
            query.memo[self.name] = self.scores(query)
        scores: FloatArray | Sums | None = query.memo[self.name]
        return scores
