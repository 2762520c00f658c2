"""How a route says what it reads and answers, once: for the request and for the API reference alike."""

from typing import Any

from litestar import Response
from litestar.di import Provide
from msgspec import UNSET, Struct

from shortlist.gateway.reading import reads_body, reads_query

JSON = "application/json"


def says(
    *, query: type[Struct] | None = None, body: Any = UNSET, answer: Any = None, **more: Any
) -> dict[str, Any]:
    """Keyword arguments of a Litestar route that reads `query` and `body` and answers `answer`.

    The route gets them as its arguments `asked` (the query) and `given` (the body).
    more: goes into the API reference (`errors`: statuses beside those of every route; `kind`: the answer's
    media type when it is not JSON; `is_open`: asks for no token).
    """
    dependencies = {}
    if query is not None:
        dependencies["asked"] = Provide(reads_query(query), sync_to_thread=False)
    if body is not UNSET:
        dependencies["given"] = Provide(reads_body(body))
    opt = {"query": query, "body": body, "answer": answer, **more}
    return {"dependencies": dependencies, "opt": opt}


def json_bytes(body: bytes, status: int = 200) -> Response[bytes]:
    """Ready JSON as a response."""
    return Response(body, status_code=status, media_type=JSON)
