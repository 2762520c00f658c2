"""Trending as a candidate source."""

from collections.abc import Mapping, Sequence

import numpy as np
import pytest

from shortlist.candidates.source import Query
from shortlist.candidates.trending import Trending
from shortlist.catalog.item import Item
from shortlist.catalog.store import Change
from shortlist.catalog.table import ItemTable

CATEGORIES = {"tea": "food", "jam": "food", "saw": "tools", "axe": "tools", "pen": "office"}


class Trends:
    """Fixed lists: an adapter of what the source asks for."""

    def __init__(self, weights: Mapping[str, float]) -> None:
        self._weights = weights

    def top(self, category: str | None, n: int) -> Sequence[str]:
        found = [i for i in self._weights if category is None or CATEGORIES.get(i) == category]
        return sorted(found, key=lambda item: -self._weights[item])[:n]

    def weights(self) -> Mapping[str, float]:
        return self._weights


@pytest.fixture
def table() -> ItemTable:
    return ItemTable([Item(item_id=item, categories=(c,)) for item, c in CATEGORIES.items()], version=1)


def query(table: ItemTable, *items: str, category: str = "") -> Query:
    positions = table.positions(items)
    ones = np.ones(len(positions), np.float32)
    code = table.categories.index(category) if category else -1
    return Query(positions, ones, ones, np.ones(len(positions), np.int32), 0.0, category=code)


def proposed(source: Trending, table: ItemTable, asked: Query, limit: int) -> list[str]:
    return [table.ids[at] for at in source.candidates(asked, limit).positions]


WEIGHTS = {"axe": 9.0, "saw": 8.0, "pen": 7.0, "tea": 2.0, "jam": 1.0, "gone": 50.0}


def test_a_guest_gets_what_trends_overall_best_first(table: ItemTable) -> None:
    source = Trending(Trends(WEIGHTS), table)
    assert proposed(source, table, query(table), 3) == ["axe", "saw"]  # one in three is not in the catalog
    found = source.candidates(query(table), 5)
    assert found.scores.tolist() == [9.0, 8.0, 7.0, 2.0]
    assert found.positions.dtype == np.int32


def test_half_of_it_comes_from_the_category_of_the_last_item(table: ItemTable) -> None:
    source = Trending(Trends(WEIGHTS), table)
    assert set(proposed(source, table, query(table, "saw", "jam"), 4)) == {"tea", "jam", "axe", "saw"}


def test_a_category_asked_for_comes_first_and_whole(table: ItemTable) -> None:
    source = Trending(Trends(WEIGHTS), table)
    assert set(proposed(source, table, query(table, "saw", category="food"), 2)) == {"tea", "jam"}


def test_scores_of_given_items_are_on_the_same_scale(table: ItemTable) -> None:
    source = Trending(Trends({"axe": 9.0}), table)
    positions = table.positions(["pen", "axe"])
    assert source.score(query(table), positions).tolist() == [0.0, 9.0]
    assert source.score(query(table), positions[:0]).tolist() == []


def test_nothing_trends_in_a_new_shop(table: ItemTable) -> None:
    found = Trending(Trends({}), table).candidates(query(table, "tea"), 10)
    assert found.positions.tolist() == found.scores.tolist() == []


def test_what_is_published_anew_is_listed_anew(table: ItemTable) -> None:
    trends = Trends(WEIGHTS)
    source = Trending(trends, table)
    assert proposed(source, table, query(table), 3) == ["axe", "saw"]
    trends._weights = {"jam": 3.0, "tea": 2.0}
    assert proposed(source, table, query(table), 3) == ["jam", "tea"]


def test_an_item_that_comes_into_the_catalog_is_listed(table: ItemTable) -> None:
    source = Trending(Trends(WEIGHTS), table)
    assert "gone" not in proposed(source, table, query(table), 3)
    table.apply([Change(2, "gone", Item(item_id="gone"))])
    assert proposed(source, table, query(table), 3)[0] == "gone"
