"""Routes that answer with items: /recommendations, /similar, /rank (flows 1, 2 and 7)."""

from time import perf_counter
from typing import Annotated, Any

from litestar import Request, Response, get, post
from litestar.types import ControllerRouterHandler
from msgspec import Meta, Struct

from shortlist.gateway.answers import RankAnswer, SimilarAnswer, SlateAnswer
from shortlist.gateway.gate import Gate, caller_of
from shortlist.gateway.reading import AnyId, BadRequest, Given, an_id, ids
from shortlist.gateway.routing import json_bytes, says
from shortlist.gateway.shop import Shop
from shortlist.ops import telemetry
from shortlist.serving.slate import Ask
from shortlist.settings import ServingSettings

MAX_HISTORY = 1_000
MAX_RANKED = 1_000

Limit = Annotated[int, Meta(ge=1, description="How many items; the settings say the default and the most.")]
Filter = Annotated[
    str,
    Meta(
        max_length=2_000,
        description='A condition that items must meet: `price < 50 and brand in (Kaldera, "Nord & Co")`.',
    ),
]
UserId = Annotated[
    str, Meta(min_length=1, description="Whose; the token's own subject, or any for services.")
]


class SlateQuery(Struct, frozen=True):
    """What a slate can be asked for."""

    user_id: UserId
    limit: Limit | None = None
    page: Annotated[
        int, Meta(ge=1, le=1_000, description="From 1; `next_page` of an answer says the next.")
    ] = 1
    context: Annotated[str, Meta(max_length=50, description="Where the slate is shown.")] = "browsing"
    category: Annotated[str, Meta(description="Only items of this primary category.")] = ""
    exclude: Annotated[list[str], Meta(description="Items to leave out; repeat the parameter for each.")] = []
    filter: Filter = ""


class SimilarQuery(Struct, frozen=True):
    """What similar items can be asked for."""

    item_id: Annotated[str, Meta(min_length=1, description="Similar to which item.")]
    limit: Limit | None = None
    user_id: Annotated[str, Meta(description="Leave out what this user bought or dislikes.")] = ""
    filter: Filter = ""


class PastStep(Struct, frozen=True, forbid_unknown_fields=True):
    """One step of a past."""

    item_id: AnyId


class HistoryAsked(Struct, frozen=True, forbid_unknown_fields=True):
    """A past, oldest first, of somebody who has no user id. Nothing of it is kept."""

    history: Annotated[list[AnyId | PastStep], Meta(min_length=1, max_length=MAX_HISTORY)]
    limit: Limit | None = None
    filter: Filter = ""


class RankAsked(Struct, frozen=True, forbid_unknown_fields=True):
    """Items to put in order, for a user or for a past."""

    items: Annotated[list[AnyId], Meta(min_length=1, max_length=MAX_RANKED)]
    user_id: AnyId | None = None
    history: Annotated[list[AnyId | PastStep], Meta(max_length=MAX_HISTORY)] = []


def slate_routes(shop: Shop, gate: Gate, settings: ServingSettings) -> list[ControllerRouterHandler]:
    """The routes, over one shop."""

    def most(limit: int | None) -> int:
        if limit is not None and limit > settings.max_limit:
            raise BadRequest(f"is {limit}, at most {settings.max_limit} items are answered", "limit")
        return limit or 0

    @get(
        "/recommendations",
        **says(guard=gate.for_slates, query=SlateQuery, answer=SlateAnswer, errors=(403, 429)),
    )
    async def recommendations(request: Request[Any, Any, Any], asked: Given[SlateQuery]) -> Response[bytes]:
        """The user's slate.

        Between events it stays the same; an event changes it within a second."""
        caller = caller_of(request)
        caller.require_own(an_id(asked.user_id, "user_id"))
        ask = Ask(
            user_id=asked.user_id,
            limit=most(asked.limit),
            page=asked.page,
            context=asked.context,
            category=asked.category,
            exclude=tuple(ids([*asked.exclude], "exclude")),
            filter=asked.filter,
            is_shop=caller.is_service,
            request_id=_request_id(request),
        )
        return json_bytes((await shop.serving.recommend(ask)).body)

    @post(
        "/recommendations",
        status_code=200,
        **says(guard=gate.for_slates, body=HistoryAsked, answer=SlateAnswer, errors=(429,)),
    )
    async def recommendations_for_history(
        request: Request[Any, Any, Any], given: Given[HistoryAsked]
    ) -> Response[bytes]:
        """A slate for a past that the caller brings; nothing is stored."""
        past, is_shop = _past(given.history), caller_of(request).is_service
        slate = await shop.serving.recommend_history(
            past, most(given.limit), where=given.filter, is_shop=is_shop
        )
        return json_bytes(slate.body)

    @get(
        "/similar",
        **says(guard=gate.for_slates, query=SimilarQuery, answer=SimilarAnswer, errors=(403, 404, 429)),
    )
    async def similar(request: Request[Any, Any, Any], asked: Given[SimilarQuery]) -> Response[bytes]:
        """Items like one."""
        started = perf_counter()
        caller = caller_of(request)
        if asked.user_id:
            caller.require_own(an_id(asked.user_id, "user_id"))
        item_id = an_id(asked.item_id, "item_id")
        slate = await shop.serving.similar(
            item_id,
            most(asked.limit),
            asked.user_id or None,
            request_id=_request_id(request),
            where=asked.filter,
            is_shop=caller.is_service,
        )
        telemetry.SIMILAR.observe(perf_counter() - started)
        return json_bytes(slate.body)

    @post(
        "/rank",
        status_code=200,
        **says(guard=gate.for_slates, body=RankAsked, answer=RankAnswer, errors=(403, 429)),
    )
    async def rank(request: Request[Any, Any, Any], given: Given[RankAsked]) -> Response[bytes]:
        """Score and order the caller's own list of items."""
        caller = caller_of(request)
        user_id = None if given.user_id is None else an_id(given.user_id, "user_id")
        if user_id is not None:
            caller.require_own(user_id)
            if given.history:
                raise BadRequest("give user_id or history, not both", "history")
        items, past = ids([*given.items], "items"), _past(given.history)
        ranked = await shop.serving.rank(
            items, user_id=user_id, history=past, request_id=_request_id(request)
        )
        return json_bytes(ranked.body)

    return [recommendations, recommendations_for_history, similar, rank]


def _request_id(request: Request[Any, Any, Any]) -> str:
    request_id: str = request.scope["state"]["request_id"]
    return request_id


def _past(steps: list[str | int | float | PastStep]) -> list[str]:
    return ids([step.item_id if isinstance(step, PastStep) else step for step in steps], "history")
