"""Sources and a scorer that do as told, and a query."""

import time
from collections.abc import Mapping

import numpy as np
import pytest

from shortlist.arrays import FloatArray, IntArray
from shortlist.candidates.past import query_from
from shortlist.candidates.source import Candidates, CandidateSource, Query
from shortlist.ranking.scorer import Scorer, ScorerUnavailable


class Fixed(CandidateSource):
    """Proposes what it was given."""

    def __init__(self, name: str, scores: Mapping[int, float], *, delay_s: float = 0.0) -> None:
        self.name = name  # type: ignore[misc]  # a class per name would say the same
        self.given, self.delay_s = dict(scores), delay_s

    def candidates(self, query: Query, limit: int) -> Candidates:
        time.sleep(self.delay_s)
        best = sorted(self.given, key=lambda p: (-self.given[p], p))[:limit]
        return Candidates(np.array(best, np.int32), np.array([self.given[p] for p in best], np.float32))

    def score(self, query: Query, positions: IntArray) -> FloatArray:
        return np.array([self.given.get(int(p), 0.0) for p in positions], np.float32)


class Broken(Scorer):
    """Never answers."""

    model_version = "broken"

    def __init__(self, names: tuple[str, ...]) -> None:
        self.feature_names = names

    def score(self, features: FloatArray, *, timeout_s: float) -> FloatArray:
        raise ScorerUnavailable("it is a test")


@pytest.fixture
def query() -> Query:
    return query_from([1, 2], [1.0, 2.0], [1, 1], [0, 0], now_s=3.0)
