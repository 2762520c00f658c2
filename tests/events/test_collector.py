"""What is taken, what is refused and why: every kind of bad input, and what is made of good ones."""

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shortlist.database import Database
from shortlist.events.collector import (
    LOOP_BYTES,
    MAX_EVENTS,
    Accepted,
    BodyMalformed,
    Collector,
    TooManyEvents,
)
from shortlist.events.event import Event, EventType, decode
from shortlist.events.log import EVENTS, LogUnavailable
from shortlist.events.log_rocksdb import RocksLog
from shortlist.settings import Settings

NOW = 1_800_000_000_000
PHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) AppleWebKit/605.1.15 Mobile/15E148"


class Door:
    """A collector in front of a log."""

    def __init__(self, log: RocksLog) -> None:
        self.log = log
        self.collector = Collector(
            log,
            lambda item: "garden" if item == "rake" else None,
            Settings(),
            country=lambda ip: "NL" if ip == "1.2.3.4" else None,
        )

    def accept(self, body: Any, *, subject: str | None = None, user_agent: str = PHONE) -> Accepted:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        return asyncio.run(
            self.collector.accept(data, subject=subject, ip="1.2.3.4", user_agent=user_agent, now_ms=NOW)
        )

    def logged(self) -> list[Event]:
        """Everything in the log."""
        return [
            decode(record.value)
            for partition in range(self.log.partitions(EVENTS))
            for record in self.log.read(EVENTS, partition, 0, 10_000)
        ]

    def taken(self, **fields: Any) -> Event:
        """The one event that is made of `fields` and what every event needs."""
        self.accept({**GOOD, **fields})
        return self.logged()[-1]

    def refused(self, body: Any, **how: Any) -> tuple[str, str]:
        """Field and error of the one event in `body`, of which nothing is in the log."""
        before = self.log.ends(EVENTS)
        accepted = self.accept(body, **how)
        assert accepted.accepted == 0
        assert self.log.ends(EVENTS) == before
        [one] = accepted.refused
        return one.field, one.error


GOOD = {"user_id": "u", "type": "view", "item_id": "i", "ts": NOW - 1_000}


@pytest.fixture
def door(database: Database) -> Iterator[Door]:
    log = RocksLog(database, {EVENTS: 1})
    yield Door(log)
    log.close()


def test_the_flows_own_event_is_taken(door: Door) -> None:
    """`[{type: VIEW, user_id: 12345, item_id: 42, ts: 1698765432}]`, from sequence 3."""
    accepted = door.accept([{"type": "VIEW", "user_id": 12345, "item_id": 42, "ts": 1698765432}])
    assert (accepted.accepted, accepted.refused) == (1, [])
    [event] = door.logged()
    assert (event.user_id, event.item_id, event.type) == ("12345", "42", EventType.VIEW)
    assert event.ts == 1_698_765_432_000


def test_one_event_or_an_array(door: Door) -> None:
    assert door.accept(GOOD).accepted == 1
    assert door.accept([GOOD, GOOD]).accepted == 2
    assert door.accept([]).accepted == 0
    assert door.accept(b"  \n" + json.dumps(GOOD).encode()).accepted == 1
    assert len(door.logged()) == 4


def test_bad_ones_are_refused_by_index_and_the_good_ones_kept(door: Door) -> None:
    accepted = door.accept([GOOD, {**GOOD, "ts": -1}, 7, {**GOOD, "item_id": ""}, GOOD])
    assert accepted.accepted == 2
    assert [(one.index, one.field) for one in accepted.refused] == [(1, "ts"), (2, ""), (3, "item_id")]


def test_an_object_around_the_array_is_told_apart(door: Door) -> None:
    field, error = door.refused({"events": [GOOD]})
    assert field == "events"
    assert "send the array itself" in error
    assert door.accept({**GOOD, "events": [1]}).accepted == 1  # a field of the client's own


def test_what_is_missing_is_filled_in(door: Door) -> None:
    accepted = door.accept([{"user_id": "u", "type": "click", "item_id": "rake"}] * 2)
    assert accepted.accepted == 2
    first, second = door.logged()
    assert first.ts == NOW
    assert first.event_id != second.event_id
    assert first.event_id < f"{NOW + 1:012x}"  # sorts by time
    assert first.category == "garden"
    assert first.session_id == second.session_id != None  # noqa: E711  # both at once


def test_a_users_token_sends_that_users_events_only(door: Door) -> None:
    assert door.accept({"type": "view", "item_id": "i"}, subject="ann").accepted == 1
    assert door.accept({**GOOD, "user_id": "ann"}, subject="ann").accepted == 1
    field, error = door.refused({**GOOD, "user_id": "bob"}, subject="ann")
    assert field == "user_id"
    assert "token" in error
    assert {event.user_id for event in door.logged()} == {"ann"}


