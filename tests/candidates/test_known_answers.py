"""On a shop where the right answer is plain, each source gives it."""

from typing import Any

import numpy as np

from shortlist.arrays import FloatArray
from shortlist.candidates.again import Again
from shortlist.candidates.als import Als
from shortlist.candidates.bought_together import BoughtTogether
from shortlist.candidates.content import Content
from shortlist.candidates.graph import Graph
from shortlist.candidates.item_knn import ItemKnn
from shortlist.candidates.item_to_item import ItemToItem
from shortlist.candidates.past import last_distinct, query_from, strengths
from shortlist.candidates.popular import Popular
from shortlist.candidates.session import Session
from shortlist.candidates.source import CandidateSource, Query
from shortlist.candidates.transitions import Transitions
from shortlist.catalog.table import ItemTable
from shortlist.events.interactions import Interactions
from shortlist.settings import TrainingSettings

SETTINGS = TrainingSettings(factors=4, content_dim=8, threads=1)
TENTS = {7, 8, 9, 10, 11}


def past(*items: int, **more: Any) -> Query:
    n = len(items)
    return query_from(items, np.arange(n) * 60.0, np.ones(n), np.zeros(n), now_s=n * 60.0, **more)


def scores(source: CandidateSource, query: Query) -> FloatArray:
    return source.score(query, np.arange(12, dtype=np.int32))


def test_after_the_kettle_comes_the_teapot(shop: Interactions, shop_items: ItemTable) -> None:
    source = Transitions.fit(shop, shop_items, SETTINGS)
    assert source.candidates(past(0), 5).positions.tolist() == [4, 3]
    assert scores(source, past(4))[0] == 0  # nobody went back: direction matters


def test_the_newest_item_weighs_most(shop: Interactions, shop_items: ItemTable) -> None:
    for source in (Transitions, ItemKnn):
        fitted = source.fit(shop, shop_items, SETTINGS)
        tent_last, kettle_last = scores(fitted, past(0, 7)), scores(fitted, past(7, 0))
        assert tent_last[8] > kettle_last[8]
        assert kettle_last[4] > tent_last[4]


def test_people_of_kettles_get_teapots_and_campers_get_tents(
    shop: Interactions, shop_items: ItemTable
) -> None:
    for kind in (Als, Graph):
        fitted = kind.fit(shop, shop_items, SETTINGS)
        allowed = np.ones(12, np.bool_)
        allowed[[0, 3, 7]] = False
        for seen, wanted in ((0, {4}), (7, TENTS)):
            query = past(seen)
            query.allowed = allowed
            assert int(fitted.candidates(query, 1).positions[0]) in wanted


def test_baskets_go_together(shop: Interactions, shop_items: ItemTable) -> None:
    source = BoughtTogether.fit(shop, shop_items, SETTINGS)
    assert set(source.candidates(past(8), 2).positions.tolist()) == {7, 9}
    assert 10 not in source.candidates(past(8), 12).positions  # bought alone, in another session


def test_a_session_is_continued_as_others_were(shop: Interactions, shop_items: ItemTable) -> None:
    source = Session.fit(shop, shop_items, SETTINGS)
    said = scores(source, past(7, 8))
    said[[7, 8]] = 0
    assert int(said.argmax()) == 9


def test_the_session_before_does_not_count(shop: Interactions, shop_items: ItemTable) -> None:
    source = Session.fit(shop, shop_items, SETTINGS)
    now = query_from([0, 7, 8], [1, 2, 3], [1, 1, 1], [0, 1, 1], now_s=3.0)
    assert scores(source, now)[4] == 0


def test_the_hit_is_popular_and_the_untouched_is_not_proposed(
    shop: Interactions, shop_items: ItemTable
) -> None:
    source = Popular.fit(shop, shop_items, SETTINGS)
    best = source.top(12)
    assert int(best.positions[0]) == 3
    assert 11 not in best.positions
    tents = np.isin(np.arange(12), list(TENTS))
    assert set(source.top(12, tents).positions.tolist()) == {7, 8, 9, 10}


def test_a_new_tent_is_near_tents_before_anybody_bought_it(shop: Interactions, shop_items: ItemTable) -> None:
    content = Content.fit(shop, shop_items, SETTINGS)
    near = ItemToItem.fit(shop, shop_items, SETTINGS)
    assert int(np.isin(near.similar(11, 4).positions, list(TENTS)).sum()) == 4
    assert int(np.isin(content.candidates(past(11), 5).positions, list(TENTS)).sum()) == 5
    assert 7 not in near.similar(7, 12).positions
    assert len(near.similar(99, 5).positions) == 0


def test_what_was_bought_twice_comes_again_first(shop: Interactions, shop_items: ItemTable) -> None:
    source = Again.fit(shop, shop_items, SETTINGS)
    mine = past(7, 8, 10, 8)
    # 8 was had twice; 10 more lately than 7, but 7 sells more in these days
    assert source.candidates(mine, 3).positions.tolist() == [8, 7, 10]
    bought = past(7, 8, bought=[2], bought_counts=[9.0])  # before the kept past begins
    assert set(source.candidates(bought, 3).positions.tolist()) == {7, 8, 2}
    rate = source.signals(mine, np.array([7, 8], np.int32))[:, 0]
    assert rate[0] > rate[1]  # only 7 was bought in two sessions by one user


def test_a_stronger_past_pulls_harder() -> None:
    query = query_from([1, 1, 1, 2], [1, 2, 3, 4], [3, 3, 3, 3], [0] * 4, now_s=5.0)
    items, strength = strengths(query, 10, typical=3.0)
    assert dict(zip(items.tolist(), strength.tolist(), strict=True)) == {1: 2.0, 2: 1.0}


def test_the_past_is_sorted_cut_and_cleaned() -> None:
    n = 250
    query = query_from(np.arange(n), -np.arange(n), np.ones(n), np.zeros(n), now_s=0.0)
    assert len(query.items) == 200
    assert query.items[-1] == 0
    assert (query.ages_s >= 0).all()
    disliked = query_from([1, 2], [1, 2], [1, -1], [0, 0], now_s=3.0, bought=[-1, 4], bought_counts=[1, 2])
    assert disliked.items.tolist() == [1]
    assert disliked.bought.tolist() == [4]


def test_different_last_items_come_newest_first() -> None:
    items, distance = last_distinct(past(1, 2, 1, 3, 50), 10, 2)
    assert items.tolist() == [3, 1]
    assert distance.tolist() == [0, 1]
