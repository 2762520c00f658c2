"""What is known of a user, shown to that user and forgotten on request."""

import asyncio
import time
from typing import Any

from litestar import Request, Response, delete, get, put
from litestar.params import FromPath
from litestar.types import ControllerRouterHandler
from msgspec import Struct

from shortlist.features.store import Features
from shortlist.gateway.answers import PastItem, Profile, SessionSaid, UserAnswer
from shortlist.gateway.gate import Gate, caller_of
from shortlist.gateway.reading import Given, path_id
from shortlist.gateway.routing import says
from shortlist.gateway.shop import Shop

SHOWN_HISTORY = 20
SHOWN_AFFINITIES = 5


class ProfileGiven(Struct, frozen=True, forbid_unknown_fields=True):
    """What the shop knows of a user beside what they did."""

    attributes: dict[str, Any]


def user_routes(shop: Shop, gate: Gate) -> list[ControllerRouterHandler]:
    """The routes, over one shop."""

    @get("/users/{user_id:str}", **says(guard=gate.for_anyone, answer=UserAnswer, errors=(403,)))
    async def get_user(request: Request[Any, Any, Any], user_id: FromPath[str]) -> UserAnswer:
        """The user's features and attributes; an unknown user has empty ones."""
        caller = caller_of(request)
        wanted = path_id(user_id, "user_id")
        caller.require_own(wanted)
        now_ms = time.time_ns() // 1_000_000
        (features,) = await asyncio.to_thread(shop.features.read, [wanted], now_ms)
        answer = summary(wanted, features, _titles(shop, features))
        answer.attributes = dict(await shop.profiles.read(wanted))
        return answer

    @put(
        "/users/{user_id:str}",
        **says(guard=gate.for_services, body=ProfileGiven, answer=Profile, errors=(403,)),
    )
    async def put_user(
        request: Request[Any, Any, Any], user_id: FromPath[str], given: Given[ProfileGiven]
    ) -> Profile:
        """Replace a user's attributes, which rules may ask for.

        At most 100 keys and 16 kB. The next slate follows. A user may see them, only the shop sets them."""
        wanted = path_id(user_id, "user_id")
        await shop.profiles.put(wanted, given.attributes)
        return Profile(user_id=wanted, attributes=given.attributes)

    @delete("/users/{user_id:str}", status_code=204, **says(guard=gate.for_anyone, errors=(403,)))
    async def delete_user(request: Request[Any, Any, Any], user_id: FromPath[str]) -> Response[None]:
        """Forget the user, and the guests they were: features, attributes, every slate ready or served.

        No training learns from what they did before, and explanations of their requests are refused. The
        log's own records leave it with `log.retention_days`."""
        caller = caller_of(request)
        wanted = path_id(user_id, "user_id")
        caller.require_own(wanted)
        (features,) = await asyncio.to_thread(shop.features.read, [wanted], time.time_ns() // 1_000_000)
        for one in (wanted, *features.merged):
            await asyncio.to_thread(shop.features.delete, one)
            await shop.profiles.delete(one)
            await shop.forget_user(one)
        return Response(None, status_code=204)

    return [get_user, put_user, delete_user]


def summary(user_id: str, features: Features, titles: dict[str, str]) -> UserAnswer:
    """Features as people read them: the newest first, the strongest affinities."""
    newest = features.history[: -SHOWN_HISTORY - 1 : -1]
    strongest = sorted(features.affinity.items(), key=lambda entry: -entry[1])[:SHOWN_AFFINITIES]
    session = None
    if features.session_number and features.session_count:
        session = SessionSaid(
            session_id=features.session_id,
            number=features.session_number,
            start_ts=features.session_start_ts,
            count=features.session_count,
        )
    return UserAnswer(
        user_id=user_id,
        last_5=features.last_5,
        history=[
            PastItem(item_id=s.item_id, type=s.type, ts=s.ts, title=titles.get(s.item_id)) for s in newest
        ],
        counts=features.counts,
        interaction_count=features.interaction_count,
        first_ts=features.first_ts or None,
        last_ts=features.last_ts or None,
        affinity={category: round(weight, 4) for category, weight in strongest},
        purchased=features.purchased,
        session=session,
        preferred=features.preferred,
        stars=features.stars,
        version=features.version,
        taste_version=features.taste_version,
    )


def _titles(shop: Shop, features: Features) -> dict[str, str]:
    table = shop.table()
    titles = {}
    for seen in features.history[-SHOWN_HISTORY:]:
        position = table.position(seen.item_id)
        item = table.items[position] if position >= 0 else None
        if item is not None and item.title:
            titles[seen.item_id] = item.title
    return titles
