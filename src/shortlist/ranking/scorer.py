"""The port of the scorer: rows of features in, one probability per row out."""

from abc import ABC, abstractmethod

import numpy as np
from msgspec import Struct

from shortlist.arrays import FloatArray
from shortlist.errors import ShortlistError


class ScorerError(ShortlistError):
    """The scorer cannot do what was asked."""


class ScorerUnavailable(ScorerError):
    """The model did not answer in time, or answered with something that is no score."""


class Calibration(Struct, frozen=True):
    """From a model's raw score to the chance of an interaction: sigmoid(slope × score + offset) (Platt 1999).

    slope: above 0, so that the order stays.
    """

    slope: float = 1.0
    offset: float = 0.0

    def probability(self, raw: FloatArray) -> FloatArray:
        """(n,) probabilities of (n,) raw scores."""
        against = np.multiply(raw, -self.slope, dtype=np.float32)
        against -= np.float32(self.offset)
        np.exp(against, out=against)
        against += 1
        return np.divide(1, against, out=against)


class Scorer(ABC):
    """Scores candidates with one model version. Blocking and thread-safe."""

    model_version: str
    feature_names: tuple[str, ...]

    @abstractmethod
    def score(self, features: FloatArray, *, timeout_s: float) -> FloatArray:
        """One score in [0, 1] per row, rising with the chance of an interaction.

        features: (rows, len(feature_names)), columns in that order; 0 rows give 0 scores.
        Raises ScorerUnavailable when the answer is late, has another length, or holds NaN or infinity."""
