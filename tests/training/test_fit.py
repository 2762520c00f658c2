"""Training end to end on data whose next step is known."""

import numpy as np
import pytest

from shortlist.candidates.past import query_from
from shortlist.events.interactions import Interactions
from shortlist.progress import silent
from shortlist.ranking.chain import Chain
from shortlist.ranking.scorer_onnx import OnnxScorer
from shortlist.settings import RuleSettings, Settings, TrainingSettings
from shortlist.training.fit import Fitted, fit, limits
from shortlist.training.windows import kept
from tests.training.made import aimless, items, orderly, walks

SETTINGS = Settings(training=TrainingSettings(factors=16, content_dim=8, threads=1))


def chain_of(fitted: Fitted) -> Chain:
    ranker = fitted.ranker
    scorer = None
    if ranker is not None:
        scorer = OnnxScorer(
            ranker.onnx,
            feature_names=ranker.feature_names,
            calibration=ranker.calibration,
            model_version="1",
        )
    return Chain(list(fitted.sources.values()), limits(SETTINGS.candidates), scorer, fitted.blend, 400)


def first(fitted: Fitted, *past: int, size: int) -> int:
    n = len(past)
    query = query_from(past, np.arange(n), np.ones(n), np.zeros(n), now_s=float(n))
    allowed = np.ones(size, np.bool_)
    allowed[list(past)] = False
    return int(chain_of(fitted).rank(query, allowed).positions[0])


@pytest.mark.parametrize("calendar", [True, False])
def test_it_learns_what_comes_next(calendar: bool) -> None:
    data = walks(orderly(120, 25, 40), n_items=40, calendar=calendar)
    stages: list[str] = []
    fitted = fit(data, items(40), SETTINGS, lambda stage, done: stages.append(stage))
    assert first(fitted, 5, 6, 7, size=40) == 8
    assert first(fitted, 20, 21, size=40) == 22
    assert fitted.params["order"] == ("ranker" if fitted.ranker else "blend")
    assert fitted.metrics["ndcg.transitions"] > 0.5
    assert "models" in stages


def test_the_blend_serves_where_the_ranker_learns_nothing() -> None:
    fitted = fit(walks(aimless(120, 20, 200), n_items=200), items(200), SETTINGS, silent)
    best = max(value for name, value in fitted.metrics.items() if name != "ndcg.ranker")
    assert (fitted.ranker is None) == (fitted.metrics["ndcg.ranker"] <= fitted.metrics["ndcg.blend"])
    # 120 cases: less is chance, and no reason for one alone.
    assert fitted.metrics["ndcg.blend"] >= best - 0.02


def test_the_same_data_makes_the_same_model() -> None:
    data = walks(orderly(80, 20, 30), n_items=30)
    one, other = (fit(data, items(30), SETTINGS, silent) for _ in range(2))
    assert one.params == other.params
    assert one.metrics == pytest.approx(other.metrics, rel=1e-3)  # threads of ALS add in any order


@pytest.mark.parametrize("events", [0, 1, 7, 60])
def test_any_little_data_gives_a_model_that_answers(events: int) -> None:
    whole = walks(orderly(12, 6, 9), n_items=9)
    data = kept(whole, np.arange(len(whole.users)) < events)
    fitted = fit(data, items(9), SETTINGS, silent)
    query = query_from([1], [1.0], [1], [0], now_s=2.0)
    ranked = chain_of(fitted).rank(query, np.ones(9, np.bool_))
    assert fitted.ranker is None
    if events > 1:
        assert len(ranked.positions)


def test_purchases_are_no_candidates_again_unless_the_shop_says_so() -> None:
    data = walks(orderly(60, 20, 15), n_items=15)
    bought = Interactions(
        data.users, data.items, data.ts_s, data.weights * 3, data.sessions,
        np.ones(len(data.users), np.bool_), data.user_ids, data.item_ids,
    )  # fmt: skip
    assert fit(bought, items(15), SETTINGS, silent).params["seen.bought"] == "False"


def test_without_a_ranker_when_the_setting_says_so() -> None:
    settings = Settings(training=TrainingSettings(factors=16, content_dim=8, threads=1, ranker=False))
    fitted = fit(walks(orderly(80, 20, 30), n_items=30), items(30), settings, silent)
    assert fitted.ranker is None
    assert fitted.blend.weights


def test_a_log_that_cannot_show_repeats_does_not_teach_that_there_are_none() -> None:
    data = walks(np.tile(np.arange(20, dtype=np.int32), (40, 1)), n_items=25)
    once = Interactions(
        data.users, data.items, data.ts_s, data.weights, data.sessions,
        np.ones(len(data.users), np.bool_), data.user_ids, data.item_ids,
    )  # fmt: skip
    settings = Settings(training=SETTINGS.training, rules=RuleSettings(repeat_purchases=True))
    fitted = fit(once, items(25), settings, silent)
    assert fitted.ranker is None
    assert fitted.blend.weights["again"] > 0
