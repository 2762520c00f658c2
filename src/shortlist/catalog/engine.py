"""The catalog's database: its engine by URL, its schema brought up to date, its errors in our words.

Every adapter in SQL (items, outbox, embeddings) works on the one engine that is opened here.
"""

import sqlite3
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Literal, TypeVar

import msgspec
from sqlalchemy import Connection, event, text
from sqlalchemy.exc import DBAPIError, NoSuchModuleError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from shortlist.catalog.schema import HEAD
from shortlist.catalog.store import CatalogError, CatalogUnavailable

# Values per IN list: SQLite's oldest limit is 999 parameters in a statement.
CHUNK = 900
# How long a writer waits for another process's; a put of 100k items takes 4 s.
BUSY_S = 30.0
TURN_MS = 100  # of a wait while a new file is turned to WAL

T = TypeVar("T")


@asynccontextmanager
async def open_engine(url: str, path: Path) -> AsyncIterator[AsyncEngine]:
    """Open the database at `url` (`sqlite:` alone means the file `path`), bringing its schema up to date.

    Raises CatalogUnavailable when the database does not answer, CatalogError when the URL names no engine.
    """
    engine = _engine(url, path)
    try:
        with named_errors():
            await _migrate(engine)
        yield engine
    finally:
        await engine.dispose()


class named_errors:  # noqa: N801  # reads as a function where it is used
    """Turns what the engine raises into CatalogUnavailable."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, _trace: object) -> Literal[False]:
        if isinstance(error, DBAPIError):
            raise CatalogUnavailable(f"the catalog's database did not answer: {error.orig}") from error
        if isinstance(error, OSError):
            raise CatalogUnavailable(f"the catalog's database did not answer: {error}") from error
        return False


def chunks(values: Sequence[T]) -> Iterator[Sequence[T]]:
    """`values` in pieces that fit an IN list."""
    for start in range(0, len(values), CHUNK):
        yield values[start : start + CHUNK]


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
    # WAL: other processes read while one writes. To turn a new file to it takes all its locks: of several
    # that try at once each may hold what another waits for, so each lets go soon and tries again.
    cursor.execute(f"PRAGMA busy_timeout = {TURN_MS}")
    until = time.monotonic() + BUSY_S
    while True:
        try:
            cursor.execute("PRAGMA journal_mode = WAL")
            break
        except sqlite3.OperationalError as error:
            is_busy = error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY  # the rest says why it is
            if not is_busy or time.monotonic() >= until:
                raise
    cursor.execute(f"PRAGMA busy_timeout = {int(BUSY_S * 1000)}")
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


def _encode(value: Any) -> str:
    return msgspec.json.encode(value).decode()
