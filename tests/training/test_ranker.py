"""Small parts of the second stage."""

import numpy as np
import pytest

from shortlist.training.ground import Ground
from shortlist.training.ranker import NEGATIVES, blended, calibrated, thinned, together, trained
from shortlist.training.rows import NEXT, Rows, ndcg


def rows(seed: int = 1, cases: int = 60, candidates: int = 150) -> Rows:
    rng = np.random.default_rng(seed)
    features = rng.random((cases * candidates, 4)).astype(np.float32)
    grades = np.zeros(cases * candidates, np.int32)
    for case in range(cases):
        part = slice(case * candidates, (case + 1) * candidates)
        grades[part.start + int(features[part, 1].argmax())] = NEXT
    return Rows(features, grades, np.full(cases, candidates, np.int32), [np.zeros(0, np.int32)] * cases)


NAMES = ("als", "als:share", "popular", "popular:share")


def test_calibration_says_how_often_it_comes_true() -> None:
    rng = np.random.default_rng(3)
    raw = rng.standard_normal(20_000).astype(np.float32) * 4
    true = rng.random(20_000) < 1 / (1 + np.exp(-(0.5 * raw - 2)))
    calibration = calibrated(raw, true)
    # 20,000 draws: the standard errors of both are below 0.03.
    assert calibration.slope == pytest.approx(0.5, abs=0.1)
    assert calibration.offset == pytest.approx(-2, abs=0.1)
    for low, high in ((0.0, 0.1), (0.3, 0.5), (0.6, 0.9)):
        said = calibration.probability(raw)
        within = (said >= low) & (said < high)
        assert true[within].mean() == pytest.approx(said[within].mean(), abs=0.04)


def test_calibration_of_nothing_keeps_the_order() -> None:
    raw = np.array([1.0, 2.0], np.float32)
    for true in (np.zeros(2, bool), np.ones(2, bool)):
        said = calibrated(raw, true).probability(raw)
        assert said[1] > said[0]


def test_the_best_source_alone_beats_a_blend_of_noise() -> None:
    blend, value, alone = blended(rows(1), rows(2), NAMES, new=0.0)
    assert value >= max(alone.values()) - 0.01  # by less the two are the same
    assert blend.weights["als"] > blend.weights["popular"]


def test_ndcg_counts_what_no_source_proposed() -> None:
    one = rows(1, cases=1)
    perfect = one.features[:, 1]
    assert ndcg(one, perfect) == pytest.approx(1.0)
    lost = Rows(one.features, one.grades, one.groups, [np.array([NEXT], np.int32)])
    assert ndcg(lost, perfect) == pytest.approx(1 / (1 + 1 / np.log2(3)))


def test_thinning_keeps_what_came_true() -> None:
    some = thinned(rows(1), seed=1)
    assert (some.groups == NEGATIVES + 1).all()
    assert (some.grades == NEXT).sum() == 60
    assert len(together([some, some]).groups) == 120


def test_the_ranker_starts_from_the_blend() -> None:
    """Where its trees have nothing to add, the blend's order is kept."""
    learn, later = rows(1), rows(2)
    blend, value, _ = blended(learn, later, NAMES, new=0.0)
    ground = Ground.of(blend, NAMES, quiet=0)
    assert ground.weights.tolist() == pytest.approx([0, blend.weights["als"], 0, blend.weights["popular"]])
    _, scores = trained(learn, later, ground, new=0.0, threads=1, seed=1)
    assert ndcg(later, scores) >= value - 0.02


def test_a_case_counts_the_same_however_much_it_took() -> None:
    """Many take one item that the first source says, one takes a hundred that the second says."""
    many, one = rows(3, cases=20), rows(4, cases=1, candidates=300)
    one.grades[:] = 0
    one.grades[np.argsort(-one.features[:, 3])[:100]] = NEXT
    blend, _, _ = blended(together([many, one]), rows(2), NAMES, new=0.0)
    assert blend.weights["als"] > blend.weights["popular"]


def test_nothing_that_came_true_teaches_no_blend() -> None:
    nothing = rows(1, cases=3)
    nothing.grades[:] = 0
    blend, _, _ = blended(nothing, rows(2), NAMES, new=0.0)
    assert min(blend.weights.values()) >= 0
