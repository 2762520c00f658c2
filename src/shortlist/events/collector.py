"""Takes events in: validates each, enriches the good ones, and answers when the log has them (flow 3)."""

import asyncio
import json
import re
from collections.abc import Callable
from math import isfinite
from typing import Any

import msgspec
from msgspec import Raw, Struct

from shortlist.errors import ShortlistError
from shortlist.events.enrich import Country, Sessions, device, no_country, unique_id
from shortlist.events.event import MAX_ID_BYTES, MAX_TS_MS, OF_NO_ITEM, Event, EventType, encode
from shortlist.events.log import EVENTS, EventLog, Record
from shortlist.ops import telemetry
from shortlist.settings import Settings

MAX_EVENTS = 1_000
MAX_EXTRA_BYTES = 2_048
# Deeper than anyone logs, and far from where a reader's recursion ends.
MAX_EXTRA_DEPTH = 16
MAX_TEXT_BYTES = 256
# Below it a number of seconds, above it of milliseconds: 1e11 s is the year 5138, 1e11 ms is March 1973.
SECONDS_BELOW = 100_000_000_000
# Reading an event takes about 8 µs. Bodies above this (some 60 events) are read on a thread, so that the
# event loop is not held for more than half a millisecond.
LOOP_BYTES = 16_384

_FORBIDDEN = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_TYPES = {kind.value: kind for kind in EventType if kind not in OF_NO_ITEM}
# Fields that mean something here; what belongs to the routes of other types is unknown, and kept as such.
_KNOWN = frozenset(Event.__struct_fields__) - {"categories", "ratings", "guest", "past", "became"}
_PLAIN = _KNOWN - {"extra"}
_read = msgspec.json.Decoder(list[dict[str, Any]]).decode
_split = msgspec.json.Decoder(list[Raw]).decode
_decode = msgspec.json.Decoder(dict[str, Any]).decode


class BodyMalformed(ShortlistError):
    """The body of POST /events is no JSON object and no array of them; nothing was accepted."""


class TooManyEvents(ShortlistError):
    """More events in one request than are taken at once; nothing was accepted."""


class Refused(Struct, frozen=True):
    """One event that was not taken: its index in the request, the path of the bad field, and why."""

    index: int
    field: str
    error: str


class Accepted(Struct, frozen=True):
    """What became of a request's events: how many are durable, and which were refused."""

    accepted: int
    refused: list[Refused]


class _Bad(Exception):
    def __init__(self, field: str, error: str) -> None:
        super().__init__(error)
        self.field, self.error = field, error


class Collector:
    """One per server. `accept` is for the event loop."""

    def __init__(
        self,
        log: EventLog,
        category_of: Callable[[str], str | None],
        settings: Settings,
        *,
        country: Country = no_country,
    ) -> None:
        """category_of: item id → its primary category now, None where it has none or is unknown."""
        self._log = log
        self._category_of = category_of
        self._future_ms = int(settings.log.future_s * 1000)
        self._sessions = Sessions(settings.features.session_gap_s)
        self._country = country

    async def accept(
        self, body: bytes, *, subject: str | None, ip: str, user_agent: str, now_ms: int
    ) -> Accepted:
        """Take one event or an array of up to MAX_EVENTS; return once those that are good are durable.

        subject: whose events the caller may send; None: anybody's (a backend's). ip, user_agent: of the
        request; a backend's say nothing of its users and are not used.
        Raises BodyMalformed, TooManyEvents, and LogUnavailable, with nothing accepted."""
        raws = _events(body)
        if len(body) > LOOP_BYTES:
            good, refused = await asyncio.to_thread(self._judge, raws, subject, ip, user_agent, now_ms)
        else:
            good, refused = self._judge(raws, subject, ip, user_agent, now_ms)
        for one in refused:
            telemetry.EVENTS_REFUSED.labels(one.field if one.field in _KNOWN else "other").inc()
        if good:
            await self._log.append(EVENTS, good)
            telemetry.EVENTS_ACCEPTED.inc(len(good))
        return Accepted(len(good), refused)

    def _judge(
        self, raws: list[Any], subject: str | None, ip: str, user_agent: str, now_ms: int
    ) -> tuple[list[Record], list[Refused]]:
        is_user = subject is not None
        added_device = device(user_agent) if is_user else None
        added_country = self._country(ip) if is_user else None
        good, refused = [], []
        for index, raw in enumerate(raws):
            try:
                event = self._event(_fields(raw), subject, added_device, added_country, now_ms)
            except _Bad as bad:
                refused.append(Refused(index, bad.field, bad.error))
            else:
                good.append(Record(event.user_id, encode(event)))
        return good, refused

    def _event(
        self,
        given: dict[str, Any],
        subject: str | None,
        added_device: str | None,
        added_country: str | None,
        now_ms: int,
    ) -> Event:
        user_id = _user(given.get("user_id"), subject)
        item_id = _id(given.get("item_id"), "item_id")
        kind = _type(given.get("type"))
        ts = _ts(given.get("ts"), now_ms, now_ms + self._future_ms)
        # A user's own word about country and device does not count; a backend relays what it knows.
        readers = _READERS if subject is None else _READERS_OF_USERS
        more = {name: read(value) for name, read in readers if (value := given.get(name)) is not None}
        if subject is not None:
            more["country"], more["device"] = added_country, added_device
        more["category"] = self._category_of(item_id) or _text(given.get("category"), "category")
        if not given.keys() <= _PLAIN:
            more["extra"] = _extra(given)
        event_id = more.pop("event_id", None) or unique_id(now_ms)
        session_id = self._sessions.of(user_id, ts, more.pop("session_id", None))
        return Event(
            event_id=event_id,
            user_id=user_id,
            type=kind,
            item_id=item_id,
            ts=ts,
            session_id=session_id,
            **more,
        )


