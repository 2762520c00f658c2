"""Answers and logins as events: checked, durable, counted once."""

import asyncio
from collections.abc import Iterator
from itertools import count
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shortlist.catalog.item import Item
from shortlist.catalog.table import ItemTable
from shortlist.coldstart.guests import MOST, GuestTaken, MergeInvalid, guest_of
from shortlist.coldstart.onboarding import Onboarding
from shortlist.coldstart.profile import AnswersInvalid, disliked, liked, preferences
from shortlist.database import open_database
from shortlist.events.event import INTERACTIONS, Event, EventType, encode
from shortlist.events.log import EVENTS, Record
from shortlist.events.log_rocksdb import RocksLog
from shortlist.events.partition import partition_of
from shortlist.features.processor import Processor
from shortlist.features.store import Features, Seen
from shortlist.features.store_rocksdb import RocksFeatures
from shortlist.features.verify import verify
from shortlist.features.view import user_view
from shortlist.home import Home
from shortlist.settings import LogSettings, Settings
from shortlist.training.history import read_history
from shortlist.training.sessions import IS_INTERACTION

NOW = 1_700_000_000_000
ITEMS = [Item(item_id=f"i{n}", categories=("Tea" if n % 2 else "Toys",)) for n in range(6)]
TABLE = ItemTable(ITEMS, 1)
PARTITIONS = 3
KINDS = ["view", "click", "cart", "purchase", "like", "dislike", "impression"]


def answers(**changes: Any) -> Event:
    given: dict[str, Any] = {"categories": ["Tea"], "ratings": {"i1": 5.0}, "skipped": False}
    return preferences(user_id="u", table=TABLE, event_id="e", now_ms=NOW, **given | changes)


def test_answers_are_one_event() -> None:
    event = answers(categories=["Tea", "Toys", "Tea"])
    assert (event.type, event.categories, event.ratings) == ("preferences", ("Tea", "Toys"), {"i1": 5.0})
    skipped = answers(categories=[], ratings={}, skipped=True)
    assert (skipped.categories, skipped.ratings) == ((), {})


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"categories": []}, "choose 1 to 20"),
        ({"categories": ["Tee", "Tea", "Boats"]}, "no category 'Tee', 'Boats'"),
        ({"ratings": {"i9": 3.0}}, "no item 'i9'"),
        ({"ratings": {"i1": 0.0}}, "'i1' must have 1 to 5 stars"),
        ({"ratings": {"i1": float("nan")}}, "'i1' must have 1 to 5 stars"),
        ({"ratings": {f"i{n}": 3.0 for n in range(21)}}, "at most 20"),
        ({"skipped": True}, "skipped"),
    ],
)
def test_what_cannot_be_is_named(changes: dict[str, Any], why: str) -> None:
    with pytest.raises(AnswersInvalid, match=why):
        answers(**changes)


def test_many_stars_are_taste_few_are_none_unless_the_user_comes_to_like_it() -> None:
    user = Features(stars={"i0": 5, "i1": 4, "i2": 3, "i3": 2, "i4": 1}, answered_ts=NOW)
    assert liked(user) == ["i0", "i1"]
    assert disliked(user) == ["i3", "i4"]
    user.history = [Seen("i3", "purchase", NOW + 1, 1), Seen("i4", "view", NOW + 1, 1)]
    assert disliked(user) == ["i4"]


class Shop:
    """A log, features and onboarding on one database."""

    def __init__(self, log: RocksLog, store: RocksFeatures) -> None:
        self.log, self.store = log, store
        self.onboarding = Onboarding(log, store, lambda: TABLE)
        self.processor = Processor(log, store, batch=5)

    def did(self, *events: Event) -> None:
        asyncio.run(self.log.append(EVENTS, [Record(event.user_id, encode(event)) for event in events]))

    def login(self, user: str, guest: str) -> int:
        event = asyncio.run(self.onboarding.merge(user, guest, now_ms=NOW))
        return len(event.past) if event is not None else 0

    def features(self, user: str) -> Features:
        self.processor.fold_all()
        return self.store.read([user], NOW)[0]


@pytest.fixture
def shop(home: Home, request: pytest.FixtureRequest) -> Iterator[Shop]:
    """Empty. Its parameter: the window of repeats."""
    database = open_database(home)
    log = RocksLog(database, {EVENTS: PARTITIONS}, now_ms=lambda: NOW)
    window = 40
    yield Shop(
        log, RocksFeatures(database, user_view(Settings()), partitions=PARTITIONS, dedup_window=window)
    )
    log.close()
    database.close()


def event(user: str, number: int, kind: str = "view") -> Event:
    return Event(
        event_id=f"e{number}", user_id=user, type=EventType(kind), item_id=f"i{number % 6}", ts=NOW + number,
        category="Tea",
    )  # fmt: skip


def test_an_answer_sent_again_with_its_id_counts_once(shop: Shop) -> None:
    for _ in range(2):
        asyncio.run(
            shop.onboarding.submit("u", ["Tea"], {"i1": 2.0}, skipped=False, event_id="mine", now_ms=NOW)
        )
    features = shop.features("u")
    assert (features.preferred, features.stars, features.counts) == (["Tea"], {"i1": 2.0}, {"preferences": 1})
    assert features.interaction_count == 0


@pytest.mark.parametrize("shop", [40], indirect=True)
def test_a_guests_past_is_the_users_after_the_login_and_again_only_what_came_since(shop: Shop) -> None:
    shop.did(*(event("g", n) for n in range(3)), event("g", 3, "impression"))
    assert (shop.login("u", "g"), shop.login("u", "g")) == (3, 3)
    assert shop.features("u").last_5 == ["i0", "i1", "i2"]
    shop.did(*(event("u", 100 + n) for n in range(60)))  # beyond the window of repeats
    shop.did(event("g", 4))
    shop.login("u", "g")
    features = shop.features("u")
    assert features.interaction_count == 3 + 60 + 1
    small = Settings(log=LogSettings(dedup_window=40))
    assert verify(shop.log, shop.store, small).differing == 0


