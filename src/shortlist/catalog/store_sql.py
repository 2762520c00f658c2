"""The catalog in SQL: SQLite in the home folder, or PostgreSQL by its URL."""

import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
from sqlalchemy import bindparam, delete, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from shortlist.catalog.engine import chunks, named_errors, open_engine
from shortlist.catalog.item import Item
from shortlist.catalog.schema import counter, embeddings, items, outbox
from shortlist.catalog.store import (
    CatalogStore,
    Change,
    ItemExists,
    ItemInvalid,
    ItemUnknown,
    checked,
)
from shortlist.events.log import ITEMS
from shortlist.refusal import refusal

PAGE = 5_000

_encode = msgspec.json.Encoder().encode

Row = dict[str, Any]
FIELDS = tuple(column.name for column in items.columns if column.name not in ("version", "deleted"))
READ = tuple(items.c[name] for name in FIELDS)


class SqlCatalog(CatalogStore):
    """Items as rows. Writers wait for each other (one counter row), readers for nobody."""

    def __init__(
        self, engine: AsyncEngine, now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000
    ) -> None:
        self._engine, self._now_ms = engine, now_ms
        dialect = postgresql if engine.dialect.name == "postgresql" else sqlite
        new = dialect.insert(items)
        self._upsert = new.on_conflict_do_update(
            index_elements=[items.c.item_id],
            set_={c.name: new.excluded[c.name] for c in items.columns if c.name != "item_id"},
        )

    async def put(self, items: Sequence[Item]) -> int:  # noqa: D102
        wanted = {item.item_id: checked(item) for item in items}  # the last of an id wins
        async with self._write() as connection:
            stored = await self._stored(connection, list(wanted))
            # What is already so is left alone: a nightly upload of the whole catalog would otherwise make
            # every reader of the feed, and every cached pool, look at every item again.
            changed = [item for item in wanted.values() if stored.get(item.item_id) != item]
            return await self._save(connection, changed)

    async def add_missing(self, item_ids: Sequence[str]) -> int:  # noqa: D102
        wanted = list(dict.fromkeys(item_ids))
        async with self._write() as connection:
            known = set[str]()
            for chunk in chunks(wanted):
                rows = await connection.execute(select(items.c.item_id).where(items.c.item_id.in_(chunk)))
                known.update(rows.scalars())
            missing = [Item(item_id=item_id) for item_id in wanted if item_id not in known]
            await self._save(connection, missing)
            return len(missing)

    async def create(self, item: Item) -> int:  # noqa: D102
        checked(item)
        async with self._write() as connection:
            if await self._stored(connection, [item.item_id]):
                raise ItemExists(f"item {item.item_id!r} is there already; PATCH it instead")
            return await self._save(connection, [item])

    async def patch(self, item_id: str, changes: dict[str, Any]) -> Item:  # noqa: D102
        async with self._write() as connection:
            stored = await self._stored(connection, [item_id])
            if item_id not in stored:
                raise ItemUnknown(f"item {item_id!r} is not in the catalog; POST it first")
            item = patched(stored[item_id], changes)
            if item != stored[item_id]:
                await self._save(connection, [item])
            return item

    async def delete(self, item_id: str) -> int:  # noqa: D102
        async with self._write() as connection:
            if not await self._stored(connection, [item_id]):
                raise ItemUnknown(f"item {item_id!r} is not in the catalog (any more)")
            version = await self._next(connection, 1)
            row = _row(Item(item_id=item_id), version)
            await connection.execute(self._upsert, [row | {"deleted": True}])
            await connection.execute(delete(embeddings).where(embeddings.c.item_id == item_id))
            await self._tell(connection, [Change(version, item_id, None)])
            return version

    async def get(self, item_ids: Sequence[str]) -> list[Item | None]:  # noqa: D102
        async with self._read() as connection:
            stored = await self._stored(connection, item_ids)
        return [stored.get(item_id) for item_id in item_ids]

    async def all(self) -> AsyncIterator[Item]:  # noqa: D102
        page = select(*READ).where(~items.c.deleted).order_by(items.c.item_id).limit(PAGE)
        after = page.where(items.c.item_id > bindparam("after"))
        last: str | None = None
        while True:
            # One statement per page rather than one cursor: a slow reader must not pin SQLite's log.
            async with self._read() as connection:
                rows = (await connection.execute(page if last is None else after, {"after": last})).all()
            for row in rows:
                yield _item(row)
            if len(rows) < PAGE:
                return
            last = rows[-1][0]

    async def version(self) -> int:  # noqa: D102
        async with self._read() as connection:
            return int((await connection.execute(select(counter.c.version))).scalar_one())

    async def changes(self, after: int, limit: int) -> list[Change]:  # noqa: D102
        feed = select(items.c.version, items.c.deleted, *READ).where(items.c.version > after)
        async with self._read() as connection:
            rows = await connection.execute(feed.order_by(items.c.version).limit(limit))
            return [Change(row[0], row[2], None if row[1] else _item(row[2:])) for row in rows]

    @asynccontextmanager
    async def _read(self) -> AsyncIterator[AsyncConnection]:
        with named_errors():
            async with self._engine.connect() as connection:
                yield connection

    @asynccontextmanager
    async def _write(self) -> AsyncIterator[AsyncConnection]:
        with named_errors():
            async with self._engine.begin() as connection:
                # Takes the write lock before anything is read, so that what was read still holds at the end.
                await self._next(connection, 0)
                yield connection

    async def _next(self, connection: AsyncConnection, count: int) -> int:
        """Move the counter on by `count`; its value then."""
        moved = update(counter).values(version=counter.c.version + count).returning(counter.c.version)
        return int((await connection.execute(moved)).scalar_one())

    async def _save(self, connection: AsyncConnection, changed: Sequence[Item]) -> int:
        version = await self._next(connection, len(changed))
        first = version - len(changed) + 1
        for start in range(0, len(changed), PAGE):
            page = changed[start : start + PAGE]
            await connection.execute(self._upsert, [_row(i, first + start + n) for n, i in enumerate(page)])
            told = [Change(first + start + n, item.item_id, item) for n, item in enumerate(page)]
            await self._tell(connection, told)
        return version

    async def _tell(self, connection: AsyncConnection, changes: Sequence[Change]) -> None:
        """Leave the changes for the publisher, in the transaction that makes them."""
        now = self._now_ms()
        rows = [
            {"topic": ITEMS, "key": change.item_id, "value": _encode(change), "created_ms": now}
            for change in changes
        ]
        await connection.execute(insert(outbox), rows)

    async def _stored(self, connection: AsyncConnection, item_ids: Sequence[str]) -> dict[str, Item]:
        found: dict[str, Item] = {}
        for chunk in chunks(item_ids):
            query = select(*READ).where(items.c.item_id.in_(chunk), ~items.c.deleted)
            found.update((row[0], _item(row)) for row in await connection.execute(query))
        return found