def _events(body: bytes) -> list[Any]:
    """The events of a body, read if it is small and all can be read, else each for itself: what is wrong
    inside one is that one's own refusal."""
    start = body.lstrip()[:1]
    if start not in (b"[", b"{"):
        raise BodyMalformed("the body must be one JSON event or an array of events")
    array = body if start == b"[" else b"[" + body + b"]"
    try:
        events: list[Any] = _read_at_once(array) or _split(array)
    except RecursionError:
        raise BodyMalformed("the body is nested too deeply; events are flat objects") from None
    except (msgspec.DecodeError, ValueError):
        events = _read_leniently(array)
    if len(events) > MAX_EVENTS:
        raise TooManyEvents(f"{len(events)} events in one request; send at most {MAX_EVENTS} at once")
    return events


def _read_at_once(array: bytes) -> list[dict[str, Any]] | None:
    if len(array) > LOOP_BYTES:
        return None
    try:
        return _read(array)
    except (RecursionError, msgspec.DecodeError, ValueError):
        return None


def _read_leniently(array: bytes) -> list[Any]:
    """Once more with a reader that lets through what one event may have wrong: NaN, half a surrogate pair."""
    try:
        events: list[Any] = json.loads(array)
    except RecursionError:
        raise BodyMalformed("the body is nested too deeply; events are flat objects") from None
    except ValueError as error:
        raise BodyMalformed(f"the body is no JSON: {error}") from None
    return events


def _fields(event: Any) -> dict[str, Any]:
    """The fields of one event, unchecked."""
    try:
        fields = _decode(event) if isinstance(event, Raw) else event
    except RecursionError:
        raise _Bad("", "is nested too deeply; events are flat objects") from None
    except (msgspec.DecodeError, ValueError):
        try:  # numbers out of range: the check of the field names it
            fields = json.loads(bytes(event))
        except (ValueError, RecursionError) as error:
            raise _Bad("", f"cannot be read: {error}") from None
    if not isinstance(fields, dict):
        raise _Bad("", f"must be an object, not {_kind(fields)}")
    if "events" in fields and "type" not in fields:
        raise _Bad("events", "is no field of an event; send the array itself, with no object around it")
    return fields


def _id(value: Any, field: str) -> str:
    if type(value) is not str:
        if value is None:
            raise _Bad(field, "is missing")
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise _Bad(field, f"must be text or a number, not {_kind(value)}")
        value = _decimal(value, field)
    if not value:
        raise _Bad(field, "must not be empty")
    return _clean(value, field, MAX_ID_BYTES)


def _decimal(value: float, field: str) -> str:
    try:
        return str(value) if isfinite(value) else ""
    except (ValueError, OverflowError):  # thousands of digits
        raise _Bad(field, f"is a number too long for an id; at most {MAX_ID_BYTES} bytes are taken") from None


def _optional_id(value: Any, field: str) -> str | None:
    # Clients that have no session send "" as often as nothing.
    return None if value is None or value == "" else _id(value, field)


def _text(value: Any, field: str) -> str | None:
    if value is None or value == "":
        return None
    if type(value) is not str:
        raise _Bad(field, f"must be text, not {_kind(value)}")
    return _clean(value, field, MAX_TEXT_BYTES)