def test_a_guest_who_did_nothing_is_no_event_and_nobody_is_their_own_guest(shop: Shop) -> None:
    assert shop.login("u", "nobody") == 0
    assert shop.features("u") == Features()
    with pytest.raises(MergeInvalid, match="is the user"):
        shop.login("u", "u")


def test_of_a_long_past_the_last_is_told(shop: Shop) -> None:
    shop.did(*(event("g", n) for n in range(MOST + 30)), event("g", 40))  # a repeat
    past = guest_of(shop.log, shop.store, "g", now_ms=NOW).past
    assert [told.event.event_id for told in past] == [f"e{n}" for n in range(30, MOST + 30)]


@pytest.mark.parametrize("is_folded", [False, True])
def test_a_guest_becomes_one_user(shop: Shop, is_folded: bool) -> None:
    shop.did(*(event("g", n) for n in range(3)))
    shop.login("u", "g")
    if is_folded:
        assert shop.features("g").became == "u"
        # The log has forgotten, the features have not.
        partition = partition_of("g", PARTITIONS)
        shop.store.checkpoint(partition)
        shop.log.truncate(EVENTS, partition, shop.log.ends(EVENTS)[partition])
    with pytest.raises(GuestTaken, match="another user"):
        shop.login("v", "g")
    assert shop.features("v") == Features()
    shop.did(event("g", 7))
    assert shop.login("u", "g") >= 1
    assert shop.features("u").interaction_count == 4
    assert shop.features("u").counts["merge"] == 2
    assert verify(shop.log, shop.store, Settings(log=LogSettings(dedup_window=40))).differing == 0


def test_of_two_logins_at_once_one_is_the_first(shop: Shop) -> None:
    shop.did(event("g", 0))

    async def both() -> list[Any]:
        logins = (shop.onboarding.merge(user, "g", now_ms=NOW) for user in ("u", "v"))
        return await asyncio.gather(*logins, return_exceptions=True)

    refused = [isinstance(one, GuestTaken) for one in asyncio.run(both())]
    assert sorted(refused) == [False, True]
    winner = ("u", "v")[refused.index(False)]
    assert shop.features("g").became == winner
    assert [shop.features(user).interaction_count for user in ("u", "v")].count(1) == 1
    assert shop.features(winner).interaction_count == 1


def test_a_forgotten_guest_is_told_no_more_and_may_become_anybody(shop: Shop) -> None:
    shop.did(*(event("g", n) for n in range(3)))
    shop.login("u", "g")
    assert shop.features("g").became == "u"
    shop.store.delete("g")
    assert shop.login("v", "g") == 0
    shop.did(event("g", 4))
    assert shop.login("v", "g") == 1
    assert (shop.features("g").became, shop.features("v").last_5) == ("v", ["i4"])


steps = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(["g1", "g2", "u1", "u2"]), st.integers(0, 25), st.sampled_from(KINDS)),
        st.tuples(st.sampled_from(["u1", "u2"]), st.sampled_from(["g1", "g2"])),
    ),
    max_size=25,
)


_example = count()


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps)
def test_whatever_guests_and_users_do_everything_counts_once(shop: Shop, plan: list[Any]) -> None:
    """In features, in the naive replay and in training. One log that only grows; each example its people."""
    example = f"-{next(_example)}"
    log: dict[str, list[tuple[str, str]]] = {}  # everybody's own events that count, in order
    counted: dict[str, dict[str, str]] = {}  # user → event id → type, the guest's included
    told: dict[tuple[str, str], int] = {}
    first: dict[str, str] = {}  # guest → the user they became
    for step in plan:
        if len(step) == 3:
            user, number, kind = step
            shop.did(event(user + example, number, kind))
            if f"e{number}" not in counted.setdefault(user, {}):
                counted[user][f"e{number}"] = kind
                log.setdefault(user, []).append((f"e{number}", kind))
        else:
            user, guest = step
            if first.get(guest, user) != user:
                with pytest.raises(GuestTaken):
                    shop.login(user + example, guest + example)
                continue
            shop.login(user + example, guest + example)
            if any(kind != "impression" for _, kind in log.get(guest, [])):
                first[guest] = user
            past = [entry for entry in log.get(guest, []) if entry[1] != "impression"]
            for event_id, kind in past[told.get((user, guest), 0) :]:
                counted.setdefault(user, {}).setdefault(event_id, kind)
            told[user, guest] = len(past)
    interactions = {
        user: sum(EventType(kind) in INTERACTIONS for kind in events.values())
        for user, events in counted.items()
    }
    found = {user: shop.features(user + example).interaction_count for user in counted}
    assert found == interactions
    assert verify(shop.log, shop.store, Settings()).differing == 0
    history = read_history(shop.log, TABLE.ids, shop.store.dedup_window)
    people = [code for code, user_id in enumerate(history.user_ids) if user_id.endswith(example)]
    rows = np.isin(history.users, people) & IS_INTERACTION[history.types]
    # Each record once: with its guest, or with the first of the users the guest became.
    happened = {
        (user, event_id) for user, events in log.items() for event_id, kind in events
        if EventType(kind) in INTERACTIONS
    }  # fmt: skip
    assert rows.sum() <= len(happened)
    if not any(user[0] == "u" for user in log):  # no user sent a guest's event again
        assert rows.sum() == len(happened)
