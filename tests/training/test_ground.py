"""What the ranker's trees stand on."""

import numpy as np
import pytest

from shortlist.training.ground import ENOUGH, SHORT, Ground, lead_of, quiet_of
from shortlist.training.rows import NEXT, Rows, ndcg

NAMES = ("als", "als:share", "popular", "history")
CANDIDATES = 100


def rows(cases: int = 200, new: float = 0.05, seed: int = 1) -> Rows:
    """ALS says everything; what is new is as good as anything else, and said to be less."""
    rng = np.random.default_rng(seed)
    features = rng.random((cases * CANDIDATES, len(NAMES))).astype(np.float32)
    features[:, 2] += 1
    features[rng.random(len(features)) < new, 2] = 0
    features[:, 3] = np.repeat(rng.integers(1, 40, cases), CANDIDATES)
    grades = np.zeros(len(features), np.int32)
    for case in range(cases):
        part = slice(case * CANDIDATES, (case + 1) * CANDIDATES)
        grades[part.start + int(features[part, 1].argmax())] = NEXT
    is_new = features[:, 2] <= 0
    features[is_new, 1] -= 0.4
    return Rows(features, grades, np.full(cases, CANDIDATES, np.int32), [np.zeros(0, np.int32)] * cases)


def test_a_lead_is_what_costs_nothing_and_floods_no_list() -> None:
    some = rows()
    said = some.features[:, 1]
    lead = lead_of(some, said, NAMES, most=0.05)
    assert 0.3 <= lead <= 0.5
    new = some.features[:, 2] <= 0
    assert ndcg(some, said + lead * new) >= ndcg(some, said)
    assert lead_of(some, said, NAMES, most=0.0) < lead  # whose share is nothing has no places to take
    assert lead_of(rows(new=0.0), said, NAMES, most=0.05) == 0


def test_trees_say_nothing_of_pasts_that_hardly_anybody_had() -> None:
    def quiet(lengths: list[int]) -> int:
        some = rows(len(lengths))
        some.features[:, 3] = np.repeat(lengths, CANDIDATES)
        return quiet_of(some, NAMES)

    assert quiet([30] * 20) == SHORT
    assert quiet([1] * 20) == 0  # few cases, all of them short: trees know nothing else
    assert quiet([30] * ENOUGH) == SHORT
    assert quiet([1] * ENOUGH) == 0
    assert quiet([4] * (ENOUGH - 1) + [7] + [30] * 3 * ENOUGH) == 6


@pytest.mark.parametrize("quiet", [0, 10])
def test_scores_are_the_sum_and_the_trees(quiet: int) -> None:
    some = rows(cases=30)
    ground = Ground(NAMES, np.array([0, 2, 0, 0], np.float32), quiet)
    added = np.ones(len(some.grades), np.float32)
    short = some.features[:, 3] <= quiet
    np.testing.assert_allclose(
        ground.scores(some.features, added) - ground.start(some.features), ~short, atol=1e-6
    )
