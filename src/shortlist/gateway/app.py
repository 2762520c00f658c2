"""The ASGI application: what most of the traffic is by `quick`, everything else by Litestar (flow 1)."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any

import msgspec
import structlog
from granian._granian import RSGIHTTPProtocol as HTTPProtocol
from granian._granian import RSGIProtocolClosed as ProtocolClosed
from granian.rsgi import Scope as RsgiScope
from litestar import Litestar, Request, Response, get
from litestar.types import ControllerRouterHandler

from shortlist.errors import ShortlistError
from shortlist.gateway import border
from shortlist.gateway.events import event_routes
from shortlist.gateway.explanations import explanation_routes
from shortlist.gateway.exploration import exploration_routes
from shortlist.gateway.gate import Gate
from shortlist.gateway.items import item_routes
from shortlist.gateway.onboarding import onboarding_routes
from shortlist.gateway.openapi import document
from shortlist.gateway.operations import operation_routes
from shortlist.gateway.problems import Told, tell
from shortlist.gateway.quick import EVENTS_PATH, HIT_PATH, Quick, encoded
from shortlist.gateway.routing import json_bytes, says
from shortlist.gateway.rsgi import address, bridge
from shortlist.gateway.rules import rule_routes
from shortlist.gateway.shop import Shop
from shortlist.gateway.slates import slate_routes
from shortlist.gateway.storefront import page_routes, token_routes
from shortlist.gateway.users import user_routes
from shortlist.gateway.worker import Rest
from shortlist.ops import telemetry
from shortlist.ops.health import Health
from shortlist.serving.slate import RequestIds
from shortlist.settings import Settings

log = structlog.get_logger()

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]
Work = Callable[[], Awaitable[bytes]]

NO_STORE = (b"cache-control", b"no-store")
CLOSE = (b"connection", b"close")
HIT_HEADERS = ((b"content-type", b"application/json"), NO_STORE, (b"x-content-type-options", b"nosniff"))
HIT_HEADERS_TEXT = tuple((name.decode(), value.decode()) for name, value in HIT_HEADERS)
CLOSE_TEXT = ("connection", "close")


def build(shop: Shop, settings: Settings) -> "Gateway":
    """The application over one shop."""
    gate = Gate(shop.authority, shop.limiter, settings.limits)
    health = Health(shop.checks, shop.warnings)
    routes = [
        *slate_routes(shop, gate, settings.serving),
        *event_routes(shop, gate),
        *onboarding_routes(shop, gate),
        *item_routes(shop, gate),
        *user_routes(shop, gate),
        *explanation_routes(shop, gate),
        *exploration_routes(shop, gate),
        *rule_routes(shop, gate),
        *operation_routes(health),
        *page_routes(shop),
    ]
    if settings.server.mode == "development" and shop.secret is not None:
        routes += token_routes(shop.secret, settings.auth)
    return Gateway(shop, settings, gate, health, routes)


class Gateway:
    """The ASGI callable, and quicker under Granian (`at_once`). `drain` before stopping the server."""

    def __init__(
        self,
        shop: Shop,
        settings: Settings,
        gate: Gate,
        health: Health,
        routes: list[ControllerRouterHandler],
    ) -> None:
        self.gate, self.health = gate, health
        self._max_body = settings.server.max_body_bytes
        self._quick = Quick(shop, gate, self._max_body)
        self._cors = border.Cors(settings.server.cors_origins)
        self._request_id = RequestIds()
        self._in_flight, self._idle = 0, asyncio.Event()
        self.litestar = Litestar(
            [*routes, self._reference()],
            exception_handlers={Exception: _problem, ShortlistError: _problem},
            openapi_config=None,
            logging_config=None,
            request_max_body_size=None,  # counted by border.counted
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await _other(scope["type"], receive, send)
            return
        if scope["path"] == HIT_PATH and scope["method"] == "GET":
            headers = dict(scope["headers"])
            if not (self._cors.is_on and b"origin" in headers):
                query = scope["query_string"].decode("latin-1")
                request_id = border.request_id_of(headers.get(b"x-request-id"), self._request_id())
                found = self._quick.hit(query, headers.get(b"authorization"), request_id)
                if isinstance(found, bytes):
                    goodbye = (CLOSE,) if self._is_last(scope["http_version"]) else ()
                    named = (b"x-request-id", request_id.encode())
                    start = {"type": "http.response.start", "status": 200}
                    await send({**start, "headers": [*HIT_HEADERS, named, *goodbye]})
                    await send({"type": "http.response.body", "body": found})
                    return
                if found is not None:
                    told = await self._quickly(HIT_PATH, request_id, 200, self._quick.miss(found, request_id))
                    is_last = self._is_last(scope["http_version"])
                    await _Answer(send, request_id, is_head=False, is_last=is_last).tell(told)
                    return
        await self._long_way(scope, receive, send)

    def at_once(self, scope: RsgiScope, proto: HTTPProtocol) -> Rest | None:
        """Answer a hit on the thread that Granian brings it on; else what is left to do on the event loop.

        See `worker.AtOnce`."""
        headers = scope.headers
        if self._cors.is_on and "origin" in headers:
            return partial(bridge, self._long_way, scope, proto)
        given, request_id = headers.get("x-request-id"), self._request_id()
        if given is not None:
            request_id = border.request_id_of(encoded(given), request_id)
        if scope.path == HIT_PATH and scope.method == "GET":
            found = self._quick.hit(scope.query_string, encoded(headers.get("authorization")), request_id)
            if isinstance(found, bytes):
                named = [*HIT_HEADERS_TEXT, ("x-request-id", request_id)]
                if self.health.is_draining:
                    named += self._goodbye(scope)
                proto.response_bytes(200, named, found)
                return None
            if found is not None:
                work: Work = partial(self._quick.miss, found, request_id)
                return partial(self._answer, scope, proto, request_id, 200, work)
        elif scope.path == EVENTS_PATH and scope.method == "POST" and not scope.query_string:
            sender = self._quick.sender(headers)
            if sender is not None:
                ip, agent = address(scope.client)[0], headers.get("user-agent")
                work = partial(self._quick.events, sender, partial(_body, proto), ip, agent or "")
                return partial(self._answer, scope, proto, request_id, 202, work)
        return partial(bridge, self._long_way, scope, proto)

    async def _answer(
        self, scope: RsgiScope, proto: HTTPProtocol, request_id: str, status: int, work: Work
    ) -> None:
        told = await self._quickly(scope.path, request_id, status, work())
        with suppress(ProtocolClosed):  # the client has gone
            self._reply(scope, proto, request_id, told)

    def _reply(self, scope: RsgiScope, proto: HTTPProtocol, request_id: str, told: Told) -> None:
        headers = [(name.decode(), value.decode()) for name, value in told.headers]
        if told.status >= 400:
            headers.append(("x-content-type-options", "nosniff"))
        headers += [("x-request-id", request_id), *self._goodbye(scope)]
        proto.response_bytes(told.status, headers, told.body)

    def _goodbye(self, scope: RsgiScope) -> list[tuple[str, str]]:
        return [CLOSE_TEXT] if self._is_last(scope.http_version) else []

    async def _quickly(self, route: str, request_id: str, status: int, work: Awaitable[bytes]) -> Told:
        """The answer of `work`, or the problem document of what it raised."""
        structlog.contextvars.bind_contextvars(request_id=request_id)
        with self._counted():
            try:
                told = Told(status=status, headers=[*HIT_HEADERS], body=await work)
            except Exception as error:  # its problem document is the answer
                told = _told(error, request_id, route)
            finally:
                structlog.contextvars.unbind_contextvars("request_id")
        telemetry.REQUESTS.labels(route, f"{told.status // 100}xx").inc()
        return told

    @contextmanager
    def _counted(self) -> Iterator[None]:
        self._in_flight += 1
        try:
            yield
        finally:
            self._in_flight -= 1
            if self._in_flight == 0:
                self._idle.set()

    async def _long_way(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = dict(scope["headers"])
        request_id = border.request_id_of(headers.get(b"x-request-id"), self._request_id())
        is_last = self._is_last(scope.get("http_version", "1.1"))
        answer = _Answer(send, request_id, is_head=scope["method"] == "HEAD", is_last=is_last)
        origin = headers.get(b"origin")
        if self._cors.is_on and origin is not None and self._cors.allows(origin):
            answer.extra += self._cors.headers(origin)
            if scope["method"] == "OPTIONS" and b"access-control-request-method" in headers:
                await answer.tell(Told(status=204, headers=self._cors.preflight(origin)[3:], body=b""))
                return
        raw_path = scope.get("raw_path") or scope["path"].encode()
        structlog.contextvars.bind_contextvars(request_id=request_id)
        with self._counted():
            try:
                border.check_address(raw_path, scope["query_string"])
                border.check_body(headers, self._max_body)
                inner = dict(scope)
                # Left encoded, so that an id may hold a slash; the routes decode it.
                inner["path"] = raw_path.decode("latin-1")
                inner["method"] = "GET" if scope["method"] == "HEAD" else scope["method"]
                inner["state"] = {"request_id": request_id, "caller": None}
                inner["headers"] = [*scope["headers"]]
                await self.litestar(inner, border.counted(receive, self._max_body), answer.send)  # type: ignore[arg-type]  # an ASGI scope is a plain mapping
                route = str(inner.get("path_template", "unknown"))
            except ShortlistError as error:
                route = "refused"
                await border.discard(receive)
                await answer.tell(tell(error, request_id))
            finally:
                structlog.contextvars.unbind_contextvars("request_id")
        telemetry.REQUESTS.labels(route, f"{answer.status // 100}xx").inc()

    def _is_last(self, http_version: str) -> bool:
        """Whether the connection should be closed after this answer: HTTP/2 has its own goodbye."""
        return self.health.is_draining and http_version.startswith("1")

    async def drain(self, timeout_s: float) -> bool:
        """Say not ready and wait for requests in flight; whether all finished in time."""
        self.health.is_draining = True
        if self._in_flight:
            self._idle.clear()
            try:
                await asyncio.wait_for(self._idle.wait(), timeout_s)
            except TimeoutError:
                log.warning("drained too slowly", in_flight=self._in_flight, timeout_s=timeout_s)
                return False
        return True

    def _reference(self) -> ControllerRouterHandler:
        @get("/docs/openapi.json", **says(is_page=True))
        async def openapi() -> Response[bytes]:
            return json_bytes(self.openapi)

        return openapi

    @property
    def openapi(self) -> bytes:
        """The API reference as JSON."""
        return msgspec.json.encode(document(self.litestar))


class _Answer:
    """What goes out: every answer gets its request id and the headers that all have."""

    def __init__(self, send: Send, request_id: str, *, is_head: bool, is_last: bool) -> None:
        self._send, self._is_head = send, is_head
        self.status = 0
        self.extra = [(b"x-request-id", request_id.encode())]
        if is_last:
            self.extra.append(CLOSE)

    async def send(self, message: Any) -> None:
        """Pass a message of the framework on."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = [*message["headers"], *self.extra]
            names = {name for name, _ in headers}
            if b"x-content-type-options" not in names:
                headers.append((b"x-content-type-options", b"nosniff"))
            if b"cache-control" not in names:
                headers.append(NO_STORE)
            message = {**message, "headers": headers}
        elif self._is_head:
            message = {**message, "body": b""}
        await self._send(message)

    async def tell(self, told: Told) -> None:
        """Send a ready answer."""
        length = (b"content-length", str(len(told.body)).encode())
        start = {"type": "http.response.start", "status": told.status, "headers": [*told.headers, length]}
        await self.send(start)
        await self.send({"type": "http.response.body", "body": told.body})