def _clean(value: str, field: str, limit: int) -> str:
    # Nothing forbidden is printable, and to ask that takes a sixth of a search.
    if not value.isprintable() and (bad := _FORBIDDEN.search(value)) is not None:
        what = "half a character (the lone surrogate" if bad[0] >= "\ud800" else "a control character (namely"
        raise _Bad(field, f"holds {what} U+{ord(bad[0]):04X}) at {bad.start()}")
    # Characters take one to four bytes: only text in between has to be encoded to know.
    if len(value) * 4 > limit and (size := len(value.encode())) > limit:
        raise _Bad(field, f"has {size} bytes, at most {limit} are taken")
    return value


def _user(value: Any, subject: str | None) -> str:
    if value is None and subject is not None:
        return subject
    user_id = _id(value, "user_id")
    if subject is not None and user_id != subject:
        raise _Bad("user_id", "is another user; this token sends its own user's events only")
    return user_id


def _type(value: Any) -> EventType:
    if value is None:
        raise _Bad("type", "is missing")
    kind = _TYPES.get(value) or _TYPES.get(value.lower()) if isinstance(value, str) else None
    if kind is None:
        shown = repr(value)[:40] if isinstance(value, str) else _kind(value)
        raise _Bad("type", f"is {shown}, not one of {', '.join(_TYPES)}")
    return kind


def _ts(value: Any, now_ms: int, latest_ms: int) -> int:
    if value is None:
        return now_ms
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _Bad("ts", f"must be a number of milliseconds (or seconds) since 1970, not {_kind(value)}")
    if not 0 < value <= MAX_TS_MS:
        raise _Bad("ts", "must be a time after 1970 and before the year 10000, in ms or seconds")
    ms = round(value * 1000) if value < SECONDS_BELOW else int(value)
    if ms > latest_ms:
        raise _Bad(
            "ts", f"lies {(ms - now_ms) / 1000:.0f} s ahead of the server's clock (log.future_s allows less)"
        )
    return ms


def _whole(value: Any, field: str, high: int) -> int | None:
    if value is None:
        return None
    if type(value) is not int or not 0 <= value <= high:
        raise _Bad(field, f"must be a whole number from 0 to {high}")
    return value


def _number(value: Any, field: str, low: float, high: float, *, above: bool = False) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _Bad(field, f"must be a number, not {_kind(value)}")
    if not low <= value <= high or (above and value == low):
        raise _Bad(field, f"must be {'above' if above else 'at least'} {low:g} and at most {high:g}")
    return float(value)


# What an event may have besides, by field; most have little of it.
_READERS_OF_USERS: tuple[tuple[str, Callable[[Any], Any]], ...] = (
    ("event_id", lambda value: _id(value, "event_id")),
    ("session_id", lambda value: _optional_id(value, "session_id")),
    ("request_id", lambda value: _optional_id(value, "request_id")),
    ("position", lambda value: _whole(value, "position", 1_000_000)),
    ("quantity", lambda value: _number(value, "quantity", 0, 1e6, above=True)),
    ("price", lambda value: _number(value, "price", 0, 1e12)),
    ("currency", lambda value: _text(value, "currency")),
    ("rating", lambda value: _number(value, "rating", -1e6, 1e6)),
)
_READERS = (
    *_READERS_OF_USERS,
    ("country", lambda value: _text(value, "country")),
    ("device", lambda value: _text(value, "device")),
)


def _extra(given: dict[str, Any]) -> dict[str, Any] | None:
    """Fields that we know nothing of, kept as they are."""
    unknown = given.keys() - _KNOWN
    named = given.get("extra")
    if not unknown and not named:
        return None
    if named is not None and not isinstance(named, dict):
        raise _Bad("extra", f"must be an object, not {_kind(named)}")
    extra = {**(named or {}), **{key: value for key, value in given.items() if key in unknown}}
    if _depth(extra) > MAX_EXTRA_DEPTH:
        raise _Bad("extra", f"unknown fields are nested more than {MAX_EXTRA_DEPTH} deep")
    try:
        size = len(msgspec.json.encode(extra))
    except UnicodeEncodeError:
        raise _Bad("extra", "holds half a character (a lone surrogate) in an unknown field") from None
    if size > MAX_EXTRA_BYTES:
        raise _Bad("extra", f"unknown fields take {size} bytes, at most {MAX_EXTRA_BYTES} are kept")
    return extra


def _depth(value: Any) -> int:
    """How deep objects and arrays are nested, counted no further than matters."""
    level, depth = [value], 0
    while level and depth <= MAX_EXTRA_DEPTH:
        depth += 1
        level = [
            inner
            for outer in level
            for inner in (outer.values() if isinstance(outer, dict) else outer)
            if isinstance(inner, dict | list)
        ]
    return depth


def _kind(value: Any) -> str:
    """What JSON calls it."""
    names = {bool: "a boolean", dict: "an object", list: "an array", str: "text", type(None): "null"}
    return names.get(type(value), "a number")
