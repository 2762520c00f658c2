"""What was shown in vain sinks, and comes back."""

import numpy as np

from shortlist.catalog.item import Item
from shortlist.catalog.table import ItemTable
from shortlist.coldstart.fatigue import DAY_MS, damped, damping
from shortlist.features.store import Features, Ignored
from shortlist.settings import FeatureSettings

NOW = 1_700_000_000_000
TABLE = ItemTable([Item(item_id=f"i{n}") for n in range(4)], 1)


def kept(shown: float, *, days: float = 0.0, **settings: float) -> float:
    user = Features(ignored={"i2": Ignored(shown, NOW), "gone": Ignored(99.0, NOW)})
    scores = np.array([0.5, 0.4, 0.8], np.float32)
    tired = damping(user, TABLE, FeatureSettings(**settings), NOW + int(days * DAY_MS))  # type: ignore[arg-type]
    after = damped(np.array([3, 0, 2], np.int32), scores, tired)
    assert after[:2].tolist() == scores[:2].tolist()
    return round(float(after[2] / scores[2]), 3)


def test_a_score_halves_with_every_so_many_impressions_in_vain() -> None:
    assert [kept(shown) for shown in (1, 4, 5, 10)] == [1.0, 1.0, 0.5, 0.25]


def test_what_is_forgotten_comes_back() -> None:
    assert kept(5, days=3) > 0.7
    assert kept(5, days=30) > 0.99


def test_nothing_sinks_when_it_is_turned_off() -> None:
    assert kept(500, fatigue_impressions=0) == 1.0
