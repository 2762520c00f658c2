"""The event: one thing that one user did, as it stands in the log."""

from enum import StrEnum
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct


class EventType(StrEnum):
    """Everything a user can do, in one place."""

    VIEW = "view"
    CLICK = "click"
    CART = "cart"
    PURCHASE = "purchase"
    RATING = "rating"
    LIKE = "like"
    DISLIKE = "dislike"
    CANCEL = "cancel"
    IMPRESSION = "impression"
    PREFERENCES = "preferences"
    MERGE = "merge"
    LOGIN = "login"


# What is said of no single item, by routes of its own (the survey, the login): `item_id` is empty.
OF_NO_ITEM = frozenset({EventType.PREFERENCES, EventType.MERGE, EventType.LOGIN})

# What counts as an interaction: it moves last items, counts and affinity. An impression is what the
# shop did, a dislike or cancellation takes back.
INTERACTIONS = frozenset(
    {EventType.VIEW, EventType.CLICK, EventType.CART, EventType.PURCHASE, EventType.RATING, EventType.LIKE}
)

# What a merge tells of a guest is what the guest did: not what was shown, and no merge in a merge.
NOT_TOLD = frozenset({EventType.MERGE, EventType.LOGIN, EventType.IMPRESSION})

MAX_ID_BYTES = 1024

Id = Annotated[str, Meta(min_length=1, max_length=MAX_ID_BYTES)]
ItemId = Annotated[str, Meta(max_length=MAX_ID_BYTES)]  # empty for types OF_NO_ITEM

# The last millisecond of the year 9999: beyond it no date library follows.
MAX_TS_MS = 253_402_300_799_999

Ts = Annotated[int, Meta(ge=0, le=MAX_TS_MS)]


class Event(Struct, frozen=True, omit_defaults=True, kw_only=True, gc=False):
    """One event as stored. `ts` is when it happened, in ms since 1970; ids are opaque strings.

    `category` is the item's primary category when the event was accepted, so that folding needs no catalog.
    `categories`, `ratings`: the answers of a `preferences`; both empty: the survey was skipped.
    `guest`, `past`: whose events a `merge` tells again, and those events, oldest first.
    `became`: the user who a guest is from a `login` on.
    """

    event_id: Id
    user_id: Id
    type: EventType
    item_id: ItemId
    ts: Ts
    session_id: str | None = None
    request_id: str | None = None
    position: Annotated[int, Meta(ge=0, le=1_000_000)] | None = None
    quantity: Annotated[float, Meta(gt=0, le=1e6)] | None = None
    price: Annotated[float, Meta(ge=0, le=1e12)] | None = None
    currency: str | None = None
    rating: Annotated[float, Meta(ge=-1e6, le=1e6)] | None = None
    category: str | None = None
    country: str | None = None
    device: str | None = None
    extra: dict[str, Any] | None = None
    categories: tuple[str, ...] = ()
    ratings: dict[str, float] = {}
    guest: str | None = None
    past: tuple["Told", ...] = ()
    became: str | None = None


class Told(Struct, frozen=True, array_like=True):
    """A guest's event as a merge tells it again, and the offset it has in the guest's own partition."""

    offset: Annotated[int, Meta(ge=0)]
    event: Event


def told_again(merge: Event) -> list[tuple[int, Event]]:
    """The guest's events of a merge as the user's own, oldest first, each with its offset at the guest's.

    They keep their event_id: what the user's page sent twice, before and after the login, counts once."""
    return [
        (told.offset, msgspec.structs.replace(told.event, user_id=merge.user_id))
        for told in merge.past
        if told.event.type not in NOT_TOLD
    ]


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Event)


def encode(event: Event) -> bytes:
    """The log's bytes of an event: one JSON object."""
    return _encoder.encode(event)


def readable(data: bytes) -> Event | None:
    """The event in a log record, or None where there is none: one bad record must stop no reader."""
    try:
        return _decoder.decode(data)
    except (ValueError, RecursionError):  # msgspec's errors and UnicodeDecodeError are ValueErrors
        return None


def decode(data: bytes) -> Event:
    """The event in a log record. Raises msgspec.DecodeError when the bytes are none."""
    return _decoder.decode(data)
