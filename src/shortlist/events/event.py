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


# What counts as an interaction: it moves last items, counts and affinity. An impression is what the
# shop did, a dislike or cancellation takes back.
INTERACTIONS = frozenset(
    {EventType.VIEW, EventType.CLICK, EventType.CART, EventType.PURCHASE, EventType.RATING, EventType.LIKE}
)

MAX_ID_BYTES = 1024

Id = Annotated[str, Meta(min_length=1, max_length=MAX_ID_BYTES)]

# The last millisecond of the year 9999: beyond it no date library follows.
MAX_TS_MS = 253_402_300_799_999

Ts = Annotated[int, Meta(ge=0, le=MAX_TS_MS)]


class Event(Struct, frozen=True, omit_defaults=True, kw_only=True):
    """One event as stored. `ts` is when it happened, in ms since 1970; ids are opaque strings.

    `category` is the item's primary category when the event was accepted, so that folding needs no catalog.
    """

    event_id: Id
    user_id: Id
    type: EventType
    item_id: Id
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
