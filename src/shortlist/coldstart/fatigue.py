"""What was shown again and again and never clicked sinks."""

import numpy as np

from shortlist.arrays import FloatArray, IntArray
from shortlist.catalog.table import ItemTable
from shortlist.features.store import Features
from shortlist.settings import FeatureSettings

DAY_MS = 86_400_000


def damping(
    user: Features, table: ItemTable, settings: FeatureSettings, now_ms: int
) -> tuple[IntArray, FloatArray]:
    """Positions (k,) of the items this user is tired of, and the factor (k,) that each one's score keeps.

    The score halves with every `fatigue_impressions` in vain; impressions themselves are half forgotten after
    `fatigue_half_life_days`, so that an item comes back.
    """
    most = settings.fatigue_impressions
    positions, factors = [], []
    if most > 0:
        half_life_ms = settings.fatigue_half_life_days * DAY_MS
        for item_id, ignored in user.ignored.items():
            shown = ignored.shown * 0.5 ** (max(0, now_ms - ignored.ts) / half_life_ms)
            # As the fold rounds it: on the impression that is one too many, at the latest here.
            if round(ignored.shown, 6) >= most and (position := table.position(item_id)) >= 0:
                positions.append(position)
                factors.append(0.5 ** (shown / most))
    return np.array(positions, np.int32), np.array(factors, np.float32)


def damped(positions: IntArray, scores: FloatArray, tired: tuple[IntArray, FloatArray]) -> FloatArray:
    """`scores` of `positions` with those of tired items lowered. Scores are probabilities: never negative."""
    of, factors = tired
    if not len(of):
        return scores
    order = np.argsort(of)
    at = np.searchsorted(of[order], positions)
    at[at == len(of)] = 0
    hit = of[order][at] == positions
    return np.where(hit, scores * factors[order][at], scores).astype(np.float32, copy=False)
