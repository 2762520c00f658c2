"""New users over HTTP: the survey, its answers, and guests who log in (flow 9)."""

import time
from typing import Annotated, Any

from litestar import Request, Response, post
from litestar.params import FromPath
from litestar.types import ControllerRouterHandler
from msgspec import Meta, Struct

from shortlist.gateway.answers import AnswersKept, GuestMerged, SurveyAnswer
from shortlist.gateway.auth import NotAllowed, TokenRefused
from shortlist.gateway.gate import Gate, caller_of
from shortlist.gateway.reading import AnyId, Given, an_id, path_id
from shortlist.gateway.routing import json_bytes, says
from shortlist.gateway.shop import Shop


class SurveyAsked(Struct, frozen=True, forbid_unknown_fields=True):
    """Whom to ask."""

    user_id: AnyId


class AnswersSent(Struct, frozen=True, forbid_unknown_fields=True):
    """The answers to the survey."""

    user_id: AnyId
    categories: Annotated[list[str], Meta(description="The categories chosen, 1 to 20.")] = []
    ratings: Annotated[dict[str, float], Meta(description="Stars, 1 to 5, by item_id.")] = {}
    skipped: Annotated[
        bool, Meta(description="The user would rather not say; then there are no answers.")
    ] = False
    event_id: Annotated[
        AnyId | None, Meta(description="Your own makes a retry harmless; made where missing.")
    ] = None


class GuestNamed(Struct, frozen=True, forbid_unknown_fields=True):
    """Who the user was before the login."""

    guest: Annotated[AnyId, Meta(description="The user_id of the guest's events: a session id.")]
    guest_token: Annotated[
        str, Meta(description="The guest's own token, which proves it; services need none.")
    ] = ""


def onboarding_routes(shop: Shop, gate: Gate) -> list[ControllerRouterHandler]:
    """The routes, over one shop."""

    def subject_of(token: str) -> str | None:
        """Whom a token in a body proves; None without one. Raises NotAllowed: it is not the caller's own that
        does not hold."""
        try:
            return shop.authority.caller(b"Bearer " + token.encode()).subject if token else None
        except TokenRefused as refused:
            raise NotAllowed(f"guest_token: {refused}") from None

    @post(
        "/onboarding",
        status_code=200,
        **says(guard=gate.for_slates, body=SurveyAsked, answer=SurveyAnswer, errors=(403, 429)),
    )
    async def survey(request: Request[Any, Any, Any], given: Given[SurveyAsked]) -> Response[bytes]:
        """The survey for a new user: categories with a picture each, and five items to rate.

        The items are well known and chosen to tell tastes apart."""
        user_id = an_id(given.user_id, "user_id")
        caller_of(request).require_own(user_id)
        asked = await shop.serving.survey(user_id, request_id=request.scope["state"]["request_id"])
        return json_bytes(asked.body)

    @post(
        "/onboarding/submit",
        status_code=202,
        **says(guard=gate.for_events, body=AnswersSent, answer=AnswersKept, errors=(403, 429, 503)),
    )
    async def submit(request: Request[Any, Any, Any], given: Given[AnswersSent]) -> Response[AnswersKept]:
        """Take the answers; 202 once they are durable, and the next slate knows them.

        A later answer replaces an earlier one. Unknown categories and items are refused by name."""
        user_id = an_id(given.user_id, "user_id")
        caller_of(request).require_own(user_id)
        event = await shop.onboarding.submit(
            user_id,
            given.categories,
            given.ratings,
            skipped=given.skipped,
            event_id=None if given.event_id is None else an_id(given.event_id, "event_id"),
            now_ms=time.time_ns() // 1_000_000,
        )
        return Response(AnswersKept(user_id=user_id, event_id=event.event_id), status_code=202)

    @post(
        "/users/{user_id:str}/merge",
        status_code=202,
        **says(guard=gate.for_events, body=GuestNamed, answer=GuestMerged, errors=(403, 409, 429, 503)),
    )
    async def merge(
        request: Request[Any, Any, Any], user_id: FromPath[str], given: Given[GuestNamed]
    ) -> Response[GuestMerged]:
        """At a login: what the guest did so far is the user's from now on.

        It counts once, however often this is said. A guest becomes one user: the first login stands."""
        caller, wanted, guest = caller_of(request), path_id(user_id, "user_id"), an_id(given.guest, "guest")
        caller.require_own(wanted)
        if not caller.is_service and subject_of(given.guest_token) != guest:
            raise NotAllowed("guest_token must be the guest's own token: send the one used before the login")
        event = await shop.onboarding.merge(wanted, guest, now_ms=time.time_ns() // 1_000_000)
        told = len(event.past) if event is not None else 0
        return Response(GuestMerged(user_id=wanted, guest=guest, events=told), status_code=202)

    return [survey, submit, merge]
