"""POST /events: what users did, answered once it is durable (flow 3)."""

import time
from time import perf_counter
from typing import Annotated, Any

from litestar import Request, Response, post
from litestar.types import ControllerRouterHandler
from msgspec import Meta, Struct

from shortlist.events.event import EventType
from shortlist.gateway.answers import EventsAnswer, Refused
from shortlist.gateway.auth import Caller
from shortlist.gateway.gate import Gate, caller_of
from shortlist.gateway.problems import EventsRefused
from shortlist.gateway.reading import AnyId, require_json
from shortlist.gateway.routing import says
from shortlist.gateway.shop import Shop
from shortlist.ops import telemetry


class EventSent(Struct, kw_only=True):
    """One event as it is sent. Unknown fields are kept."""

    user_id: AnyId
    type: Annotated[
        EventType,
        Meta(
            description="Not preferences, merge, login: /onboarding/submit and /users/{id}/merge make those."
        ),
    ]
    item_id: AnyId
    event_id: AnyId | None = None  # made where missing; your own makes a retry harmless
    ts: float | None = None  # ms or s since 1970; now where missing
    session_id: AnyId | None = None
    request_id: str | None = None  # of the slate it came from
    position: int | None = None
    quantity: float | None = None
    price: float | None = None
    currency: str | None = None
    rating: float | None = None


def event_routes(shop: Shop, gate: Gate) -> list[ControllerRouterHandler]:
    """The route, over one shop."""

    # Documented by its type, but read by the collector: it refuses by index and keeps unknown fields.
    documented: dict[str, Any] = {"documented_body": EventSent | list[EventSent]}

    @post(
        "/events",
        status_code=202,
        **says(guard=gate.for_events, answer=EventsAnswer, errors=(403, 413, 429, 503), **documented),
    )
    async def events(request: Request[Any, Any, Any]) -> Response[EventsAnswer]:
        """Take one event or an array of up to 1,000; 202 once they are durable.

        Bad events are refused by index and the good ones kept. Only `user_id`, `type` and `item_id` must
        be there; send an `event_id` of your own to make a retry harmless."""
        require_json(request.headers.get("content-type"), "text/plain")  # text/plain: sendBeacon
        answer = await taken(
            shop,
            caller_of(request),
            await request.body(),
            ip=request.client.host if request.client else "",
            user_agent=request.headers.get("user-agent", ""),
            now_ms=time.time_ns() // 1_000_000,
        )
        return Response(answer, status_code=202)

    return [events]


async def taken(
    shop: Shop, caller: Caller, body: bytes, *, ip: str, user_agent: str, now_ms: int
) -> EventsAnswer:
    """What became of a request's events, once they are durable. Raises EventsRefused when none was good."""
    started = perf_counter()
    found = await shop.collector.accept(
        body,
        subject=None if caller.is_service else caller.subject,
        ip=ip,
        user_agent=user_agent[:500],
        now_ms=now_ms,
    )
    refused = [Refused(index=r.index, field=r.field, error=r.error) for r in found.refused]
    if refused and not found.accepted:
        raise EventsRefused([{"index": r.index, "field": r.field, "error": r.error} for r in refused])
    telemetry.EVENT_ACCEPTED.observe(perf_counter() - started)
    return EventsAnswer(accepted=found.accepted, refused=refused)
