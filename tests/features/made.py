"""Records as hypothesis makes them: few users and items, so that everything meets, and what goes wrong."""

import asyncio
from collections.abc import Sequence
from typing import Any

from hypothesis import strategies as st

from shortlist.events.event import Event, EventType, Told, encode
from shortlist.events.log import EventLog, Record, Stored
from shortlist.events.partition import partition_of

START_MS = 1_700_000_000_000
HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS

# All in one partition of three.
USERS = tuple(
    next(f"{name}{n}" for n in range(99) if partition_of(f"{name}{n}", 3) == partition_of("u1", 3))
    for name in ("u", "v", "\U0001f6d2", "../u", "u'; --")
)
ITEMS = tuple(f"i{n}" for n in range(6))


def event(
    item_id: str = "i1",
    *,
    user_id: str = "u1",
    type: EventType = EventType.VIEW,  # noqa: A002  # the field's own name
    ts: int = START_MS,
    event_id: str = "",
    session_id: str | None = None,
    quantity: float | None = None,
    category: str | None = None,
) -> Event:
    """An event; its id is made of all the rest."""
    event_id = event_id or f"{user_id}-{type}-{item_id}-{ts}-{session_id}-{quantity}"
    return Event(
        event_id=event_id,
        user_id=user_id,
        type=type,
        item_id=item_id,
        ts=ts,
        session_id=session_id,
        quantity=quantity,
        category=category,
    )


def events() -> st.SearchStrategy[Event]:
    """Any event: late, early, repeated, of every type, with gaps around a session's and beyond."""
    told = st.builds(Told, offset=st.integers(0, 30), event=_plain())
    return _plain(
        became=st.sampled_from([None, "u8", "u9"]),
        guest=st.sampled_from(["g1", "g2"]),
        past=st.lists(told, max_size=4, unique_by=_id).map(tuple),
    )


def _id(told: Told) -> str:
    return told.event.event_id


def _plain(**more: st.SearchStrategy[Any]) -> st.SearchStrategy[Event]:
    return st.builds(
        Event,
        event_id=st.integers(0, 40).map(lambda n: f"e{n}"),
        user_id=st.sampled_from(USERS),
        type=st.sampled_from(EventType),
        item_id=st.sampled_from(ITEMS),
        ts=st.one_of(
            st.integers(0, 10),
            st.integers(START_MS, START_MS + 2 * HOUR_MS),
            st.integers(START_MS, START_MS + 40 * DAY_MS),
        ),
        session_id=st.sampled_from([None, None, "s1", "s2"]),
        quantity=st.sampled_from([None, None, 2.0, 0.5]),
        category=st.sampled_from([None, "a", "b", "c"]),
        categories=st.sampled_from([(), ("a",), ("b", "c")]),
        ratings=st.sampled_from([{}, {"i1": 5.0}, {"i2": 1.0, "i3": 4.0}]),
        **more,
    )


def values() -> st.SearchStrategy[bytes]:
    """What stands in a record: mostly events, sometimes what nobody can read."""
    poison = st.sampled_from(
        [
            b"",
            b"{",
            b"null",
            b"\xff\xfe",
            b"[" * 5_000,
            b'{"ts":1e400}',
            b'{"event_id":"x","user_id":"","ts":1}',
        ]
    )
    return st.one_of(events().map(encode), events().map(encode), events().map(encode), poison)


@st.composite
def stored(draw: st.DrawFn, *, most: int = 60) -> list[Stored]:
    """The records of one partition: offsets with gaps, append times that rise, sometimes by weeks."""
    found, offset, appended_ms = [], 0, START_MS + DAY_MS
    for value in draw(st.lists(values(), max_size=most)):
        found.append(Stored(0, offset, appended_ms, value))
        offset += draw(st.sampled_from([1, 1, 1, 1, 3]))
        appended_ms += draw(st.sampled_from([0, 1, 50, 50, HOUR_MS, 8 * DAY_MS]))
    return found


def records(happened: Sequence[Event], *, appended_ms: int = START_MS + DAY_MS) -> list[Stored]:
    """Events as the records of one partition, from offset 0 on."""
    return [Stored(0, offset, appended_ms, encode(e)) for offset, e in enumerate(happened)]


def append(log: EventLog, topic: str, happened: Sequence[Record]) -> None:
    """Append and wait until it is durable."""
    asyncio.run(log.append(topic, happened))