@asynccontextmanager
async def open_sql(url: str, path: Path) -> AsyncIterator[SqlCatalog]:
    """The items in the database at `url`, for whoever needs nothing else of it; see `open_engine`."""
    async with open_engine(url, path) as engine:
        yield SqlCatalog(engine)


def patched(item: Item, changes: Mapping[str, Any]) -> Item:
    """`item` with some fields changed, validated as a whole. Raises ItemInvalid naming the field."""
    unknown = sorted(set(changes) - set(FIELDS))
    if unknown:
        raise ItemInvalid(f"item {item.item_id!r}: no field {unknown[0]!r}; there are {', '.join(FIELDS)}")
    if changes.get("item_id", item.item_id) != item.item_id:
        raise ItemInvalid(f"item {item.item_id!r}: its id cannot change; delete it and create another")
    fields = msgspec.to_builtins(item) | dict(changes)
    try:
        return checked(msgspec.convert(fields, Item))
    except msgspec.ValidationError as error:
        field, why = refusal(error, Item, fields, whole="the item")
        raise ItemInvalid(f"item {item.item_id!r}: {field} {why}") from None


def _row(item: Item, version: int) -> Row:
    row: Row = {name: getattr(item, name) for name in FIELDS}
    return row | {"version": version, "deleted": False}


def _item(row: Iterable[Any]) -> Item:
    values = dict(zip(FIELDS, row, strict=True))
    values["categories"] = tuple(values["categories"])
    return Item(**values)