def _problem(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    """Any error of a route as its problem document; what nobody foresaw is logged and counted."""
    told = _told(error, request.scope["state"]["request_id"], request.scope.get("path_template"))
    headers = {name.decode(): value.decode() for name, value in told.headers}
    return Response(
        told.body, status_code=told.status, headers=headers, media_type=headers.pop("content-type")
    )


def _told(error: Exception, request_id: str, route: str | None) -> Told:
    told = tell(error, request_id)
    if told.status == 401:
        telemetry.TOKENS_REFUSED.inc()
    if told.status >= 500:
        telemetry.FAILURES.labels("gateway").inc()
        log.error("request failed", status=told.status, route=route, exc_info=error)
    return told


async def _body(proto: Any) -> bytes:
    """The whole body; nothing where the client went away."""
    try:
        body: bytes = await proto()
    except ProtocolClosed:
        return b""
    return body


async def _other(kind: str, receive: Receive, send: Send) -> None:
    """Lifespan (nothing to open here: the composition root does) and web sockets (there are none)."""
    if kind == "lifespan":
        while (message := await receive())["type"] != "lifespan.shutdown":
            await send({"type": f"{message['type']}.complete"})
        await send({"type": "lifespan.shutdown.complete"})
    elif kind == "websocket":
        await receive()
        await send({"type": "websocket.close", "code": 1000})
