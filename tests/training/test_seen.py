"""What batch jobs leave out is what a user ever interacted with."""

import random

from shortlist.events.event import INTERACTIONS, EventType
from shortlist.training.history import read_history
from shortlist.training.seen import SeenItems
from tests.training.conftest import Shop

ITEMS = ["a", "b", "c"]


def test_every_item_ever_interacted_with_was_seen_and_no_other(shop: Shop) -> None:
    rng, expected = random.Random(3), dict[str, set[int]]()
    for _ in range(400):
        user, kind, item = f"u{rng.randrange(5)}", rng.choice(list(EventType)), rng.choice([*ITEMS, "gone"])
        shop.did(user, kind, item)
        if kind in INTERACTIONS and item != "gone":
            expected.setdefault(user, set()).add(ITEMS.index(item))
        if sum(map(len, expected.values())) > 9:
            break

    seen = SeenItems(read_history(shop.log, ITEMS, 10_000))

    assert {user: set(seen.of(user).tolist()) for user in expected} == expected
    assert seen.of("nobody").tolist() == []
