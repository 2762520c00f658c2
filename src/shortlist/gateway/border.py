"""What is checked of every request before anything reads it: size, encoding, address, request id."""

import asyncio
import re
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from shortlist.gateway.reading import BadRequest, BodyTooLarge, NotJson, an_id, decoded

Headers = Mapping[bytes, bytes]
Message = dict[str, Any]
Receive = Any
Send = Any

SANE_REQUEST_ID = re.compile(rb"[A-Za-z0-9._:-]{1,64}\Z")
MAX_ADDRESS_BYTES = 32_768  # path and query: an exclude list of a few hundred ids is the longest there is


def request_id_of(given: bytes | None, made: str) -> str:
    """The caller's own request id where it is sane (short, nothing that breaks a log line), else `made`."""
    return given.decode("ascii") if given is not None and SANE_REQUEST_ID.match(given) else made


def check_address(path: bytes, query: bytes) -> None:
    """Raises BadRequest for a path or query that is too long, no UTF-8, or holds control characters."""
    if len(path) + len(query) > MAX_ADDRESS_BYTES:
        raise BadRequest(f"the address has more than {MAX_ADDRESS_BYTES} bytes; use POST for long lists")
    for part, name in ((path, "path"), (query, "query")):
        if b"%" in part or not part.isascii() or not part.isalnum():
            _check_text(decoded(part, name), name)


def _check_text(text: str, name: str) -> None:
    for start in range(
        0, len(text), 256
    ):  # an_id knows what no id may hold; the pieces are only about length
        an_id(text[start : start + 256], name)


def check_body(headers: Headers, max_bytes: int) -> None:
    """Raises BodyTooLarge or NotJson before a byte of the body is read.

    Compressed bodies are not read at all: a bomb cannot go off."""
    encoding = headers.get(b"content-encoding", b"identity").strip().lower()
    if encoding not in (b"identity", b""):
        shown = encoding[:50].decode("latin-1")
        raise NotJson(f"Content-Encoding {shown!r} is not read here; send the body uncompressed")
    length = headers.get(b"content-length", b"0")
    if not length.isdigit() or len(length) > 18:
        raise BadRequest("is no number", "Content-Length")
    if int(length) > max_bytes:
        raise BodyTooLarge(
            f"the body has {int(length)} bytes, at most {max_bytes} are taken; send it in parts"
        )


def counted(receive: Receive, max_bytes: int) -> Receive:
    """`receive` that raises BodyTooLarge once more than `max_bytes` came, whatever Content-Length said."""
    seen = 0

    async def limited() -> Message:
        nonlocal seen
        message: Message = await receive()
        seen += len(message.get("body", b""))
        if seen > max_bytes:
            if message.get("more_body", False):
                await discard(receive)
            raise BodyTooLarge(f"the body has more than {max_bytes} bytes; send it in parts")
        return message

    return limited


async def discard(receive: Receive, most_bytes: int = 64_000_000, timeout_s: float = 5.0) -> None:
    """Read a refused body and keep nothing of it, so that the client gets to read why.

    An answer before the body was read ends the connection with a reset, in which the answer is lost."""
    seen = 0
    with suppress(TimeoutError):
        async with asyncio.timeout(timeout_s):
            while seen <= most_bytes:
                message = await receive()
                if message["type"] != "http.request" or not message.get("more_body", False):
                    return
                seen += len(message.get("body", b""))


class Cors:
    """Which other origins' pages may call the API. Nobody's cookies are involved: tokens are sent by hand."""

    def __init__(self, origins: str) -> None:
        """origins: with spaces between, `*` for any, empty for none."""
        self.origins = frozenset(origin.rstrip("/").encode() for origin in origins.split())
        self.is_on = bool(self.origins)

    def allows(self, origin: bytes | None) -> bool:
        """Whether pages of this origin may read answers."""
        return origin is not None and (b"*" in self.origins or origin in self.origins)

    def headers(self, origin: bytes) -> list[tuple[bytes, bytes]]:
        """What an allowed answer carries."""
        return [
            (b"access-control-allow-origin", origin),
            (b"access-control-expose-headers", b"x-request-id, retry-after"),
            (b"vary", b"origin"),
        ]

    def preflight(self, origin: bytes) -> list[tuple[bytes, bytes]]:
        """What the browser wants to know before it sends a request with a token."""
        return [
            *self.headers(origin),
            (b"access-control-allow-methods", b"GET, POST, PATCH, DELETE"),
            (b"access-control-allow-headers", b"authorization, content-type, x-request-id"),
            (b"access-control-max-age", b"600"),
        ]
