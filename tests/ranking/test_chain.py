"""From sources to ranked items: merged, filtered, scored, and none the worse for one source that fails."""

from typing import TypeVar

import numpy as np
import pytest

from shortlist.candidates.attributes import NO_CODES, Code, UserCodes
from shortlist.candidates.popular import Popular
from shortlist.candidates.source import Query
from shortlist.ranking.blend import Blend
from shortlist.ranking.chain import Chain, Ranked, Steps, inline
from shortlist.ranking.features import feature_names, trained
from tests.ranking.conftest import Broken, Fixed

T = TypeVar("T")
ALL = np.ones(10, np.bool_)
BLEND = Blend({"near": 2.0, "far": 1.0})


def chain(*sources: Fixed, pool: int = 400, **limits: int) -> Chain:
    return Chain(sources, limits or {"near": 10, "far": 10}, None, BLEND, pool)


def test_the_union_is_ranked_once_each(query: Query) -> None:
    ranked = chain(Fixed("near", {3: 1.0, 4: 0.5}), Fixed("far", {4: 9.0, 5: 3.0})).rank(query, ALL)
    assert ranked.positions.tolist() == [3, 4, 5]  # 2.0, 0.5 × 2 + 1.0 (a tie: the lower position), 1/3
    assert ranked.raw["far"].tolist() == [0.0, 9.0, 3.0]
    assert (np.diff(ranked.scores) <= 0).all()
    assert ((ranked.scores > 0) & (ranked.scores < 1)).all()
    assert ranked.missing == {}


def test_what_is_not_allowed_is_dropped(query: Query) -> None:
    allowed = ALL.copy()
    allowed[3] = False
    assert chain(Fixed("near", {3: 1.0, 4: 0.5, 50: 2.0})).rank(query, allowed).positions.tolist() == [4]


def test_nothing_allowed_gives_an_empty_list(query: Query) -> None:
    ranked = chain(Fixed("near", {3: 1.0})).rank(query, np.zeros(10, np.bool_))
    assert len(ranked.positions) == len(ranked.scores) == 0


def test_a_source_that_fails_costs_its_own_candidates_only(query: Query) -> None:
    steps = chain(Fixed("near", {3: 1.0}), Fixed("far", {5: 3.0})).ranking(query, ALL)
    work = next(steps)
    scoring = steps.send(({"far": work["far"]()}, {"near": "late"}))
    assert set(scoring) == {"far"}
    with pytest.raises(StopIteration) as ended:
        steps.send(({"far": scoring["far"]()}, {}))
    ranked: Ranked = ended.value.value
    assert ranked.positions.tolist() == [5]
    assert ranked.missing == {"near": "late"}
    assert set(ranked.raw) == {"far"}


def test_a_source_that_fails_to_score_costs_its_scores_only(query: Query) -> None:
    steps = chain(Fixed("near", {3: 1.0}), Fixed("far", {5: 3.0})).ranking(query, ALL)
    scoring = steps.send(({name: call() for name, call in next(steps).items()}, {}))
    with pytest.raises(StopIteration) as ended:
        steps.send(({"far": scoring["far"]()}, {"near": "failed"}))
    ranked: Ranked = ended.value.value
    assert ranked.positions.tolist() == [5, 3]
    assert ranked.missing == {"near": "failed"}


def test_a_source_without_a_limit_scores_what_others_propose(query: Query) -> None:
    ranked = chain(Fixed("near", {3: 1.0, 4: 0.5}), Fixed("far", {4: 9.0, 5: 3.0}), near=5).rank(query, ALL)
    assert ranked.positions.tolist() == [3, 4]
    assert ranked.raw["far"].tolist() == [0.0, 9.0]


