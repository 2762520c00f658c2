"""ASGI over Granian's own interface (RSGI), for everything that is not quick.

A hit over RSGI is one call with a ready body, where ASGI takes a scope of all headers and two awaited
messages; and it needs no event loop (`worker`, decision 0006).
"""

from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import quote

from granian._granian import RSGIHTTPProtocol as HTTPProtocol
from granian._granian import RSGIProtocolClosed as ProtocolClosed
from granian.rsgi import Scope as RsgiScope

Asgi = Callable[[Any, Any, Any], Awaitable[None]]

# Addresses whose rest is one id, slashes and all: RSGI gives the path decoded, so the id is encoded again.
ID_ADDRESSES = ("/items/", "/users/", "/explanations/", "/images/", "/problems/")
MERGE = "/merge"


def raw_path(path: str, method: str = "GET") -> bytes:
    """The path percent-encoded, an id in it as one segment; what was no UTF-8 becomes so again.

    >>> raw_path("/items/a/b ☕"), raw_path("/users/a/b/merge", "POST")
    (b'/items/a%2Fb%20%E2%98%95', b'/users/a%2Fb/merge')
    """
    for start in ID_ADDRESSES:
        if path.startswith(start):
            # Nobody posts to a user, so what is posted to an id that ends like this is meant for its merges.
            end = MERGE if start == "/users/" and method == "POST" and path.endswith(MERGE) else ""
            encoded = start + quote(path[len(start) :].removesuffix(end), safe="") + end
            break
    else:
        encoded = quote(path)
    return encoded.replace("%EF%BF%BD", "%FF").encode()


def asgi_scope(scope: RsgiScope) -> dict[str, Any]:
    """The request as ASGI describes it."""
    headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in scope.headers.items()]
    if scope.authority and "host" not in scope.headers:  # HTTP/2 has it elsewhere
        headers.append((b"host", scope.authority.encode("latin-1")))
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": scope.http_version,
        "method": scope.method,
        "scheme": scope.scheme,
        "path": scope.path,
        "raw_path": raw_path(scope.path, scope.method),
        "query_string": scope.query_string.encode("latin-1", "replace"),
        "root_path": "",
        "headers": headers,
        "client": address(scope.client),
        "server": address(scope.server),
        "state": {},
    }


def address(text: str) -> tuple[str, int]:
    """Host and port of a peer as RSGI writes them."""
    host, _, port = text.rpartition(":")
    return host.strip("[]"), int(port) if port.isdigit() else 0


async def bridge(app: Asgi, scope: RsgiScope, proto: HTTPProtocol) -> None:
    """Answer an RSGI request by an ASGI application."""
    exchange = _Exchange(proto)
    await app(asgi_scope(scope), exchange.receive, exchange.send)


class _Exchange:
    """One request's messages, carried between the two."""

    def __init__(self, proto: HTTPProtocol) -> None:
        self._proto: Any = proto
        self._chunks = aiter(self._proto)
        self._is_read = False
        self._status, self._headers = 500, list[tuple[str, str]]()
        self._stream: Any = None

    async def receive(self) -> dict[str, Any]:
        """The next piece of the body; after it, wait for the client to go."""
        if self._is_read:
            await self._proto.client_disconnect()
            return {"type": "http.disconnect"}
        try:
            return {"type": "http.request", "body": await anext(self._chunks), "more_body": True}
        except StopAsyncIteration:
            self._is_read = True
            return {"type": "http.request", "body": b"", "more_body": False}
        except ProtocolClosed:
            return {"type": "http.disconnect"}

    async def send(self, message: dict[str, Any]) -> None:
        """Pass a message of the answer on; a whole body goes in one call."""
        if message["type"] == "http.response.start":
            self._status = message["status"]
            self._headers = [(n.decode("latin-1"), v.decode("latin-1")) for n, v in message["headers"]]
            return
        body, is_more = message.get("body", b""), message.get("more_body", False)
        if is_more and self._stream is None:
            self._stream = self._proto.response_stream(self._status, self._headers)
        if self._stream is not None:
            await self._stream.send_bytes(body)
        elif body:
            self._proto.response_bytes(self._status, self._headers, bytes(body))
        else:
            self._proto.response_empty(self._status, self._headers)
