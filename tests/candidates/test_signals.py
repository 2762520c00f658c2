"""What sources say of a candidate beside its score, against what plain arithmetic says."""

import numpy as np

from shortlist.arrays import FloatArray, IntArray
from shortlist.candidates.als import Als
from shortlist.candidates.cold import ColdMap
from shortlist.candidates.content import Content
from shortlist.candidates.past import query_from
from shortlist.candidates.source import Query
from shortlist.retrieval.index import VectorIndex

VECTORS = np.random.default_rng(5).normal(size=(8, 3)).astype(np.float32) * np.arange(1, 9)[:, None]
EVERY = np.arange(10, dtype=np.int32)  # 8 and 9 came after training


def past(*items: int) -> Query:
    n = len(items)
    return query_from(items, np.arange(n) * 60.0, np.ones(n), np.zeros(n), now_s=n * 60.0)


def cosine(a: FloatArray, b: FloatArray) -> float:
    return float(a @ b / (np.linalg.norm(a) * np.linalg.norm(b)))


def index() -> VectorIndex:
    return VectorIndex.over(VECTORS.astype(np.float32))


def test_als_compares_with_the_last_the_last_three_and_all_by_distance() -> None:
    source = Als(index(), np.ones(8, np.bool_), np.eye(3), ColdMap.none(3), confidence=1.0, typical=1.0)
    signals = source.signals(past(1, 2, 3, 4, 5), EVERY)
    newest_first = [5, 4, 3, 2, 1]
    for item in range(8):
        near = [cosine(VECTORS[item], VECTORS[of]) for of in newest_first]
        expected = [near[0], sum(near[:3]) / 3, sum(value / (1 + at) for at, value in enumerate(near))]
        np.testing.assert_allclose(signals[item], expected, rtol=1e-5, atol=1e-6)
    assert not signals[8:].any()


def test_als_with_one_item_of_the_past_compares_with_that() -> None:
    source = Als(index(), np.ones(8, np.bool_), np.eye(3), ColdMap.none(3), confidence=1.0, typical=1.0)
    signals = source.signals(past(6), EVERY)
    np.testing.assert_allclose(signals[6], [1, 1, 1], rtol=1e-5)


def content(category: IntArray) -> Content:
    return Content(index(), category, np.zeros(8, np.uint64))


def test_content_says_what_share_of_the_past_has_the_same_category() -> None:
    category = np.array([0, 0, 1, 1, -1, -1, 2, 1], np.int32)
    signals = content(category).signals(past(0, 2, 4, 3), EVERY)
    share, is_last = signals[:, 1], signals[:, 2]
    assert share.tolist() == [0.25, 0.25, 0.5, 0.5, 0, 0, 0, 0.5, 0, 0]
    assert is_last.tolist() == [0, 0, 1, 1, 0, 0, 0, 1, 0, 0]
    np.testing.assert_allclose(signals[:8, 0], VECTORS @ VECTORS[3], rtol=1e-5)
    assert not signals[8:, 0].any()


def test_nothing_is_like_a_last_item_without_a_category() -> None:
    category = np.array([0, 0, 1, 1, -1, -1, 2, 1], np.int32)
    assert not content(category).signals(past(0, 4), EVERY)[:, 2].any()
