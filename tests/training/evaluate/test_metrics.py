"""Figures by hand."""

import numpy as np
import pytest

from shortlist.training.evaluate.metrics import mean, measure


def ranked(*positions: int) -> np.ndarray[tuple[int], np.dtype[np.int32]]:
    return np.array(positions, np.int32)


def test_one_relevant_item_at_the_third_place() -> None:
    values = measure(ranked(5, 6, 7, 8), ranked(7), (2, 4))
    assert values["HR@2"] == values["NDCG@2"] == values["MRR@2"] == values["Recall@2"] == 0
    assert values["HR@4"] == values["Recall@4"] == 1
    assert values["NDCG@4"] == pytest.approx(1 / np.log2(4))
    assert values["MRR@4"] == pytest.approx(1 / 3)


def test_the_best_list_possible_is_worth_one() -> None:
    assert measure(ranked(1, 2, 3), ranked(3, 2, 1, 9), (3,))["NDCG@3"] == pytest.approx(1.0)
    assert measure(ranked(1, 2, 3), ranked(3, 2, 1, 9), (3,))["Recall@3"] == pytest.approx(0.75)


def test_a_short_or_empty_list_is_no_error() -> None:
    assert measure(ranked(), ranked(1), (5,))["HR@5"] == 0
    assert measure(ranked(1), ranked(1), (5,))["NDCG@5"] == 1


def test_means_are_over_cases() -> None:
    assert mean([{"HR@1": 1.0}, {"HR@1": 0.0}]) == {"HR@1": 0.5}
    assert mean([]) == {}