def test_above_the_pool_what_the_sources_together_put_first_stays(query: Query) -> None:
    near = Fixed("near", {n: 10.0 - n for n in range(8)})  # twice as trusted: 2.0, 1.8, …, 0.6
    far = Fixed("far", {9: 1.0, 5: 0.9, 8: 0.1})
    kept = chain(near, far, pool=7).rank(query, ALL).positions.tolist()
    assert sorted(kept) == [0, 1, 2, 3, 4, 5, 9]  # 1.0 for 9, 1.9 for 5; 0.8 for 6 and 0.1 for 8 stay out


def test_a_source_that_the_blend_found_nothing_in_still_brings_candidates(query: Query) -> None:
    near, far = Fixed("near", {3: 1.0, 4: 0.01}), Fixed("far", {5: 3.0})
    useless = Chain([near, far], {"near": 10, "far": 10}, None, Blend({"near": 2.0, "far": 0.0}), 2)
    assert sorted(useless.rank(query, ALL).positions.tolist()) == [3, 5]


def test_scoring_given_items_agrees_with_ranking_them(query: Query) -> None:
    both = chain(Fixed("near", {3: 1.0, 4: 0.5}), Fixed("far", {4: 9.0, 5: 3.0}))
    ranked = both.rank(query, ALL)
    scores = both.score(query, np.array([5, 3, 4], np.int32))
    assert scores.tolist() == [dict(zip(ranked.positions, ranked.scores, strict=True))[p] for p in (5, 3, 4)]


def test_a_ranker_that_fails_leaves_the_order_to_the_blend(query: Query) -> None:
    source = Fixed("near", {3: 1.0, 4: 0.5})
    broken = Chain([source], {"near": 5}, Broken(feature_names(trained([source]))), BLEND, 400)
    ranked = broken.rank(query, ALL)
    assert ranked.positions.tolist() == [3, 4]
    assert ranked.missing == {"ranker": "failed"}


def test_a_ranker_of_other_features_is_refused() -> None:
    source = Popular(np.zeros((5, 3), np.float32))
    with pytest.raises(ValueError, match=r"popular:log_count.*train again"):
        Chain([source], {}, Broken(("own_count",)), BLEND, 400)


def test_a_ranker_of_other_attributes_is_refused() -> None:
    source = Popular(np.zeros((5, 3), np.float32))
    plan, age = (UserCodes([Code(name, starts=(0.0,))]) for name in ("plan", "age"))
    ranker = Broken(feature_names(trained([source]), plan))
    Chain([source], {}, ranker, BLEND, 400, plan)
    for other in (age, NO_CODES):
        with pytest.raises(ValueError, match=r"user:plan.*train again"):
            Chain([source], {}, ranker, BLEND, 400, other)


def test_inline_lets_failures_through() -> None:
    def fails() -> int:
        raise RuntimeError("said aloud")

    def steps() -> Steps[None]:
        yield {"near": fails}

    with pytest.raises(RuntimeError, match="said aloud"):
        inline(steps())


def test_a_blend_ignores_sources_it_has_no_weight_for() -> None:
    raw = {"near": np.array([1.0, 0.0], np.float32), "new": np.array([0.0, 1.0], np.float32)}
    scores = BLEND.score(raw, 2)
    assert scores[0] > scores[1]
    assert BLEND.score({}, 2).tolist() == BLEND.score({"near": np.zeros(2, np.float32)}, 2).tolist()


def test_the_blend_gives_items_that_nobody_touched_their_lead() -> None:
    """Nobody took the second."""
    raw = {"near": np.array([1.0, 0.5, 0.5], np.float32), "popular": np.array([3.0, 0.0, 1.0], np.float32)}
    plain, leading = Blend({"near": 2.0}), Blend({"near": 2.0}, new=0.5)
    odds = [np.log(said / (1 - said)) for said in (plain.score(raw, 3), leading.score(raw, 3))]
    np.testing.assert_allclose(odds[1] - odds[0], [0, 0.5, 0], atol=1e-5)
    without = {"near": raw["near"]}  # late: who is new is not known
    np.testing.assert_allclose(leading.score(without, 3), plain.score(without, 3))
