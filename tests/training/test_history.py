"""The log becomes arrays in which everything that counts stands once."""

from pathlib import Path

import numpy as np

from shortlist.events.event import Event, EventType, Told
from shortlist.events.log import EVENTS
from shortlist.events.partition import partition_of
from shortlist.training.history import CODES, History, read_history
from tests.training.conftest import Shop

ITEMS = ["a", "b", "c"]


def read(shop: Shop, window: int = 10_000) -> History:
    return read_history(shop.log, ITEMS, window)


def of_user(history: History, user: str) -> list[tuple[int, int]]:
    """(item position, ts) of one user's rows."""
    rows = history.users == history.user_ids.index(user)
    return list(zip(history.items[rows].tolist(), history.ts_ms[rows].tolist(), strict=True))


def test_an_empty_log_is_an_empty_history(shop: Shop) -> None:
    history = read(shop)

    assert (len(history), history.user_ids) == (0, [])


def test_each_users_events_stand_together_in_the_order_of_arrival(shop: Shop) -> None:
    for n in range(20):
        shop.did(f"u{n % 4}", "view", ITEMS[n % 3], ts=1_000 - n)

    history = read(shop)

    assert len(history) == 20
    assert len(np.flatnonzero(np.diff(history.users))) == 3
    assert [ts for _, ts in of_user(history, "u1")] == [999, 995, 991, 987, 983]


def test_ids_that_only_interactions_know_are_named_once(shop: Shop) -> None:
    for kind, item in (("view", "z"), ("impression", "y"), ("click", ITEMS[0]), ("cart", "z"), ("view", "x")):
        shop.did("u1", kind, item)
    assert read(shop).unknown_ids == ("z", "x")


def test_items_are_positions_and_unknown_ones_keep_their_row(shop: Shop) -> None:
    for item in ("c", "gone", "a"):
        shop.did("u", "view", item)

    assert read(shop).items.tolist() == [2, -1, 0]


def test_fields_arrive_as_they_were_sent(shop: Shop) -> None:
    shop.did("u", "purchase", "a", quantity=2.5, session_id="s1")
    shop.now_ms += 5
    shop.did("u", "view", "b", session_id="s2")
    shop.did("u", "view", "b", session_id="")
    shop.did("u", "view", "b")

    history = read(shop)

    assert history.types.tolist() == [CODES["purchase"], *[CODES["view"]] * 3]  # type: ignore[index]
    assert history.quantities[0] == 2.5
    assert np.isnan(history.quantities[1:]).all()
    assert history.appended_ms.tolist() == [1_700_000_000_000, *[1_700_000_000_005] * 3]
    assert history.session_ids[0] != history.session_ids[1]
    assert history.session_ids[2:].tolist() == [0, 0]


def test_a_repeat_inside_the_window_counts_once(shop: Shop) -> None:
    for _ in range(3):
        shop.did("u", "view", "a", event_id="same")

    history = read(shop)

    assert (len(history), history.duplicates) == (1, 2)


def test_a_repeat_beyond_the_window_counts_again(shop: Shop) -> None:
    shop.did("u", "view", "a", event_id="same")
    shop.did("u", "view", "b")
    shop.did("u", "view", "a", event_id="same")

    assert len(read(shop, window=1)) == 3


def test_two_users_with_one_event_id_are_two_events(shop: Shop) -> None:
    for user in ("u", "v"):
        shop.did(user, "view", "a", event_id="same")

    assert len(read(shop)) == 2


def test_what_is_no_event_is_counted_and_passed_over(shop: Shop) -> None:
    shop.append("u", b"{not json")
    shop.append("u", b'{"event_id":"x","user_id":"u","type":"teleport","item_id":"a","ts":1}')
    shop.append("u", b'{"event_id":"x","user_id":"u","type":"view","item_id":"a","ts":1,"position":"top"}')
    shop.did("u", "view", "a")

    history = read(shop)

    assert (len(history), history.unreadable) == (1, 3)


def test_ids_of_every_kind_come_back(shop: Shop) -> None:
    users = ["🎈", "../up", 'quo"te', "x" * 1024, " "]
    for user in users:
        shop.did(user, "view", "a")

    assert sorted(read(shop).user_ids) == sorted(users)


def test_progress_ends_at_the_whole(shop: Shop) -> None:
    shares: list[float] = []
    for n in range(5):
        shop.did(f"u{n}", "view", "a")

    read_history(shop.log, ITEMS, 10, lambda _, share: shares.append(share))

    assert shares == sorted(shares)
    assert (shares[0], shares[-1]) == (0.0, 1.0)


def test_history_knows_no_engine() -> None:
    """Training reads any log, not only the embedded one."""
    from shortlist.training import history

    assert "rocksdb" not in Path(history.__file__).read_text()


def test_what_a_forgotten_user_did_before_is_left_out(shop: Shop) -> None:
    shop.did("u", "view", "a")
    partition = partition_of("u", 3)
    gone = {partition: {"u": shop.log.ends(EVENTS)[partition]}}
    shop.did("u", "view", "b")
    shop.did("v", "view", "c")

    history = read_history(shop.log, ITEMS, 10_000, forgotten=lambda at: gone.get(at, {}))

    assert [item for item, _ in of_user(history, "u")] == [1]
    assert [item for item, _ in of_user(history, "v")] == [2]


def as_guest(user: str, item: str, offset: int) -> Told:
    event = Event(
        event_id=f"{user}-{offset}", user_id=user, type=EventType.VIEW, item_id=item, ts=1_000 + offset
    )
    return Told(offset, event)


def guest_and_login(shop: Shop, user: str = "u", guest: str = "g") -> None:
    """A guest views a and b, logs in, views c; the page says the login twice."""
    told = [as_guest(guest, item, n) for n, item in enumerate("ab")]
    for one in told:
        shop.did(guest, "view", one.event.item_id, event_id=one.event.event_id, ts=one.event.ts)
    for n in range(2):
        shop.did(user, "merge", "", guest=guest, past=tuple(told), event_id=f"login-{n}")
    shop.did(user, "view", "c")


def test_what_a_guest_did_before_the_login_counts_once_and_for_the_user(shop: Shop) -> None:
    guest_and_login(shop)

    history = read(shop)

    assert [item for item, _ in of_user(history, "u") if item >= 0] == [0, 1, 2]
    assert of_user(history, "g") == []


def test_of_two_users_who_were_one_guest_the_first_to_log_in_has_the_past(shop: Shop) -> None:
    for user in ("u", "v"):
        shop.now_ms += 1
        told = as_guest("g", "a", 0)
        shop.did(user, "merge", "", guest="g", past=(told,))

    history = read(shop)

    assert (history.items >= 0).sum() == 1
    assert of_user(history, "u")[-1] == (0, 1_000)


def test_what_a_forgotten_user_did_as_a_guest_is_left_out(shop: Shop) -> None:
    guest_and_login(shop)
    partition = partition_of("u", 3)
    gone = {partition: {"u": shop.log.ends(EVENTS)[partition]}}

    history = read_history(shop.log, ITEMS, 10_000, forgotten=lambda at: gone.get(at, {}))

    assert len(history) == 0
