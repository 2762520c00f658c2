"""New items are held out for good, taken in as serving does, and found by what is said of them."""

import numpy as np
import pytest

from shortlist.catalog.item import Item
from shortlist.events.event import Event, EventType
from shortlist.progress import silent
from shortlist.ranking.scorer_onnx import OnnxScorer
from shortlist.settings import Settings, TrainingSettings, WeightSettings
from shortlist.training.evaluate import cold
from shortlist.training.evaluate.datasets import shop
from shortlist.training.evaluate.trial import Trial
from shortlist.training.fit import fit_tfidf

SETTINGS = Settings(training=TrainingSettings(factors=8, content_dim=16, threads=1, ranker=False))
KINDS = ("kettle", "tent", "lamp", "bike")


@pytest.fixture(scope="module")
def trial() -> Trial:
    """160 items of four kinds; everybody likes one kind. The title alone tells it."""
    rng = np.random.default_rng(2)
    items = [Item(item_id=f"i{n:03}", title=f"{KINDS[n % 4]} model{n}") for n in range(160)]
    events = [
        Event(
            event_id=f"{user}-{step}",
            user_id=f"u{user}",
            type=EventType.PURCHASE if step % 5 == 0 else EventType.VIEW,
            item_id=f"i{user % 4 + 4 * int(rng.integers(40)):03}",
            ts=1_700_000_000_000 + (user * 14 + step) * 60_000,
        )
        for user in range(150)
        for step in range(14)
    ]
    return shop("kinds", items, events, WeightSettings())


def test_what_is_held_out_is_nowhere_in_training(trial: Trial) -> None:
    without = cold.without_some(trial, seed=7)
    size = len(without.known)
    assert len(without.items) - size == 16
    assert without.data.items.max() < size
    assert without.data.item_ids == without.known.ids == without.items.ids[:size]
    for case in without.cases:
        assert (case.relevant >= size).all()
        assert (case.items < size).all()
    total = len(trial.data.items)
    assert len(without.data.items) < total
    assert [item.item_id for item in without.known.items if item] == without.known.ids


def test_a_shop_keeps_weights_and_purchases(trial: Trial) -> None:
    assert trial.data.purchases.mean() == pytest.approx(3 / 14, abs=0.01)
    assert set(trial.data.weights[trial.data.purchases].tolist()) == {WeightSettings().purchase}
    assert (np.diff(trial.data.ts_s) >= 0).all()


def test_text_finds_new_items_that_nothing_else_can(trial: Trial) -> None:
    without = cold.without_some(trial, seed=7, cases=60)
    encoders = {"TF-IDF": fit_tfidf, "no text": cold.fit_none}
    lines = {
        (line.encoder, line.method): line
        for line in cold.measured(without, encoders, SETTINGS, OnnxScorer, silent)
    }
    assert lines["no text", "als"].recall == 0  # no category or brand either
    assert lines["TF-IDF", "als"].among_new > 0.9
    assert lines["TF-IDF", "als"].recall > 0.1
    assert lines["TF-IDF", "als"].share > 0.02
    assert all(line.cases == 60 for line in lines.values())
    assert "Recall among new" in [column.header for column in cold.drawn(list(lines.values())).columns]
