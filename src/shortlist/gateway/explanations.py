"""Why a slate is as it is, over HTTP; the page at /explain draws what this answers."""

from typing import Annotated, Any, Literal

import msgspec
from litestar import Request, Response, get
from litestar.params import FromPath
from litestar.types import ControllerRouterHandler
from msgspec import Meta, Struct

from shortlist.gateway.gate import Gate, caller_of
from shortlist.gateway.problems import NotFound
from shortlist.gateway.reading import Given, path_id
from shortlist.gateway.routing import json_bytes, says
from shortlist.gateway.shop import Shop
from shortlist.serving.explained import Explained
from shortlist.serving.trace import LOOKBACK


class ExplanationQuery(Struct, frozen=True):
    """What an explanation can be asked for, beside the trace itself."""

    replay: Annotated[
        bool, Meta(description="Make the slate again and say whether it is the same; for services.")
    ] = False
    against: Annotated[
        Literal["today"] | None,
        Meta(description="Compare it with what today's model, rules and settings make of it; for services."),
    ] = None


def explanation_routes(shop: Shop, gate: Gate) -> list[ControllerRouterHandler]:
    """The routes, over one shop."""

    @get(
        "/explanations/{request_id:str}",
        # Counted: an id that nobody knows has the end of the log searched.
        **says(guard=gate.for_slates, query=ExplanationQuery, answer=Explained, errors=(403, 404, 410, 429)),
    )
    async def explanation(
        request: Request[Any, Any, Any], request_id: FromPath[str], asked: Given[ExplanationQuery]
    ) -> Response[bytes]:
        """How a slate came about: past, sources, scores, rules, new items, and the versions of all of them.

        A replay makes it again from what it was made from, bit for bit, or names what is gone."""
        caller = caller_of(request)
        if asked.replay or asked.against:
            caller.require_service()
        trace = await shop.explaining.trace(path_id(request_id, "request_id"))
        if trace is None:
            raise NotFound(f"no slate with this request_id among the last {LOOKBACK:,} records of the log")
        caller.require_own(trace.slate.user_id or "")
        explained = await shop.explaining.explain(
            trace,
            replays=asked.replay,
            against_today=asked.against is not None,
            is_shop=caller.is_service,
        )
        return json_bytes(msgspec.json.encode(explained))

    return [explanation]
