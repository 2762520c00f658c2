"""What a browser loads: the page's files, generated pictures, personas, and tokens for development."""

import asyncio
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec
from litestar import Request, Response, get, post
from litestar.params import FromPath
from litestar.types import ControllerRouterHandler
from msgspec import Struct

from shortlist.catalog.item import Item
from shortlist.catalog.store import ItemUnknown
from shortlist.gateway.answers import Token
from shortlist.gateway.auth import NotAllowed, token_for
from shortlist.gateway.keys import LOOPBACK
from shortlist.gateway.reading import AnyId, Given, an_id, path_id
from shortlist.gateway.routing import json_bytes, says
from shortlist.gateway.shop import Shop
from shortlist.settings import AuthSettings
from shortlist.storefront import Asset, assets

OPERATOR = "operator"  # the subject of a development token for operators
TOKEN_TTL_S = 12 * 3600.0  # a day at the demo; the page asks for another when it is over
# A picture is drawn from a title that anybody may have written: nothing in it may run.
PICTURE_POLICY = "default-src 'none'; style-src 'unsafe-inline'; sandbox"


class TokenAsked(Struct, frozen=True, forbid_unknown_fields=True):
    """For whom a development token is asked."""

    user_id: AnyId


def page_routes(shop: Shop) -> list[ControllerRouterHandler]:
    """The storefront's files, pictures and personas; they ask for no token."""

    @get("/images/{name:str}", **says(kind="image/svg+xml", errors=(404,)))
    async def image(name: FromPath[str]) -> Response[bytes]:
        """A generated picture of an item: /images/ITEM_ID.svg."""
        item_id = path_id(name.removesuffix(".svg"), "item_id")
        table = shop.table()
        position = table.position(item_id)
        item = table.items[position] if position >= 0 else None
        if item is None or not name.endswith(".svg"):
            raise ItemUnknown(f"no picture of {item_id!r}")
        headers = {"cache-control": "public, max-age=3600", "content-security-policy": PICTURE_POLICY}
        return Response(drawn(item), media_type="image/svg+xml", headers=headers)

    @get("/personas", **says(answer=list[dict[str, Any]]))
    async def personas() -> Response[bytes]:
        """Users to try the shop as; an empty list where there is no demo."""
        return json_bytes(await asyncio.to_thread(read_personas, shop.home.demo))

    return [*map(asset_route, assets().items()), image, personas]


def token_routes(secret: bytes, settings: AuthSettings) -> list[ControllerRouterHandler]:
    """Tokens for anybody: development mode only, which stays on loopback."""

    @post("/dev/token", status_code=200, **says(body=TokenAsked, answer=Token, errors=(403,)))
    async def dev_token(request: Request[Any, Any, Any], given: Given[TokenAsked]) -> Token:
        """A token for any user, so that the page can be anybody."""
        _require_loopback(request)
        user_id, now_s = an_id(given.user_id, "user_id"), time.time()
        token = token_for(secret, user_id, ttl_s=TOKEN_TTL_S, now_s=now_s, settings=settings)
        return Token(token=token, user_id=user_id, expires_s=int(now_s + TOKEN_TTL_S))

    @post("/dev/operator", status_code=200, **says(answer=Token, errors=(403,)))
    async def operator_token(request: Request[Any, Any, Any]) -> Token:
        """A token of an operator, for the page at /operator."""
        _require_loopback(request)
        origin = request.headers.get("origin")
        if origin is not None and urlsplit(origin).netloc != request.headers.get("host"):
            raise NotAllowed(
                "an operator's token is for the server's own page, not for one of another origin"
            )
        now_s = time.time()
        token = token_for(
            secret, OPERATOR, scopes=["admin"], ttl_s=TOKEN_TTL_S, now_s=now_s, settings=settings
        )
        return Token(token=token, user_id=OPERATOR, expires_s=int(now_s + TOKEN_TTL_S))

    return [dev_token, operator_token]


def _require_loopback(request: Request[Any, Any, Any]) -> None:
    # A page elsewhere may point its own name at 127.0.0.1 (DNS rebinding): its requests carry that name.
    host = request.headers.get("host", "").rpartition(":")[0] or request.headers.get("host", "")
    if host.strip("[]") not in LOOPBACK:
        raise NotAllowed("development tokens are handed out at 127.0.0.1 or localhost only")


def asset_route(entry: tuple[str, Asset]) -> ControllerRouterHandler:
    """A route that serves one file as it stands."""
    path, asset = entry

    @get(path, **says(is_page=True))
    async def file(request: Request[Any, Any, Any]) -> Response[bytes]:
        if asset.is_current(request.headers.get("if-none-match")):
            return Response(b"", status_code=304, headers=asset.headers, media_type=asset.content_type)
        return Response(asset.body, headers=asset.headers, media_type=asset.content_type)

    return file


def drawn(item: Item) -> bytes:
    """The picture of an item."""
    from shortlist.demo.pictures import picture

    return picture(item)


def read_personas(path: Path) -> bytes:
    """The personas of the demo as JSON; an empty list where there are none."""
    try:
        found = msgspec.json.decode(path.read_bytes())
    except FileNotFoundError:
        return b"[]"
    return msgspec.json.encode(found.get("personas", []) if isinstance(found, dict) else found)
