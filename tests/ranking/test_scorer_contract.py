"""What every scorer must do. Later adapters (a model server) join `SCORERS` and pass unchanged."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from random import Random
from typing import Any

import lightgbm
import numpy as np
import pytest

from shortlist.candidates.attributes import UserCodes
from shortlist.ranking.scorer import Calibration, Scorer, ScorerUnavailable
from shortlist.ranking.scorer_onnx import OnnxScorer
from shortlist.training.ground import Ground
from shortlist.training.ranker import to_onnx

NAMES = ("first", "second", "third")
NAMES_OF_USERS = ("plan", "born", "dealer")
CALIBRATION = Calibration(slope=1.5, offset=-1.0)


@pytest.fixture(scope="module")
def booster() -> Any:
    rng = np.random.default_rng(1)
    features = rng.random((600, 3))
    grades = (features[:, 0] + 0.2 * rng.random(600) > 0.8).astype(int)
    data = lightgbm.Dataset(features, label=grades, group=[20] * 30)
    options = {"objective": "lambdarank", "num_leaves": 7, "verbosity": -1, "num_threads": 1}
    return lightgbm.train(options, data, num_boost_round=20)


SCORERS: dict[str, Callable[[bytes], Scorer]] = {
    "onnx": lambda model: OnnxScorer(model, feature_names=NAMES, calibration=CALIBRATION, model_version="7"),
}


@pytest.fixture(params=SCORERS)
def scorer(request: pytest.FixtureRequest, booster: Any) -> Scorer:
    return SCORERS[request.param](to_onnx(booster, len(NAMES)))


def rows(n: int, seed: int = 2) -> Any:
    return np.random.default_rng(seed).random((n, 3)).astype(np.float32)


def test_it_says_what_it_is(scorer: Scorer) -> None:
    assert scorer.model_version == "7"
    assert scorer.feature_names == NAMES


@pytest.mark.parametrize("n", [0, 1, 2, 500])
def test_one_probability_per_row(scorer: Scorer, n: int) -> None:
    scores = scorer.score(rows(n), timeout_s=1.0)
    assert scores.shape == (n,)
    assert scores.dtype == np.float32
    assert ((scores >= 0) & (scores <= 1)).all()


def test_it_agrees_with_the_model_it_was_made_from(scorer: Scorer, booster: Any) -> None:
    features = rows(300)
    expected = CALIBRATION.probability(booster.predict(features).astype(np.float32))
    # ONNX sums trees in 32 bits, LightGBM in 64.
    np.testing.assert_allclose(scorer.score(features, timeout_s=1.0), expected, atol=1e-5)


@pytest.mark.parametrize("has_missing", [True, False])
@pytest.mark.parametrize("name", SCORERS)
def test_it_agrees_where_users_attributes_are_missing(name: str, has_missing: bool) -> None:
    """Whether training has met a missing one or not: NaN would go left in one and right in the other."""
    rng = Random(5)
    plans = ["free", "pro", "team", *([None] if has_missing else [])]
    born = [1_600_000_000_000 + 86_400_000 * day for day in range(400)] + [None] * (100 * has_missing)
    users = [
        {"plan": rng.choice(plans), "born": rng.choice(born), "dealer": rng.random() < 0.3}
        for _ in range(900)
    ]
    codes = UserCodes.fit(NAMES_OF_USERS, users)

    def encoded(users: list[dict[str, Any]]) -> Any:
        made = [codes.row(user) for user in users]
        return np.stack([codes.missing if row is None else row for row in made])

    features = encoded(users)
    likes = (features[:, 0] == 1) ^ (features[:, 1] > np.median(features[:, 1])) | (features[:, 2] == 1)
    likes ^= np.random.default_rng(5).random(len(users)) < 0.2
    data = lightgbm.Dataset(features, label=likes.astype(int), group=[20] * 45)
    options = {"objective": "lambdarank", "num_leaves": 15, "verbosity": -1, "num_threads": 1}
    booster: Any = lightgbm.train(options, data, num_boost_round=30)
    others: list[dict[str, Any]] = [
        {},
        {"plan": "new"},
        {"plan": "pro"},
        {"born": 0},
        {"born": 10**13},
        {"dealer": "yes"},
    ]
    asked = encoded([*users, *others])
    expected = CALIBRATION.probability(booster.predict(asked).astype(np.float32))
    scorer = SCORERS[name](to_onnx(booster, len(NAMES)))
    np.testing.assert_allclose(scorer.score(asked, timeout_s=1.0), expected, atol=1e-5)
    assert len(np.unique(expected)) > 100


def test_better_rows_score_higher(scorer: Scorer) -> None:
    scores = scorer.score(np.array([[0.1, 0.5, 0.5], [0.95, 0.5, 0.5]], np.float32), timeout_s=1.0)
    assert scores[1] > scores[0]


def test_a_row_scores_alike_alone_and_among_others(scorer: Scorer) -> None:
    features = rows(50)
    alone = [float(scorer.score(features[n : n + 1], timeout_s=1.0)[0]) for n in range(50)]
    np.testing.assert_allclose(scorer.score(features, timeout_s=1.0), alone, atol=1e-7)


def test_threads_do_not_disturb_each_other(scorer: Scorer) -> None:
    tables = [rows(40, seed) for seed in range(20)]
    alone = [scorer.score(table, timeout_s=1.0).tolist() for table in tables]
    with ThreadPoolExecutor(4) as threads:
        together = list(threads.map(lambda table: scorer.score(table, timeout_s=1.0).tolist(), tables))
    assert alone == together


def test_no_model_is_a_clear_error() -> None:
    with pytest.raises(ScorerUnavailable, match="ranker 7 cannot be loaded"):
        SCORERS["onnx"](b"nothing of the kind")


@pytest.mark.parametrize(("quiet", "lead"), [(0, 0.0), (3, 0.0), (0, 0.5), (3, 0.5)])
def test_what_the_trees_stand_on_is_in_the_model(booster: Any, quiet: int, lead: float) -> None:
    """The blend's sum; nothing from the trees where a past is short; a lead where nobody touched the item."""
    features = rows(300)
    features[:, 1] = np.random.default_rng(3).integers(1, 7, 300)
    features[::3, 2] = 0
    names = ("als", "history", "popular")
    ground = Ground(names, np.array([0.0, 2.0, -1.0], np.float32), quiet, lead)
    model = to_onnx(booster, len(names), ground=ground)
    scorer = OnnxScorer(model, feature_names=names, calibration=CALIBRATION, model_version="7")
    heard = features[:, 1] > quiet
    expected = booster.predict(features) * heard + 2 * features[:, 1] - features[:, 2]
    expected[features[:, 2] == 0] += lead
    np.testing.assert_allclose(ground.scores(features, booster.predict(features)), expected, atol=1e-5)
    said = scorer.score(features, timeout_s=1.0)
    np.testing.assert_allclose(said, CALIBRATION.probability(expected), atol=1e-5)