def test_a_user_is_enriched_by_the_request_and_a_backend_by_what_it_says(door: Door) -> None:
    claimed = {**GOOD, "country": "XX", "device": "toaster"}
    door.accept(claimed, subject="u")
    door.accept(claimed)
    door.accept(GOOD)
    users, backends, plain = door.logged()
    assert (users.country, users.device) == ("NL", "mobile")
    assert (backends.country, backends.device) == ("XX", "toaster")
    assert (plain.country, plain.device) == (None, None)


def test_the_catalogs_category_wins_over_the_clients(door: Door) -> None:
    assert door.taken(item_id="rake", category="toys").category == "garden"
    assert door.taken(item_id="ball", category="toys").category == "toys"


def test_all_that_is_known_of_an_event_is_kept(door: Door) -> None:
    event = door.taken(
        event_id="e1",
        session_id="s1",
        request_id="r1",
        position=3,
        quantity=2,
        price=9.99,
        currency="EUR",
        rating=4.5,
        page="/home",
        nested={"a": [1, 2, None, True]},
    )
    assert (event.event_id, event.session_id, event.request_id, event.position) == ("e1", "s1", "r1", 3)
    assert (event.quantity, event.price, event.currency, event.rating) == (2.0, 9.99, "EUR", 4.5)
    assert event.extra == {"page": "/home", "nested": {"a": [1, 2, None, True]}}


def test_a_refused_event_names_no_session(door: Door) -> None:
    door.accept([{**GOOD, "session_id": "other", "price": -1}, GOOD])
    [event] = door.logged()
    assert event.session_id != "other"


def test_null_is_missing(door: Door) -> None:
    names = ("session_id", "request_id", "position", "quantity", "price", "currency", "rating", "extra", "ts")
    event = door.taken(**dict.fromkeys(names))
    assert (event.position, event.price, event.extra) == (None, None, None)
    assert door.refused({**GOOD, "user_id": None}) == ("user_id", "is missing")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("user_id", ""), ("user_id", True), ("user_id", []), ("user_id", {"a": 1}), ("user_id", "a\nb"),
        ("user_id", "a\r\nX-Evil: 1"), ("user_id", "\x00"), ("user_id", "\x85"), ("user_id", "\ud83d"),
        ("user_id", "x" * 1025), ("user_id", "\u00e9" * 513), ("user_id", 10**1030),
        ("item_id", None), ("item_id", False), ("item_id", "\x7f"), ("item_id", "\udc00"),
        ("type", None), ("type", 5), ("type", ""), ("type", "purchased"), ("type", ["view"]), ("type", {}),
        ("ts", True), ("ts", "1698765432"), ("ts", -5), ("ts", 0), ("ts", -0.5), ("ts", 10**30), ("ts", []),
        ("ts", NOW + 301_000), ("ts", (NOW + 301_000) / 1000), ("ts", float("nan")), ("ts", float("inf")),
        ("event_id", ""), ("event_id", "\t"), ("event_id", {}),
        ("session_id", True), ("session_id", "\n"), ("request_id", []), ("request_id", "\x1b[31m"),
        ("position", -1), ("position", 1.5), ("position", True), ("position", "1"), ("position", 10**9),
        ("quantity", 0), ("quantity", -1), ("quantity", True), ("quantity", "2"), ("quantity", float("nan")),
        ("price", -0.01), ("price", "9.99"), ("price", float("inf")), ("price", 10**400),
        ("rating", "5"), ("rating", True), ("rating", float("nan")), ("rating", 1e300),
        ("currency", 5), ("currency", "E\nUR"), ("currency", "x" * 300),
        ("category", []), ("category", "\x00"),
        ("extra", 5), ("extra", [1]), ("extra", {"a": "x" * 3_000}),
    ],
)  # fmt: skip
def test_a_bad_field_is_named(door: Door, field: str, value: object) -> None:
    assert door.refused({**GOOD, field: value})[0] == field


@pytest.mark.parametrize(
    "unknown", [{"a": "x" * 3_000}, {"a": "\ud800"}, {"\ud800": 1}, {"d": [[[[[]]]]] * 900}]
)
def test_unknown_fields_are_bounded_and_clean(door: Door, unknown: dict[str, object]) -> None:
    assert door.refused({**GOOD, **unknown})[0] == "extra"


def test_depth_is_bounded_without_recursion(door: Door) -> None:
    start = json.dumps(GOOD)[:-1].encode()
    for depth, field in ((17, "extra"), (500, "extra")):
        body = b"[" + start + b',"x":' + b"[" * depth + b"]" * depth + b"}]"
        assert door.refused(body)[0] == field
    for deep in (b"[" * 100_000, start + b',"x":' + b"[" * 100_000 + b"]" * 100_000 + b"}", b'{"a":' * 9_999):
        with pytest.raises(BodyMalformed):
            door.accept(deep)
    assert door.taken(x=json.loads("[" * 15 + "]" * 15)).extra is not None


