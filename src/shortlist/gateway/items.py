"""The catalog over HTTP: read by anybody with a token, written by the shop's own services."""

import asyncio
import time
from typing import Annotated, Any

import msgspec
import numpy as np
from litestar import Request, Response, delete, get, patch, post
from litestar.params import FromPath
from litestar.types import ControllerRouterHandler
from msgspec import Meta, Struct
from msgspec.structs import replace

from shortlist.catalog.item import FOR_SERVICES, Item
from shortlist.catalog.store import ItemUnknown
from shortlist.catalog.table import ItemTable
from shortlist.gateway.answers import Categories, CategoryCount, ItemPage, ItemsWritten
from shortlist.gateway.auth import Caller
from shortlist.gateway.gate import Gate, caller_of
from shortlist.gateway.reading import AnyId, BadRequest, Given, an_id, path_id
from shortlist.gateway.routing import says
from shortlist.gateway.shop import Shop
from shortlist.serving import names

MAX_BULK = 1_000


class NewItem(Item, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An item as it is sent: its id may be a number."""

    item_id: AnyId  # type: ignore[assignment]  # wider on the way in, a plain string once read


class ItemsQuery(Struct, frozen=True):
    """Which part of the catalog."""

    category: Annotated[str, Meta(description="Only this primary category.")] = ""
    limit: Annotated[int, Meta(ge=1, le=500, description="Items of the page.")] = 50
    offset: Annotated[int, Meta(ge=0, description="How many items come before the page.")] = 0


NewItems = NewItem | Annotated[list[NewItem], Meta(min_length=1, max_length=MAX_BULK)]


def item_routes(shop: Shop, gate: Gate) -> list[ControllerRouterHandler]:
    """The routes, over one shop."""

    @get("/items", **says(guard=gate.for_anyone, query=ItemsQuery, answer=ItemPage))
    async def list_items(request: Request[Any, Any, Any], asked: Given[ItemsQuery]) -> ItemPage:
        """The catalog, page by page. Hidden and sold-out items are shown to services only."""
        return await asyncio.to_thread(_page, shop.table(), caller_of(request), asked)

    @get("/items/{item_id:str}", **says(guard=gate.for_anyone, answer=Item, errors=(404,)))
    async def get_item(request: Request[Any, Any, Any], item_id: FromPath[str]) -> dict[str, Any]:
        """One item."""
        caller = caller_of(request)
        wanted = path_id(item_id, "item_id")
        (item,) = await shop.items.get([wanted])
        if item is None or (item.hidden and not caller.is_service):
            raise ItemUnknown(f"no item {wanted!r}")
        return shown(item, caller)

    @post(
        "/items", **says(guard=gate.for_services, body=NewItems, answer=ItemsWritten, errors=(403, 409, 413))
    )
    async def post_items(
        request: Request[Any, Any, Any], given: Given[NewItem | list[NewItem]]
    ) -> Response[ItemsWritten]:
        """Create one item (409 where it exists), or insert and replace up to 1,000 in one transaction.

        `added_ms` is now where it is missing; of an item that is there already it stays."""
        now_ms = time.time_ns() // 1_000_000
        if isinstance(given, list):
            items = [_item(new, f"[{index}].item_id", 0) for index, new in enumerate(given)]
            known = await shop.items.get([item.item_id for item in items])
            items = [
                item if item.added_ms else replace(item, added_ms=was.added_ms if was is not None else now_ms)
                for item, was in zip(items, known, strict=True)
            ]
            version, status = await shop.items.put(items), 200
        else:
            items = [_item(given, "item_id", now_ms)]
            version, status = await shop.items.create(items[0]), 201
        await shop.catalog_changed()
        return Response(ItemsWritten(written=len(items), catalog_version=version), status_code=status)

    @patch(
        "/items/{item_id:str}",
        **says(guard=gate.for_services, body=dict[str, Any], answer=Item, errors=(403, 404)),
    )
    async def patch_item(
        request: Request[Any, Any, Any], item_id: FromPath[str], given: Given[dict[str, Any]]
    ) -> dict[str, Any]:
        """Change some fields of one item: stock, price, hidden …"""
        caller = caller_of(request)
        wanted = path_id(item_id, "item_id")
        if "item_id" in given and an_id(given["item_id"], "item_id") != wanted:
            raise BadRequest("an item's id cannot be changed; delete it and create another", "item_id")
        item = await shop.items.patch(wanted, {k: v for k, v in given.items() if k != "item_id"})
        await shop.catalog_changed()
        return shown(item, caller)

    @delete(
        "/items/{item_id:str}",
        status_code=200,
        **says(guard=gate.for_services, answer=ItemsWritten, errors=(403, 404)),
    )
    async def delete_item(request: Request[Any, Any, Any], item_id: FromPath[str]) -> ItemsWritten:
        """Delete one item. It leaves every slate at once."""
        version = await shop.items.delete(path_id(item_id, "item_id"))
        await shop.catalog_changed()
        return ItemsWritten(written=1, catalog_version=version)

    @get("/categories", **says(guard=gate.for_anyone, answer=Categories))
    async def categories(request: Request[Any, Any, Any]) -> Categories:
        """Every primary category with how many items of it may be served, the largest first."""
        table = shop.table()
        columns, names = table.columns, table.categories
        codes = columns.category[columns.servable & (columns.category >= 0)]
        counts = np.bincount(codes, minlength=len(names)).tolist()
        found = [CategoryCount(category=n, items=c) for n, c in zip(names, counts, strict=False) if c]
        return Categories(categories=sorted(found, key=lambda c: (-c.items, c.category)))

    return [list_items, get_item, post_items, patch_item, delete_item, categories]


def _page(table: ItemTable, caller: Caller, asked: ItemsQuery) -> ItemPage:
    """A page of the catalog. 5 ms at 100k items: not for the event loop."""
    if (refused := names.unknown(table, asked.category, "", caller.is_service)) is not None:
        raise refused
    columns, items = table.columns, table.items
    wanted = np.ones(len(columns.servable), dtype=bool) if caller.is_service else columns.servable.copy()
    if asked.category:
        wanted &= columns.category == table.category_code(asked.category)
    positions = [p for p in np.flatnonzero(wanted).tolist() if items[p] is not None]
    page = positions[asked.offset : asked.offset + asked.limit]
    after = asked.offset + len(page)
    return ItemPage(
        items=[shown(item, caller) for item in map(items.__getitem__, page) if item is not None],
        total=len(positions),
        offset=asked.offset,
        next_offset=after if after < len(positions) else None,
    )


def shown(item: Item, caller: Caller) -> dict[str, Any]:
    """What a caller may see of an item: what the shop earns on it is for the shop."""
    fields: dict[str, Any] = msgspec.to_builtins(item)
    if caller.is_service:
        return fields
    return {name: value for name, value in fields.items() if name not in FOR_SERVICES}


def _item(new: NewItem, field: str, now_ms: int) -> Item:
    fields = {name: getattr(new, name) for name in Item.__struct_fields__}
    fields["item_id"] = an_id(new.item_id, field)
    fields["added_ms"] = new.added_ms or now_ms
    return Item(**fields)
