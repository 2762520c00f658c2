"""What anybody would try first: printed beside ours, so that a figure means something."""

from abc import ABC, abstractmethod
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from shortlist.arrays import FloatArray
from shortlist.candidates.als import Als
from shortlist.candidates.cooccurrence import user_items
from shortlist.candidates.item_knn import ItemKnn
from shortlist.candidates.popular import RECENT, Popular
from shortlist.settings import TrainingSettings
from shortlist.training.cases import Case
from shortlist.training.evaluate.trial import Trial

EASE_BELOW = 5_000  # items: its matrix is items² × 8 bytes, twice while inverting: 400 MB at 5,000
EASE_REGULARIZATION = 500.0


class Baseline(ABC):
    """A method that scores the whole catalog for a case, from all of its past."""

    name: ClassVar[str]

    @abstractmethod
    def scores(self, case: Case) -> FloatArray:
        """(items,) a score of every item."""


class Popularity(Baseline):
    """Counts of all time."""

    name = "popularity"
    row = 0

    def __init__(self, trial: Trial, settings: TrainingSettings) -> None:
        statistics = Popular.fit(trial.data, trial.items, settings).statistics
        # All time breaks ties of the last days.
        self._counts = (statistics[self.row] + 1e-6 * statistics[0]).astype(np.float32)

    def scores(self, case: Case) -> FloatArray:
        """The same for everybody."""
        counts: FloatArray = self._counts
        return counts


class Lately(Popularity):
    """Counts of the last 28 days."""

    name = "popularity, 28 days"
    row = 1


class PlainAls(Baseline):
    """ALS as the specification has it: rank 100, 10 iterations, λ 0.01."""

    name = "plain ALS"
    options: ClassVar[dict[str, float]] = {"regularization": 0.01, "confidence": 1.0}

    def __init__(self, trial: Trial, settings: TrainingSettings, **options: float) -> None:
        chosen: Any = {**self.options, **options}
        self._als = Als.fit(trial.data, trial.items, settings, factors=100, iterations=10, **chosen)

    def scores(self, case: Case) -> FloatArray:
        """Everything the user ever did, folded in."""
        items, total = _strengths(case)
        strength = np.log2(1 + total / self._als.typical)
        user = self._als.solved(items, (strength * self._als.confidence).astype(np.float32))
        size = len(self._als.factors)
        return self._als.factors @ user if user is not None else np.zeros(size, np.float32)


class TunedAls(PlainAls):
    """The same with the λ and α that training chose on its slice."""

    name = "tuned ALS"


class Knn(Baseline):
    """Item-kNN by cosine, every item of the past alike."""

    name = "item-kNN"

    def __init__(self, trial: Trial, settings: TrainingSettings) -> None:
        self._similar = ItemKnn.fit(trial.data, trial.items, settings, power=0.5).similar

    def scores(self, case: Case) -> FloatArray:
        """Σ similarity to the different items of the past."""
        items = np.unique(case.items[case.items >= 0]).astype(np.int32)
        sums = self._similar.sums(items, np.ones(len(items)))
        return sums.at(np.arange(len(self._similar), dtype=np.int32))


class Ease(Baseline):
    """EASE (Steck 2019), where the catalog allows its dense matrix."""

    name = "EASE"

    def __init__(self, trial: Trial, settings: TrainingSettings) -> None:
        matrix = user_items(trial.data, len(trial.items))
        gram: NDArray[np.float64] = (matrix.T @ matrix).toarray().astype(np.float64)
        gram[np.diag_indices_from(gram)] += EASE_REGULARIZATION
        inverse = np.linalg.inv(gram)
        weights = -inverse / np.diag(inverse)[None, :]
        np.fill_diagonal(weights, 0)
        self._weights = weights.astype(np.float32)

    def scores(self, case: Case) -> FloatArray:
        """Σ weights of the different items of the past."""
        items = np.unique(case.items[case.items >= 0])
        total: FloatArray = self._weights[items].sum(axis=0)
        return total


class OwnPurchases(Baseline):
    """What the user bought, most often first; among equals what all people bought most in 28 days."""

    name = "own purchases"

    def __init__(self, trial: Trial, settings: TrainingSettings) -> None:
        recent = Popular.fit(trial.data, trial.items, settings).statistics[RECENT]
        self._ties = recent / (2 * max(float(recent.max()), 1.0))

    def scores(self, case: Case) -> FloatArray:
        """Counts."""
        counts = np.bincount(case.items[case.items >= 0], minlength=len(self._ties))
        return np.where(counts > 0, counts + self._ties, 0).astype(np.float32)


def baselines(trial: Trial, settings: TrainingSettings, als: dict[str, float]) -> list[Baseline]:
    """Those that fit the data. als: λ and α that training chose."""
    made: list[Baseline] = [Popularity(trial, settings), Lately(trial, settings)]
    made += [PlainAls(trial, settings), TunedAls(trial, settings, **als), Knn(trial, settings)]
    if len(trial.items) <= EASE_BELOW:
        made.append(Ease(trial, settings))
    if trial.repeats:
        made.append(OwnPurchases(trial, settings))
    return made


def _strengths(case: Case) -> tuple[Any, Any]:
    known = case.items >= 0
    items, inverse = np.unique(case.items[known], return_inverse=True)
    return items.astype(np.int32), np.bincount(inverse, case.weights[known], len(items))
