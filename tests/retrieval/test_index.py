"""The index finds what an exhaustive search finds, or nearly, and never what is not allowed."""

import numpy as np
import pytest

from shortlist.arrays import FloatArray
from shortlist.retrieval.index import VectorIndex


@pytest.fixture(scope="module")
def vectors() -> FloatArray:
    rng = np.random.default_rng(5)
    centres = rng.standard_normal((40, 16))
    made = centres[rng.integers(40, size=2_000)] + 0.3 * rng.standard_normal((2_000, 16))
    made[7] = 0
    return made.astype(np.float32)


@pytest.fixture(scope="module")
def lists(vectors: FloatArray) -> VectorIndex:
    return VectorIndex.over(vectors, threads=1, exact_below=100)


def test_the_lists_find_nearly_all_of_the_nearest(vectors: FloatArray, lists: VectorIndex) -> None:
    exact = VectorIndex.over(vectors)
    shares = [np.isin(exact.search(v, 50)[0], lists.search(v, 50)[0]).mean() for v in vectors[50:100]]
    assert np.mean(shares) > 0.95  # the flow's own "95 % recall@50"


def test_scores_are_those_of_the_codes_and_best_first(vectors: FloatArray, lists: VectorIndex) -> None:
    positions, scores = lists.search(vectors[3], 20)
    np.testing.assert_allclose(scores, lists.products(vectors[3], positions), rtol=0.02)
    assert (np.diff(scores) <= 0).all()


def test_what_is_not_allowed_is_not_found(vectors: FloatArray, lists: VectorIndex) -> None:
    allowed = np.arange(2_000) % 2 == 0
    for index in (lists, VectorIndex.over(vectors)):
        positions, _ = index.search(vectors[3], 20, allowed=allowed)
        assert len(positions) == 20
        assert (positions % 2 == 0).all()


def test_a_row_of_zeros_is_no_item(lists: VectorIndex, vectors: FloatArray) -> None:
    assert 7 not in lists.search(vectors[3], 2_000)[0]


def test_it_is_the_same_from_its_arrays(lists: VectorIndex, vectors: FloatArray) -> None:
    again = VectorIndex.from_arrays(lists.arrays())
    for asked in vectors[:20]:
        np.testing.assert_array_equal(again.search(asked, 10)[0], lists.search(asked, 10)[0])


def test_positions_beyond_score_nothing(lists: VectorIndex, vectors: FloatArray) -> None:
    values = lists.products(vectors[3], np.array([3, 5_000], np.int32))
    assert values[0] > 0
    assert values[1] == 0


def test_an_empty_index_finds_nothing() -> None:
    empty = VectorIndex.over(np.zeros((0, 4), np.float32))
    assert len(empty.search(np.ones(4, np.float32), 5)[0]) == 0


def test_a_narrow_choice_is_searched_whole(lists: VectorIndex, vectors: FloatArray) -> None:
    allowed = np.zeros(2_000, np.bool_)
    allowed[[11, 500, 1_999]] = True
    positions, scores = lists.search(vectors[11], 20, allowed=allowed)
    expected = vectors[[11, 500, 1_999]] @ vectors[11]
    assert set(positions.tolist()) == {p for p, s in zip((11, 500, 1_999), expected, strict=True) if s > 0}
    assert (np.diff(scores) <= 0).all()


def test_what_is_barred_near_by_does_not_shorten_the_list(lists: VectorIndex, vectors: FloatArray) -> None:
    nearest, _ = VectorIndex.over(vectors).search(vectors[3], 120)
    allowed = np.ones(2_000, np.bool_)
    allowed[nearest] = False
    assert len(lists.search(vectors[3], 20, allowed=allowed)[0]) == 20
