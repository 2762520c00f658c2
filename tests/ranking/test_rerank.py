"""The rules of re-ranking, alone."""

from collections import Counter
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from shortlist.catalog.table import Columns, ItemTable
from shortlist.ranking.rerank import boosted, cut, passes, ranking, rerank
from shortlist.settings import RuleSettings

RULES = RuleSettings(max_per_category=3, max_per_brand=2)
codes = st.integers(min_value=-1, max_value=4)
lists = st.lists(st.tuples(codes, codes), max_size=60)


def table(
    categories: list[int],
    brands: list[int] | None = None,
    servable: list[bool] | None = None,
    margins: list[float] | None = None,
) -> ItemTable:
    """The columns that the rules read."""
    n = len(categories)
    columns = Columns(
        servable=np.array(servable or [True] * n, bool),
        category=np.array(categories, np.int32),
        brand=np.array(brands or [-1] * n, np.int32),
        price=np.full(n, np.nan, np.float32),
        margin=np.array(margins or [np.nan] * n, np.float32),
        added_ms=np.zeros(n, np.int64),
        group=None,
        version=1,
    )
    made = ItemTable([], 1)
    made.columns = columns
    return made


def ints(*values: int) -> Any:
    return np.array(values, np.int32)


def floats(*values: float) -> Any:
    return np.array(values, np.float32)


def test_a_category_gives_at_most_three_items() -> None:
    assert cut([0, 0, 0, 0, 1, 0, 1], [-1] * 7, RULES, limit=5) == [0, 1, 2, 4, 6]


def test_a_brand_gives_at_most_two_items() -> None:
    assert cut([-1] * 5, [7, 7, 7, 8, 8], RULES, limit=4) == [0, 1, 3, 4]


def test_a_missing_category_or_brand_is_never_capped() -> None:
    assert cut([-1] * 9, [-1] * 9, RULES, limit=8) == list(range(8))


def test_the_brand_cap_goes_before_the_category_cap() -> None:
    # index 2 breaks its brand's cap, index 3 its category's: the slate needs one of them
    assert cut([0, 0, 1, 0, 0], [5, 5, 5, -1, -1], RULES, limit=4) == [0, 1, 2, 3]
    assert cut([0, 0, 0, 0, 1], [5, 5, -1, -1, 5], RULES, limit=4) == [0, 1, 2, 4]


def test_the_category_cap_rises_evenly() -> None:
    categories = [0, 0, 0, 0, 0, 0, 1, 1, 1, 1]
    assert cut(categories, [-1] * 10, RULES, limit=8) == [0, 1, 2, 3, 6, 7, 8, 9]


def test_pages_without_rules_are_plain_slices() -> None:
    off = RuleSettings(enabled=False)
    assert cut([0] * 7, [0] * 7, off, limit=3, page=2) == [3, 4, 5]


def test_a_trending_item_rises_by_a_tenth() -> None:
    scores = boosted(ints(4, 7), floats(0.5, 0.48), ints(7), RULES)
    assert scores.tolist() == floats(0.5, 0.528).tolist()


def test_a_boost_raises_negative_scores_too() -> None:
    assert boosted(ints(1), floats(-1.0), ints(1), RULES)[0] > -1.0


def test_a_low_margin_is_filtered_and_an_unknown_one_passes() -> None:
    items = table([0, 0, 0], margins=[0.01, float("nan"), 0.05])
    assert passes(ints(0, 1, 2), items, RULES).tolist() == [False, True, True]
    assert passes(ints(0, 1, 2), items, RuleSettings(enabled=False)).tolist() == [True, True, True]


def test_what_cannot_be_served_or_is_excluded_never_passes() -> None:
    items = table([0, 0, 1, 1], servable=[True, False, True, True])
    assert passes(ints(0, 1, 2, 3), items, RULES, exclude=ints(3)).tolist() == [True, False, True, False]
    assert passes(ints(0, 1, 2, 3), items, RULES, category=1).tolist() == [False, False, True, True]


def test_a_slate_of_a_ranked_list_has_boosts_filters_caps_and_pages_applied() -> None:
    items = table([0, 0, 0, 0, 1, 2], servable=[True, True, True, True, True, False])
    positions, scores = ints(5, 4, 3, 2, 1, 0), floats(0.9, 0.1, 0.2, 0.3, 0.4, 0.39)
    best, why = rerank(positions, scores, items, RULES, limit=4, trending=ints(0))
    assert best.tolist() == [0, 1, 2, 4]
    assert np.allclose(why, [0.429, 0.4, 0.3, 0.1])
    second, _ = rerank(positions, scores, items, RULES, limit=4, page=2, trending=ints(0))
    assert second.tolist() == [3]


def test_equal_scores_keep_their_order() -> None:
    assert ranking(floats(0.1, 0.2, 0.1, 0.2)).tolist() == [1, 3, 0, 2]


@given(lists, st.integers(1, 12))
@settings(max_examples=150, deadline=None)
def test_a_slate_is_short_only_when_the_list_is(items: list[tuple[int, int]], limit: int) -> None:
    categories, brands = [c for c, _ in items], [b for _, b in items]
    assert len(cut(categories, brands, RULES, limit)) == min(limit, len(items))


@given(lists, st.integers(1, 12))
@settings(max_examples=150, deadline=None)
def test_a_cap_is_broken_only_when_nothing_within_the_caps_is_left(
    items: list[tuple[int, int]], limit: int
) -> None:
    chosen = cut([c for c, _ in items], [b for _, b in items], RULES, limit)
    by_category = Counter(items[i][0] for i in chosen if items[i][0] >= 0)
    by_brand = Counter(items[i][1] for i in chosen if items[i][1] >= 0)
    for index in set(range(len(items))) - set(chosen):
        category, brand = items[index]
        fits = (category < 0 or by_category[category] < 3) and (brand < 0 or by_brand[brand] < 2)
        if fits:
            assert all(n <= 3 for n in by_category.values())
            assert all(n <= 2 for n in by_brand.values())


@given(lists, st.integers(1, 7))
@settings(max_examples=150, deadline=None)
def test_pages_are_disjoint_and_together_the_whole_list(items: list[tuple[int, int]], limit: int) -> None:
    categories, brands = [c for c, _ in items], [b for _, b in items]
    seen: list[int] = []
    for page in range(1, len(items) // limit + 3):
        seen += cut(categories, brands, RULES, limit, page)
    assert sorted(seen) == list(range(len(items)))
