"""Event-type weights: one definition, felt by ALS, trending and the ranker alike, below 0 too."""

from typing import Any

import numpy as np
import pytest

from shortlist.arrays import FloatArray
from shortlist.candidates.als import Als
from shortlist.candidates.past import query_from
from shortlist.candidates.source import Query
from shortlist.catalog.item import Item
from shortlist.catalog.table import ItemTable
from shortlist.events.event import Event, EventType
from shortlist.features.trending import DecayedCounts
from shortlist.ranking.features import feature_names, features
from shortlist.settings import Settings, TrainingSettings, WeightSettings
from shortlist.training.clean import interactions_of
from shortlist.training.history import read_history
from tests.training.conftest import Shop

TEA, TENTS = [f"tea{n}" for n in range(5)], [f"tent{n}" for n in range(4)]
ITEMS = TEA + TENTS
TABLE = ItemTable([Item(item_id=item_id) for item_id in ITEMS], 1)
LIGHT, HEAVY = WeightSettings(), WeightSettings(view=5.0, dislike=-4.0)


def lived(shop: Shop) -> None:
    """Seven like tea, five like tents; one of each kind turned something down."""
    for user in range(12):
        theirs = TEA if user < 7 else TENTS
        for step in range(3):
            shop.did(f"u{user}", "view" if step else "purchase", theirs[(user + step) % len(theirs)])
    shop.did("u0", "dislike", "tea4")
    shop.did("u8", "dislike", "tea1")
    shop.did("nobody", "dislike", "tea2")


def fitted(shop: Shop, weights: WeightSettings) -> Als:
    settings = Settings(weights=weights)
    data = interactions_of(read_history(shop.log, ITEMS, 10_000), ITEMS, settings)
    return Als.fit(data, TABLE, TrainingSettings(factors=4, threads=1, seed=3))


def asked(weights: WeightSettings, *, disliked: tuple[int, ...] = ()) -> Query:
    """Somebody who viewed two teas and bought one, and turned some items down."""
    by = weights.by_type()
    return query_from(
        [0, 1, 2],
        [0.0, 60.0, 120.0],
        [by["view"], by["view"], by["purchase"]],
        [0, 0, 0],
        now_s=180.0,
        against=disliked,
        against_weights=[by["dislike"]] * len(disliked),
    )


def seen_by_the_ranker(als: Als, query: Query, name: str) -> FloatArray:
    positions = np.arange(len(ITEMS), dtype=np.int32)
    table = features(query, positions, {"als": als.score(query, positions)}, [als])
    column: FloatArray = table[:, feature_names([als]).index(name)]
    return column


def trends(weights: WeightSettings, *happened: tuple[str, str]) -> dict[str, float]:
    counts = DecayedCounts(1e12, weights.by_type())
    events: list[Any] = [
        Event(event_id=str(n), user_id="u", type=EventType(kind), item_id=item, ts=1_000)
        for n, (kind, item) in enumerate(happened)
    ]
    counts.add(events, 1 << 60)
    return counts.weights()


def test_another_weight_is_felt_by_als_trending_and_the_ranker(shop: Shop) -> None:
    lived(shop)
    light, heavy = fitted(shop, LIGHT), fitted(shop, HEAVY)
    assert not np.allclose(light.factors, heavy.factors)
    assert trends(LIGHT, ("view", "a")) == pytest.approx({"a": 1.0})
    assert trends(HEAVY, ("view", "a")) == pytest.approx({"a": 5.0})
    before, after = (seen_by_the_ranker(light, asked(weights), "als") for weights in (LIGHT, HEAVY))
    assert not np.allclose(before, after)


def test_what_is_turned_down_counts_in_training_and_by_its_weight(shop: Shop) -> None:
    lived(shop)
    history = read_history(shop.log, ITEMS, 10_000)
    data = interactions_of(history, ITEMS, Settings())
    assert data.against.weights.tolist() == [-1.0, -1.0]
    assert [data.user_ids[user] for user in data.against.users] == ["u0", "u8"]  # nobody has no taste
    assert [ITEMS[item] for item in data.against.items] == ["tea4", "tea1"]
    none = interactions_of(history, ITEMS, Settings(weights=WeightSettings(dislike=0.0)))
    assert len(none.against.items) == 0
    assert (data.weights > 0).all()
    assert not np.allclose(fitted(shop, LIGHT).factors, fitted(shop, WeightSettings(dislike=0.0)).factors)


def test_a_dislike_lowers_an_item_and_its_neighbours_for_als_and_the_ranker(shop: Shop) -> None:
    lived(shop)
    als = fitted(shop, LIGHT)
    before = seen_by_the_ranker(als, asked(LIGHT), "als")
    after = seen_by_the_ranker(als, asked(LIGHT, disliked=(3,)), "als")
    more = seen_by_the_ranker(als, asked(HEAVY, disliked=(3,)), "als")
    assert after[3] < before[3]
    assert after[4] < before[4]  # another tea
    assert more[3] < after[3] + 1e-6
    tents = slice(len(TEA), None)
    assert (after[tents] < before[:5].max() / 2).all()  # and does not make a camper of them


def test_a_dislike_alone_is_no_taste(shop: Shop) -> None:
    lived(shop)
    als = fitted(shop, LIGHT)
    only = query_from([], [], [], [], now_s=1.0, against=[3], against_weights=[-1.0])
    assert als.user(only) is None
    turned = query_from([0, 3], [0.0, 1.0], [1.0, -1.0], [0, 0], now_s=2.0)
    assert turned.items.tolist() == [0]
    assert turned.against.tolist() == [3]


def test_a_dislike_takes_from_what_trends_and_never_adds() -> None:
    assert trends(LIGHT, ("view", "a"), ("cart", "a"), ("dislike", "a")) == pytest.approx({"a": 2.0})
    assert trends(LIGHT, ("dislike", "a"), ("view", "b")) == pytest.approx({"b": 1.0})
    shown = trends(WeightSettings(impression=-0.25), ("view", "a"), ("impression", "a"))
    assert shown == pytest.approx({"a": 0.75})
    assert trends(WeightSettings(impression=2.0), ("impression", "a")) == {}  # what is shown is no taste
