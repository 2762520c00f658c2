"""The ledger of new items over HTTP: JSON for services, a page for people, at one address."""

import asyncio
from typing import Any

import msgspec
from litestar import Request, Response, get
from litestar.handlers import BaseRouteHandler
from litestar.types import ControllerRouterHandler

from shortlist.coldstart.accounts import Accounts
from shortlist.gateway.gate import Connection, Gate
from shortlist.gateway.routing import json_bytes, says
from shortlist.gateway.shop import Shop
from shortlist.storefront import assets

PAGE = "/static/exploration.html"


def exploration_routes(shop: Shop, gate: Gate) -> list[ControllerRouterHandler]:
    """The routes, over one shop."""

    async def for_services_or_the_page(connection: Connection, handler: BaseRouteHandler) -> None:
        # The page itself says nothing of the shop: it asks for a token, and for the JSON with it.
        if not _wants_page(connection):
            await gate.for_services(connection, handler)

    @get("/exploration", **says(guard=for_services_or_the_page, answer=Accounts, errors=(403,)))
    async def exploration(request: Request[Any, Any, Any]) -> Response[bytes]:
        """New items and what trying them out has taught so far, and cost. A browser gets a page of it."""
        if _wants_page(request):
            page = assets()[PAGE]
            headers = {**page.headers, "vary": "Accept"}
            return Response(page.body, headers=headers, media_type=page.content_type)
        return json_bytes(msgspec.json.encode(await asyncio.to_thread(shop.accounts)))

    return [exploration]


def _wants_page(connection: Connection) -> bool:
    return "text/html" in connection.headers.get("accept", "")
