"""The catalog in SQL: SQLite in the home folder, or PostgreSQL by its URL."""

from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Literal

import msgspec
from sqlalchemy import Connection, bindparam, event, select, text, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DBAPIError, NoSuchModuleError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from shortlist.catalog.item import Item
from shortlist.catalog.schema import HEAD, counter, items
from shortlist.catalog.store import (
    CatalogError,
    CatalogStore,
    CatalogUnavailable,
    Change,
    ItemExists,
    ItemInvalid,
    ItemUnknown,
)
from shortlist.refusal import refusal

# Ids per IN list: SQLite's oldest limit is 999 parameters in a statement.
CHUNK = 900
PAGE = 5_000
# How long a writer waits for another process's; a put of 100k items takes 4 s.
BUSY_S = 30.0

Row = dict[str, Any]
FIELDS = tuple(column.name for column in items.columns if column.name not in ("version", "deleted"))
READ = tuple(items.c[name] for name in FIELDS)


class SqlCatalog(CatalogStore):
    """Items as rows. Writers wait for each other (one counter row), readers for nobody."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        dialect = postgresql if engine.dialect.name == "postgresql" else sqlite
        insert = dialect.insert(items)
        self._upsert = insert.on_conflict_do_update(
            index_elements=[items.c.item_id],
            set_={c.name: insert.excluded[c.name] for c in items.columns if c.name != "item_id"},
        )

    async def put(self, items: Sequence[Item]) -> int:  # noqa: D102
        wanted = {item.item_id: item for item in items}  # the last of an id wins
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
            for chunk in _chunks(wanted):
                rows = await connection.execute(select(items.c.item_id).where(items.c.item_id.in_(chunk)))
                known.update(rows.scalars())
            missing = [Item(item_id=item_id) for item_id in wanted if item_id not in known]
            await self._save(connection, missing)
            return len(missing)

    async def create(self, item: Item) -> int:  # noqa: D102
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
        with _named_errors():
            async with self._engine.connect() as connection:
                yield connection

    @asynccontextmanager
    async def _write(self) -> AsyncIterator[AsyncConnection]:
        with _named_errors():
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
        return version

    async def _stored(self, connection: AsyncConnection, item_ids: Sequence[str]) -> dict[str, Item]:
        found: dict[str, Item] = {}
        for chunk in _chunks(item_ids):
            query = select(*READ).where(items.c.item_id.in_(chunk), ~items.c.deleted)
            found.update((row[0], _item(row)) for row in await connection.execute(query))
        return found


@asynccontextmanager
async def open_sql(url: str, path: Path) -> AsyncIterator[SqlCatalog]:
    """Open the catalog at `url` (`sqlite:` alone means the file `path`), bringing its schema up to date.

    Raises CatalogUnavailable when the database does not answer, CatalogError when the URL names no engine.
    """
    engine = _engine(url, path)
    try:
        with _named_errors():
            await _migrate(engine)
        yield SqlCatalog(engine)
    finally:
        await engine.dispose()


def patched(item: Item, changes: Mapping[str, Any]) -> Item:
    """`item` with some fields changed, validated as a whole. Raises ItemInvalid naming the field."""
    unknown = sorted(set(changes) - set(FIELDS))
    if unknown:
        raise ItemInvalid(f"item {item.item_id!r}: no field {unknown[0]!r}; there are {', '.join(FIELDS)}")
    if changes.get("item_id", item.item_id) != item.item_id:
        raise ItemInvalid(f"item {item.item_id!r}: its id cannot change; delete it and create another")
    fields = msgspec.to_builtins(item) | dict(changes)
    try:
        return msgspec.convert(fields, Item)
    except msgspec.ValidationError as error:
        field, why = refusal(error, Item, fields, whole="the item")
        raise ItemInvalid(f"item {item.item_id!r}: {field} {why}") from None


def _engine(url: str, path: Path) -> AsyncEngine:
    scheme, _, rest = url.partition(":")
    driver = {
        "sqlite": "sqlite+aiosqlite",
        "postgresql": "postgresql+asyncpg",
        "postgres": "postgresql+asyncpg",
    }
    full = f"{driver.get(scheme, scheme)}:{rest}"
    if scheme == "sqlite":
        full = full if rest else f"sqlite+aiosqlite:///{path}"
    try:
        engine = create_async_engine(full, json_serializer=_encode, json_deserializer=msgspec.json.decode)
    except NoSuchModuleError:
        raise CatalogError(f"catalog.url: no catalog for {scheme}:; use sqlite: or postgresql://…") from None
    except ModuleNotFoundError as missing:
        raise CatalogError(
            f"catalog.url: {missing.name} is not installed; pip install 'shortlist[postgres]'"
        ) from None
    if engine.dialect.name == "sqlite":
        event.listen(engine.sync_engine, "connect", _prepare_sqlite)
    return engine


def _prepare_sqlite(connection: Any, _record: object) -> None:
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout = {int(BUSY_S * 1000)}")
    cursor.execute("PRAGMA journal_mode = WAL")  # other processes read while one writes
    cursor.execute("PRAGMA synchronous = FULL")  # an answered write outlives the power
    cursor.close()


async def _migrate(engine: AsyncEngine) -> None:
    async with engine.connect() as connection:
        if await connection.run_sync(_revision) == HEAD:
            return
    async with engine.connect() as connection:
        if engine.dialect.name == "sqlite":
            # Before any read: of two processes that open a new database, one waits here and then has no step.
            await connection.exec_driver_sql("BEGIN IMMEDIATE")
        else:
            await connection.execute(text("SELECT pg_advisory_xact_lock(7461063)"))
        await connection.run_sync(_upgrade)
        await connection.commit()


def _upgrade(connection: Connection) -> None:
    from shortlist.catalog.migrate import upgrade

    upgrade(connection)


def _revision(connection: Connection) -> str | None:
    if not connection.dialect.has_table(connection, "alembic_version"):
        return None
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one_or_none()


class _named_errors:  # noqa: N801  # reads as a function where it is used
    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, _trace: object) -> Literal[False]:
        if isinstance(error, DBAPIError):
            raise CatalogUnavailable(f"the catalog's database did not answer: {error.orig}") from error
        if isinstance(error, OSError):
            raise CatalogUnavailable(f"the catalog's database did not answer: {error}") from error
        return False


def _encode(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def _row(item: Item, version: int) -> Row:
    row: Row = {name: getattr(item, name) for name in FIELDS}
    return row | {"version": version, "deleted": False}


def _item(row: Iterable[Any]) -> Item:
    values = dict(zip(FIELDS, row, strict=True))
    values["categories"] = tuple(values["categories"])
    return Item(**values)


def _chunks(item_ids: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(item_ids), CHUNK):
        yield item_ids[start : start + CHUNK]
