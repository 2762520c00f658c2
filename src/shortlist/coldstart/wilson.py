"""How sure a share is: Wilson's score interval, which holds for small counts and for shares near zero."""

from functools import lru_cache
from math import sqrt
from statistics import NormalDist


@lru_cache(maxsize=16)
def quantile(confidence: float) -> float:
    """The z of a one-sided bound.

    >>> round(quantile(0.95), 3)
    1.645
    """
    return NormalDist().inv_cdf(confidence)


def bounds(hits: int, tries: int, confidence: float = 0.95) -> tuple[float, float]:
    """The lower and the upper bound of a share, each one-sided at `confidence`; (0, 1) without tries.

    Source: Wilson, Probable inference, the law of succession, and statistical inference, JASA 1927.

    >>> [round(bound, 4) for bound in bounds(40, 1_000)]
    [0.031, 0.0515]
    >>> round(bounds(35, 1_000)[0], 4)
    0.0266
    """
    if tries <= 0:
        return 0.0, 1.0
    z2 = quantile(confidence) ** 2
    share, scale = hits / tries, 1.0 + z2 / tries
    middle = (share + z2 / (2 * tries)) / scale
    half = quantile(confidence) * sqrt(share * (1.0 - share) / tries + z2 / (4 * tries * tries)) / scale
    return max(0.0, middle - half), min(1.0, middle + half)
