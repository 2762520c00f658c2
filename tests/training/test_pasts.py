"""A past out of the log is what the fold keeps of the user."""

import random

from shortlist.events.event import EventType
from shortlist.settings import Settings
from shortlist.training.history import read_history
from shortlist.training.pasts import Pasts
from tests.training.conftest import Shop
from tests.training.test_sessions import folded

ITEMS = ["a", "b", "c"]


def pasts(shop: Shop) -> Pasts:
    return Pasts(read_history(shop.log, ITEMS, 10_000), Settings())


def ids(positions: object) -> list[str]:
    return sorted(ITEMS[position] for position in positions.tolist())  # type: ignore[attr-defined]


def test_a_past_is_what_the_fold_keeps(shop: Shop) -> None:
    rng = random.Random(3)
    for _ in range(300):
        shop.now_ms += rng.choice([0, 1_000, 3_600_000])
        shop.did(
            f"u{rng.randrange(5)}",
            rng.choice(list(EventType)),
            rng.choice(ITEMS),
            ts=shop.now_ms + rng.choice([0, 0, -5_000]),
            quantity=rng.choice([None, 1.0, 2.0]),
        )

    found = pasts(shop)

    truth = folded(shop)
    assert sorted(found.user_ids) == sorted(truth)
    for user, features in truth.items():
        past = found.of(user)
        assert past is not None
        assert [ITEMS[i] for i in past.items.tolist()] == [s.item_id for s in features.history]
        assert list(past.types) == [s.type for s in features.history]
        assert past.sessions.tolist() == [s.session for s in features.history]
        assert past.last_ts_s == features.last_ts / 1000
        assert ids(past.bought) == sorted(features.purchased)
        assert dict(zip(past.bought.tolist(), past.counts.tolist(), strict=True)) == {
            ITEMS.index(item): quantity for item, quantity in features.purchased.items()
        }
        assert ids(past.consumed) == sorted(features.consumed)
        assert ids(past.disliked) == sorted(features.disliked)


def test_somebody_unknown_has_no_past(shop: Shop) -> None:
    shop.did("u", "view", "a")

    assert pasts(shop).of("v") is None


def test_unknown_items_are_in_the_past_and_in_nothing_else(shop: Shop) -> None:
    shop.did("u", "purchase", "gone")
    shop.did("u", "view", "b")

    past = pasts(shop).of("u")

    assert past is not None
    assert past.items.tolist() == [-1, 1]
    assert (past.seen.tolist(), past.bought.tolist()) == ([1], [])


def test_only_the_last_interactions_are_kept_but_all_are_seen(shop: Shop) -> None:
    for n in range(205):
        shop.did("u", "view", "a" if n < 5 else "b")

    past = pasts(shop).of("u")

    assert past is not None
    assert (len(past.items), past.seen.tolist()) == (200, [0, 1])
