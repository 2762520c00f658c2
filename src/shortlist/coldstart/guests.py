"""A guest logs in: what they did so far is told again in the user's partition, as one event (flow 9).

Whom a guest became stands in the guest's own partition, written first: of two logins the log's order says
which one was first, and the guest's features keep it for as long as they keep anything of them.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import msgspec

from shortlist.errors import ShortlistError
from shortlist.events.event import NOT_TOLD, Event, EventType, Told, readable
from shortlist.events.log import EVENTS, EventLog
from shortlist.events.partition import partition_of
from shortlist.events.scan import scan
from shortlist.features.store import Features

LOOKED_BACK = 20_000  # records of the guest's partition, the newest: of 100 partitions 2 million events
READ = 2_000  # at a time: 1 ms
MOST = 200  # events told: as many as a user's past keeps


class KnowsGuests(Protocol):
    """What is asked of `features.FeatureStore` here."""

    def read(self, user_ids: Sequence[str], now_ms: int) -> list[Features]:
        """One `Features` per id, in the order asked."""

    def forgotten(self, partition: int) -> Mapping[str, int]:
        """Deleted users and, of each, the partition's offset then."""


class MergeInvalid(ShortlistError):
    """A merge that cannot be: the message says why; nothing was kept."""


class GuestTaken(ShortlistError):
    """A guest who logged in before, as somebody else."""

    def __init__(self, guest: str) -> None:
        super().__init__(
            f"guest {guest!r} logged in before, as another user, and stays theirs; whoever uses the device "
            "after a login is another guest and needs another id (tracker.signIn of /client.js gives one)"
        )


def merge(user_id: str, guest: str, past: tuple[Told, ...], *, event_id: str, now_ms: int) -> Event:
    """The event by which a guest's past becomes the user's. Raises MergeInvalid for somebody's own guest."""
    if user_id == guest:
        raise MergeInvalid(f"guest: {guest!r} is the user; name the id the events had before the login")
    return Event(
        event_id=event_id,
        user_id=user_id,
        type=EventType.MERGE,
        item_id="",
        ts=now_ms,
        guest=guest,
        past=past,
    )


def login(guest: str, user_id: str, *, event_id: str, now_ms: int) -> Event:
    """The event by which a guest, in their own partition, is somebody from now on."""
    return Event(
        event_id=event_id, user_id=guest, type=EventType.LOGIN, item_id="", ts=now_ms, became=user_id
    )


@dataclass(frozen=True, slots=True)
class Guest:
    """What is known of a guest. past: their last events, oldest first, each once. became: the user they are
    since their first login; empty: nobody's yet. end: the offset up to which this is known."""

    past: tuple[Told, ...]
    became: str
    end: int


def guest_of(log: EventLog, features: KnowsGuests, guest: str, *, now_ms: int) -> Guest:
    """What is known of a guest now. Blocking, for worker threads: up to 20 ms.

    The first login is in their features or, not folded yet, near the end of their partition. A guest is of
    today: only the newest records are looked at."""
    partition = partition_of(guest, log.partitions(EVENTS))
    begin, end = log.begins(EVENTS)[partition], log.ends(EVENTS)[partition]
    begin = max(begin, end - LOOKED_BACK, features.forgotten(partition).get(guest, 0))
    found: dict[str, Told] = {}
    (known,) = features.read([guest], now_ms)
    became = known.became
    for offset, event in _events_of(log, guest, partition, begin, end):
        if event.type is EventType.LOGIN:
            became = became or event.became or ""
        else:  # a repeat is none of another type either
            plain = msgspec.structs.replace(event, extra=None, past=())
            found.setdefault(event.event_id, Told(offset, plain))
    past = [told for told in found.values() if told.event.type not in NOT_TOLD]
    return Guest(tuple(past[-MOST:]), became, end)


def became_within(log: EventLog, guest: str, begin: int, end: int) -> str:
    """Who a guest became in their first login of these offsets; empty: there is none. Blocking."""
    partition = partition_of(guest, log.partitions(EVENTS))
    events = (event for _, event in _events_of(log, guest, partition, begin, end))
    return next((event.became or "" for event in events if event.type is EventType.LOGIN), "")


def _events_of(
    log: EventLog, guest: str, partition: int, begin: int, end: int
) -> Iterator[tuple[int, Event]]:
    named = b'"user_id":' + msgspec.json.encode(guest)  # as the log writes it: others are not decoded
    for record in scan(log, EVENTS, partition, begin, end, at_once=READ):
        if named in record.value and (event := readable(record.value)) is not None and event.user_id == guest:
            yield record.offset, event