@pytest.mark.parametrize(
    "body",
    [b"", b"   ", b"null", b"true", b"5", b'"x"', b"{", b"[{]", b"[{}", b"{}{}", b"\xff\xfe",
     b"[1,]", b"{'a':1}", b"\x00", b"%5B%5D", b'{"user_id":"u"} x'],
)  # fmt: skip
def test_what_is_no_json_is_refused_as_a_whole(door: Door, body: bytes) -> None:
    with pytest.raises(BodyMalformed):
        door.accept(body)
    assert door.logged() == []


def test_nan_or_half_a_character_in_one_event_costs_that_event_only(door: Door) -> None:
    good = json.dumps(GOOD).encode()
    for bad in (
        b'{"user_id":"\\ud83d","type":"view","item_id":"i"}',
        b'{"user_id":"u","type":"view","item_id":"i","ts":NaN}',
        b'{"user_id":"u","type":"view","item_id":"i","price":-Infinity}',
        b'{"user_id":"u","type":"view","item_id":"i","ts":1e999}',
        b'{"user_id":"u","type":"view","item_id":"\xff"}',
    ):
        accepted = door.accept(b"[" + good + b"," + bad + b"," + good + b"]")
        assert accepted.accepted == 2
        assert [one.index for one in accepted.refused] == [1]


def test_the_last_of_two_equal_keys_counts(door: Door) -> None:
    door.accept(b'{"user_id":"a","user_id":"u","type":"view","item_id":"i"}')
    assert door.logged()[0].user_id == "u"
    field, _ = door.refused(b'{"user_id":"u","user_id":"b","type":"view","item_id":"i"}', subject="u")
    assert field == "user_id"


def test_a_thousand_events_are_taken_and_one_more_is_not(door: Door) -> None:
    assert door.accept([GOOD] * MAX_EVENTS).accepted == MAX_EVENTS
    with pytest.raises(TooManyEvents, match="1001"):
        door.accept([GOOD] * (MAX_EVENTS + 1))
    assert len(door.logged()) == MAX_EVENTS


def test_a_large_body_is_read_beside_the_event_loop(door: Door) -> None:
    body = json.dumps([{**GOOD, "event_id": f"e{n}"} for n in range(500)]).encode()
    assert len(body) > LOOP_BYTES

    async def both() -> tuple[int, int]:
        ticks = 0
        accepting = asyncio.ensure_future(
            door.collector.accept(body, subject=None, ip="", user_agent="", now_ms=NOW)
        )
        while not accepting.done():
            ticks += 1
            await asyncio.sleep(0)
        return (await accepting).accepted, ticks

    accepted, ticks = asyncio.run(both())
    assert accepted == 500
    assert ticks > 2


def test_a_full_log_accepts_nothing(database: Database) -> None:
    log = RocksLog(database, {EVENTS: 1})
    door = Door(log)
    log.close()
    with pytest.raises(LogUnavailable):
        door.accept(GOOD)


@pytest.mark.parametrize(
    ("sent", "stored"),
    [
        (NOW, NOW), (NOW / 1000, NOW), (NOW // 1000, NOW), (1_698_765_432.123, 1_698_765_432_123),
        (float(NOW), NOW), (99_999_999_999 // 100, 999_999_999_000), (100_000_000_000, 100_000_000_000),
        (NOW + 299_000, NOW + 299_000), (1, 1_000),
    ],
)  # fmt: skip
def test_times_are_milliseconds_or_seconds_by_their_size(door: Door, sent: float, stored: int) -> None:
    assert door.taken(ts=sent).ts == stored


PRINTABLE = st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1, max_size=200)


@settings(max_examples=60, deadline=None)
@given(user_id=PRINTABLE, item_id=st.one_of(PRINTABLE, st.integers(-(10**20), 10**20)))
def test_ids_of_every_kind_come_through_as_they_are(
    collected: Collector, user_id: str, item_id: str | int
) -> None:
    body = json.dumps({"user_id": user_id, "type": "view", "item_id": item_id}).encode()
    good, refused = collected._judge([msgspec.Raw(body)], None, "", "", NOW)
    assert refused == []
    event = decode(good[0].value)
    assert (event.user_id, event.item_id, good[0].key) == (user_id, str(item_id), user_id)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)


@settings(max_examples=100, deadline=None)
@given(fields=st.dictionaries(st.sampled_from(Event.__struct_fields__) | st.text(), JSON, max_size=8))
def test_whatever_comes_is_an_event_or_a_refusal(collected: Collector, fields: dict[str, Any]) -> None:
    body = json.dumps({**GOOD, **fields}).encode()
    try:
        event = msgspec.Raw(body)
        good, refused = collected._judge([event], None, "", "", NOW)
    except BodyMalformed:
        return
    assert len(good) + len(refused) == 1
    assert all(decode(record.value).user_id == record.key for record in good)


@pytest.fixture(scope="module")
def collected() -> Collector:
    """A collector whose log is never reached."""
    return Collector(None, lambda item: None, Settings())  # type: ignore[arg-type]  # only `_judge` is called
