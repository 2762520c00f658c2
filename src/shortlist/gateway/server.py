"""Listening: the application on a port, in this process and on this event loop, with a clean end."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, Protocol

import structlog
from granian._granian import SocketHolder
from granian.constants import Interfaces
from granian.http import HTTP1Settings, HTTP2Settings
from granian.server.embed import Server

from shortlist.errors import ShortlistError
from shortlist.gateway.worker import at_once_worker

log = structlog.get_logger()

BACKLOG = 1024
# A request's headers: a token has a few hundred bytes, proxies pass 8 kB on. Slow ones are cut off.
HTTP1 = HTTP1Settings(header_read_timeout=10_000, max_buffer_size=64 * 1024)
HTTP2 = HTTP2Settings(max_headers_size=64 * 1024, max_concurrent_streams=256, keep_alive_interval=30_000)
STOP_S = 5.0
# While draining each answer says `connection: close`: kept-alive connections end after an answer, not under
# a request that was just sent. This long for those that are asked on once or more in a quarter of a second.
LINGER_S = 0.25


class PortTaken(ShortlistError):
    """The address cannot be listened on."""


class Draining(Protocol):
    """An ASGI application that can come to an end; one that is also `worker.AtOnce` is called by that."""

    def __call__(self, scope: Any, receive: Any, send: Any) -> Awaitable[None]:
        """Answer one request."""

    async def drain(self, timeout_s: float) -> bool:
        """Take nothing new and finish what is under way."""


class _Embedded(Server):
    """Granian on a socket of ours: on its own (SO_REUSEPORT) two servers would share a port unnoticed."""

    def __init__(self, app: Any, listener: socket.socket, **options: Any) -> None:
        address, port = listener.getsockname()[:2]
        super().__init__(app, address=address, port=port, **options)
        self._descriptor = listener.detach()  # the holder below closes it

    def _init_shared_socket(self) -> None:
        holder: Any = SocketHolder  # its stub lacks the arguments
        self._shd = holder(self._descriptor, False, BACKLOG)
        self._sfd: Any = self._descriptor


def bound(host: str, port: int) -> socket.socket:
    """A socket for `listening`, the address taken and nobody let in yet. port: 0 takes a free one.

    Raises PortTaken."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.setblocking(False)
    except OSError as error:
        listener.close()
        raise _taken(host, port, error) from None
    return listener


def _taken(host: str, port: int, error: OSError) -> PortTaken:
    return PortTaken(
        f"cannot listen on {host}:{port}: {error.strerror}; stop what listens there or set server.port"
    )


@asynccontextmanager
async def listening(
    app: Draining, listener: socket.socket, *, drain_s: float, on_failure: Callable[[], None] | None = None
) -> AsyncIterator[str]:
    """Serve `app` over HTTP/1.1 and HTTP/2 (without TLS: by prior knowledge) while the block runs.

    Yields the address. At the end the application drains, then connections are closed.
    listener: as `bound` gives it; closed at the end. on_failure: called should the server end by itself.
    Raises PortTaken when another who had bound the address, too, listened first.
    """
    host, port = listener.getsockname()[:2]
    try:
        listener.listen(BACKLOG)
    except OSError as error:
        raise _taken(host, port, error) from None
    address = f"http://{f'[{host}]' if ':' in host else host}:{port}"
    is_at_once = hasattr(app, "at_once")
    server = _Embedded(
        app,
        listener,
        interface=Interfaces.RSGI if is_at_once else Interfaces.ASGINL,
        log_enabled=False,
        websockets=False,
        backlog=BACKLOG,
        http1_settings=HTTP1,
        http2_settings=HTTP2,
    )
    serving = asyncio.create_task(server.serve(at_once_worker if is_at_once else None))
    if on_failure is not None:
        serving.add_done_callback(lambda _: on_failure())
    try:
        yield address
    finally:
        await app.drain(drain_s)
        await asyncio.sleep(min(LINGER_S, drain_s))
        await app.drain(drain_s)
        server.stop()  # type: ignore[no-untyped-call]  # granian has no annotation there
        done, _ = await asyncio.wait({serving}, timeout=STOP_S)
        if not done:
            log.warning("server did not stop in time", timeout_s=STOP_S)
            serving.cancel()
