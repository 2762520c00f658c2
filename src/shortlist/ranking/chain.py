"""From a query to ranked items: gather, merge, drop what is not allowed, score. Used by training, evaluation,
batch and serving alike, so that what is measured is what is served."""

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias, TypeVar

import numpy as np
import structlog

from shortlist.arrays import BoolArray, FloatArray, IntArray
from shortlist.candidates.attributes import NO_CODES, UserCodes
from shortlist.candidates.source import Candidates, CandidateSource, Query
from shortlist.kernels.sums import summed
from shortlist.ranking.blend import Blend
from shortlist.ranking.features import feature_names, features, trained
from shortlist.ranking.scorer import Scorer, ScorerError

log = structlog.get_logger()
T = TypeVar("T")
LEAST_TRUST, TINY = 0.1, 1e-9
SCORER_TIMEOUT_S = 1.0  # in process; a remote scorer's own budget is the request's


Work: TypeAlias = Mapping[str, Callable[[], Any]]
"""Pieces of work by name: what each candidate source has to do."""

Done: TypeAlias = tuple[dict[str, Any], dict[str, str]]
"""Results by name and, for those that brought none, why: "late", "failed" or "busy"."""

Steps: TypeAlias = Generator[Work, Done, T]
"""A computation that stops where sources have work to do and is sent what came of it: who runs it decides on
which threads, and how long sources may take."""


def inline(steps: Steps[T]) -> T:
    """The result of `steps`, all of it in this thread; a source's failure is raised (training and evaluation
    want to know)."""
    done: Done | None = None
    while True:
        try:
            work = steps.send(done) if done is not None else next(steps)
        except StopIteration as end:
            result: T = end.value
            return result
        done = {name: call() for name, call in work.items()}, {}


@dataclass(slots=True, frozen=True)
class Ranked:
    """What the chain answers, best first.

    positions: (k,). scores: (k,) probabilities. raw: by source name, (k,) raw scores. missing: source (or
    "ranker") → why it brought nothing.
    """

    positions: IntArray
    scores: FloatArray
    raw: dict[str, FloatArray]
    missing: dict[str, str]


@dataclass(slots=True, frozen=True)
class Gathered:
    """Candidates before scoring: positions (k,) ascending, raw scores by source name (k,), who is missing."""

    positions: IntArray
    raw: dict[str, FloatArray]
    missing: dict[str, str]


