"""The first stage's own order: a weighted sum of what the sources say, where no ranker serves."""

from collections.abc import Mapping

import numpy as np
from msgspec import Struct

from shortlist.arrays import FloatArray


class Blend(Struct, frozen=True):
    """score = sigmoid(bias + Σ weight × score / its largest among the candidates + new, if nobody had it).

    weights: by source name; a source without one counts `default`. Weights are never negative, so that
    a source can only lift what it proposes. new: the lead of items that nobody touched before training, of
    which most sources know nothing.
    """

    weights: dict[str, float] = {}
    bias: float = -4.0
    default: float = 0.0
    new: float = 0.0

    def score(self, raw: Mapping[str, FloatArray], size: int) -> FloatArray:
        """(size,) probabilities. raw: by source name, (size,) raw scores aligned with the candidates."""
        total = np.full(size, self.bias, np.float32)
        for name, values in raw.items():
            weight = self.weights.get(name, self.default)
            largest = values.max(initial=0.0)
            if weight and largest > 0:
                total += weight * (values / largest)
        if self.new and "popular" in raw:
            total += self.new * (raw["popular"] <= 0)
        return (1 / (1 + np.exp(-total))).astype(np.float32)


def with_repeats() -> Blend:
    """The blend of a shop that sells things again but whose log cannot show it (one row per user and item).

    Weights as a year of a gift shop's full log taught them.
    """
    return Blend(weights={"again": 2.0, "als": 2.0, "popular": 1.5}, default=0.05)


def untrained() -> Blend:
    """The blend before anything was measured: transitions first, popularity to break ties."""
    return Blend(weights={"transitions": 2.0, "item_knn": 1.0, "als": 1.0, "popular": 0.2}, default=0.1)
