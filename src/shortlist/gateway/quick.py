"""What most of the traffic is, answered before the framework: slates at hand, slates to compute, events.

The framework's way costs about 1 ms a request beside other work, a hit's own Python 5 µs (flow 1). Whatever
cannot be answered here, for any reason, goes that way, where every refusal gets its problem document.
`hit` and `sender` are called on the server's thread (`worker`), the rest on the event loop.
"""

import re
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from time import perf_counter
from typing import Any, Protocol

import msgspec

from shortlist.gateway.auth import Caller
from shortlist.gateway.events import taken
from shortlist.gateway.gate import Gate
from shortlist.gateway.limits import Limit
from shortlist.gateway.shop import Shop
from shortlist.ops import telemetry
from shortlist.serving.slate import Ask

# The default slate of an id that needs no decoding; every other form goes the long way.
HIT_PATH, EVENTS_PATH = "/recommendations", "/events"
PLAIN_QUERY = re.compile(r"user_id=([^&+%;\x00-\x20\x7f-\U0010ffff]{1,1024})\Z")
PLAIN_TYPES = ("application/json", "application/json; charset=utf-8", "text/plain;charset=UTF-8")


class Headers(Protocol):
    """A request's headers by name, in small letters."""

    def get(self, key: str, default: Any = None) -> str | None:
        """The value, or None."""

    def __contains__(self, key: str) -> bool: ...


def encoded(value: str | None) -> bytes | None:
    """A header's value as ASGI has it."""
    return value.encode("latin-1") if value is not None else None


@dataclass(frozen=True, slots=True)
class Admitted:
    """A plain request for a slate that is not at hand: whose, and who asks, counted against their limit."""

    user_id: str
    caller: Caller


class Quick:
    """Tokens seen before, limits that need no waiting, requests of the plainest form."""

    def __init__(self, shop: Shop, gate: Gate, max_body: int) -> None:
        self._shop, self._gate, self._max_body = shop, gate, max_body
        self._instant, self._known = shop.serving.instant, shop.authority.known
        self._take, self._slates = shop.limiter.take_at_once, gate.slates
        self._are_services_exempt = gate.are_services_exempt

    def hit(self, query: str, authorization: bytes | None, request_id: str) -> bytes | Admitted | None:
        """The slate of a plain request, if it is at hand; else who may have it; None for the long way."""
        started = perf_counter()
        plain = PLAIN_QUERY.match(query)
        caller = self._known(authorization)
        if plain is None or caller is None:  # a token never seen before, or none that holds
            return None
        user_id = plain[1]
        if not caller.is_service:
            if caller.subject != user_id or self._take(self._slates, user_id, started) != 0.0:
                return None
        elif not self._are_services_exempt and self._take(self._slates, caller.subject, started) != 0.0:
            return None
        body = self._instant(user_id, request_id)
        if body is None:
            return Admitted(user_id, caller)
        telemetry.HIT.observe(perf_counter() - started)
        return body

    async def miss(self, admitted: Admitted, request_id: str) -> bytes:
        """The slate, computed. Raises ShortlistError."""
        return (await self._shop.serving.recommend(Ask(user_id=admitted.user_id, request_id=request_id))).body

    def sender(self, headers: Headers) -> Caller | None:
        """Who sends events in a plain request, counted against their limit; None for the long way."""
        length, kind = headers.get("content-length"), headers.get("content-type")
        if (
            length is None
            or not length.isdigit()
            or int(length) > self._max_body
            or (kind is not None and kind not in PLAIN_TYPES)
            or "content-encoding" in headers
        ):
            return None
        caller = self._known(encoded(headers.get("authorization")))
        if caller is None or not self._may(self._gate.events, caller):
            return None
        return caller

    async def events(
        self, caller: Caller, read: Callable[[], Awaitable[bytes]], ip: str, user_agent: str
    ) -> bytes:
        """Take events; the answer once they are durable. Raises ShortlistError."""
        body, now_ms = await read(), time.time_ns() // 1_000_000
        return msgspec.json.encode(
            await taken(self._shop, caller, body, ip=ip, user_agent=user_agent, now_ms=now_ms)
        )

    def _may(self, limit: Limit, caller: Caller) -> bool:
        if caller.is_service and self._are_services_exempt:
            return True
        return self._take(limit, caller.subject, perf_counter()) == 0.0
