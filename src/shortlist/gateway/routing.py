"""How a route says what it reads and answers, once: for the request and for the API reference alike."""

from collections.abc import Awaitable, Callable
from typing import Any

from litestar import Response
from litestar.connection import ASGIConnection
from litestar.di import Provide
from litestar.handlers import BaseRouteHandler
from msgspec import UNSET, Struct

from shortlist.gateway.reading import reads_body, reads_query

JSON = "application/json"

Guard = Callable[[ASGIConnection[Any, Any, Any, Any], BaseRouteHandler], Awaitable[None]]


def says(
    *,
    guard: Guard | None = None,
    query: type[Struct] | None = None,
    body: Any = UNSET,
    answer: Any = None,
    **more: Any,
) -> dict[str, Any]:
    """Keyword arguments of a Litestar route that reads `query` and `body` and answers `answer`.

    The route gets them as its arguments `asked` (the query) and `given` (the body).
    guard: who may pass, see `gate`; without one the route asks for no token.
    more: goes into the API reference (`errors`: statuses beside those of every route; `kind`: the answer's
    media type when it is not JSON).
    """
    dependencies = {}
    if query is not None:
        dependencies["asked"] = Provide(reads_query(query), sync_to_thread=False)
    if body is not UNSET:
        dependencies["given"] = Provide(reads_body(body))
    opt = {"query": query, "body": body, "answer": answer, "is_open": guard is None, **more}
    return {"guards": [guard] if guard else [], "dependencies": dependencies, "opt": opt}


def json_bytes(body: bytes, status: int = 200) -> Response[bytes]:
    """Ready JSON as a response."""
    return Response(body, status_code=status, media_type=JSON)
