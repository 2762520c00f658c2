"""Tastes are learned from people, from what they kept, in order of time."""

import numpy as np

from shortlist.settings import Settings, TrainingSettings, WeightSettings
from shortlist.training.clean import interactions_of
from shortlist.training.history import read_history
from tests.training.conftest import Shop

ITEMS = ["a", "b", "c"]


def clean(shop: Shop, settings: Settings | None = None):  # type: ignore[no-untyped-def]
    return interactions_of(read_history(shop.log, ITEMS, 10_000), ITEMS, settings or Settings())


def test_interactions_are_sorted_by_time_and_ties_keep_their_order(shop: Shop) -> None:
    for item, ts in (("c", 3_000), ("a", 1_000), ("b", 2_000), ("a", 2_000)):
        shop.did("u", "view", item, ts=ts)

    data = clean(shop)

    assert data.items.tolist() == [0, 1, 0, 2]
    assert data.ts_s.tolist() == [1.0, 2.0, 2.0, 3.0]


def test_only_interactions_with_known_items_and_a_weight_remain(shop: Shop) -> None:
    for kind in ("view", "impression", "dislike", "cancel", "cart"):
        shop.did("u", kind, "a")
    shop.did("u", "view", "not in the catalog")

    data = clean(shop, Settings(weights=WeightSettings(view=0.0, cart=2.5)))

    assert data.weights.tolist() == [2.5]


def test_weights_go_by_type_and_purchases_are_marked(shop: Shop) -> None:
    for kind in ("view", "purchase", "rating", "like"):
        shop.did("u", kind, "a")

    data = clean(shop)

    assert data.weights.tolist() == [1.0, 3.0, 1.0, 2.0]
    assert data.purchases.tolist() == [False, True, False, False]


def test_users_without_interactions_get_no_code(shop: Shop) -> None:
    shop.did("bystander", "impression", "a")
    shop.did("u", "view", "a")

    data = clean(shop)

    assert data.user_ids == ["u"]
    assert data.users.tolist() == [0]


def test_a_cancellation_takes_its_purchase_back(shop: Shop) -> None:
    shop.did("u", "purchase", "a")
    shop.did("u", "purchase", "b")
    shop.did("v", "purchase", "a")
    shop.did("u", "cancel", "a")

    data = clean(shop)

    assert sorted((data.user_ids[u], ITEMS[i]) for u, i in zip(data.users, data.items, strict=True)) == [
        ("u", "b"),
        ("v", "a"),
    ]


def test_a_part_cancelled_leaves_the_purchase(shop: Shop) -> None:
    shop.did("u", "purchase", "a", quantity=3.0)
    shop.did("u", "cancel", "a", quantity=2.0)

    assert len(clean(shop).items) == 1


def test_the_latest_purchase_is_taken_back_first(shop: Shop) -> None:
    shop.did("u", "purchase", "a", ts=1_000)
    shop.did("u", "purchase", "a", ts=2_000)
    shop.did("u", "cancel", "a")

    assert clean(shop).ts_s.tolist() == [1.0]


def test_a_cancellation_of_nothing_changes_nothing(shop: Shop) -> None:
    shop.did("u", "cancel", "a")
    shop.did("u", "purchase", "a")

    assert len(clean(shop).items) == 1


def test_a_bot_is_left_out_and_a_busy_person_stays(shop: Shop) -> None:
    settings = Settings(training=TrainingSettings(bot_events_per_min=5))
    for n in range(6):
        shop.did("bot", "view", "a", ts=shop.now_ms + n * 1_000)
        shop.did("person", "view", "a", ts=shop.now_ms + n * 12_001)

    assert clean(shop, settings).user_ids == ["person"]


def test_a_long_order_and_an_import_of_ratings_are_no_bots(shop: Shop) -> None:
    settings = Settings(training=TrainingSettings(bot_events_per_min=2))
    for item in "abcabc":
        shop.did("u", "purchase", item)
        shop.did("v", "rating", item)

    assert len(clean(shop, settings).user_ids) == 2


def test_positions_instead_of_times_make_nobody_a_bot(shop: Shop) -> None:
    settings = Settings(training=TrainingSettings(bot_events_per_min=2))
    for n in range(6):
        shop.did("u", "view", "a", ts=n)

    assert clean(shop, settings).user_ids == ["u"]


def test_days_count_from_the_last_event(shop: Shop) -> None:
    day = 86_400_000
    for n in range(4):
        shop.did("u", "view", ITEMS[n % 3], ts=shop.now_ms + n * day)

    data = clean(shop, Settings(training=TrainingSettings(days=1.5)))

    assert data.items.tolist() == [2, 0]


def test_an_empty_log_is_no_interactions(shop: Shop) -> None:
    data = clean(shop)

    assert (len(data.users), data.user_ids, data.item_ids) == (0, [], ITEMS)
    assert data.ts_s.dtype == np.float64