class Chain:
    """Candidate sources and what orders their candidates. Blocking and thread-safe."""

    def __init__(
        self,
        sources: Sequence[CandidateSource],
        limits: Mapping[str, int],
        ranker: Scorer | None,
        blend: Blend,
        pool: int,
        codes: UserCodes = NO_CODES,
    ) -> None:
        """limits: candidates by source name; a source without one, or with 0, proposes nothing but still
        scores what others propose. pool: most candidates that are scored. codes: of the users' attributes
        that are features.

        Raises ValueError when the ranker was trained on other features than these sources and codes make.
        """
        self.sources = list(sources)
        self.limits, self.ranker, self.blend, self.pool = dict(limits), ranker, blend, pool
        self.codes = codes
        self._trained = trained(self.sources)
        self.feature_names = feature_names(self._trained, codes)
        if ranker is not None and tuple(ranker.feature_names) != self.feature_names:
            differ = set(ranker.feature_names) ^ set(self.feature_names)
            raise ValueError(
                f"ranker {ranker.model_version}: its features are not those of the sources "
                f"({', '.join(sorted(differ)) or 'another order'}); train again"
            )

    def rank(self, query: Query, allowed: BoolArray) -> Ranked:
        """Rank the candidates of all sources.

        allowed: (table size,) what may be in the slate; candidates at positions beyond it are dropped.
        """
        return inline(self.ranking(query, allowed))

    def ranking(self, query: Query, allowed: BoolArray) -> Steps[Ranked]:
        """`rank`, step by step."""
        found = yield from self.gathering(query, allowed)
        scores, missing = self._scored(query, found)
        order = np.argsort(-scores, kind="stable")
        raw = {name: values[order] for name, values in found.raw.items()}
        return Ranked(found.positions[order], scores[order], raw, missing)

    def score(self, query: Query, positions: IntArray) -> FloatArray:
        """(len(positions),) the probability of each given item, in the order given."""
        return inline(self.scoring(query, positions))

    def scoring(self, query: Query, positions: IntArray) -> Steps[FloatArray]:
        """`score`, step by step."""
        raw, missing = yield {s.name: partial(s.score, query, positions) for s in self.sources}
        return self._scored(query, Gathered(positions, raw, missing))[0]

    def gathered(self, query: Query, allowed: BoolArray) -> Gathered:
        """Everything but scoring: what the ranker is trained on."""
        return inline(self.gathering(query, allowed))

    def gathering(self, query: Query, allowed: BoolArray) -> Steps[Gathered]:
        """`gathered`, step by step."""
        query.allowed = allowed
        work = {
            source.name: partial(source.candidates, query, self.limits[source.name])
            for source in self.sources
            if self.limits.get(source.name, 0) > 0
        }
        found, missing = yield work
        positions = self._merged(found, allowed)
        # What a source needs for it was made by `candidates` a moment ago and lies in the memo.
        raw, late = yield {
            s.name: partial(s.score, query, positions) for s in self.sources if s.name not in missing
        }
        return Gathered(positions, raw, {**missing, **late})

    def features(self, query: Query, found: Gathered) -> FloatArray:
        """(len(positions), len(feature_names)) what the ranker sees."""
        return features(query, found.positions, found.raw, self._trained, self.codes)

    def _merged(self, found: Mapping[str, Candidates], allowed: BoolArray) -> IntArray:
        """The union, without what is not allowed; above `pool`, those that the blend of what the sources say
        of their own candidates puts first."""
        lists = [(name, these) for name, these in found.items() if len(these.positions)]
        if not lists:
            return np.empty(0, np.int32)
        # By the best place in any list, 250 found as much as these 160 do.
        trust = [self._trust(name) / max(these.scores.item(0), TINY) for name, these in lists]
        shares = np.concatenate([these.scores for _, these in lists]) * np.repeat(
            trust, [len(these.scores) for _, these in lists]
        )
        proposed = np.concatenate([these.positions for _, these in lists])
        worth = summed(proposed, np.maximum(shares, TINY), len(allowed))
        positions, _ = worth.best(self.pool, allowed)
        positions.sort()
        return positions

    def _trust(self, source: str) -> float:
        """How far a source's word is taken. One that the blend found nothing in, or was trained without, may
        still bring what no other knows."""
        return max(self.blend.weights.get(source, 1.0), LEAST_TRUST)

    def _scored(self, query: Query, found: Gathered) -> tuple[FloatArray, dict[str, str]]:
        popular = found.raw.get("popular")
        if not len(query.items) and popular is not None:
            like_them = found.raw.get("segment")  # where their attributes are known
            popular = like_them if like_them is not None and like_them.any() else popular
            # Nothing is known of them, and the ranker never saw such a case: it made .013 of NDCG@10 out of
            # the .049 that popularity alone has (people held out of a gift shop).
            return Blend({"popular": 1.0}, self.blend.bias).score(
                {"popular": popular}, len(popular)
            ), found.missing
        if self.ranker is not None and len(found.positions):
            try:
                table = self.features(query, found)
                return self.ranker.score(table, timeout_s=SCORER_TIMEOUT_S), found.missing
            except ScorerError as error:
                log.warning("ranker failed, the blend orders", error=str(error))
                return self._blended(found), {**found.missing, "ranker": "failed"}
        return self._blended(found), found.missing

    def _blended(self, found: Gathered) -> FloatArray:
        return self.blend.score(found.raw, len(found.positions))
