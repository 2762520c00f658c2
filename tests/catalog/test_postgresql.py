"""No server is asked here: every statement of the catalog's stores compiles for PostgreSQL, too.

The stores believe that their engine is PostgreSQL, and so build its statements; each is compiled for it and
then carried out by SQLite, which understands what is used of it.
"""

import asyncio
import inspect
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from io import StringIO
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from alembic.migration import MigrationContext
from alembic.operations import Operations
from alembic.script import ScriptDirectory
from sqlalchemy import ClauseElement, Dialect
from sqlalchemy.dialects import postgresql
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from sqlalchemy.schema import CreateIndex, CreateTable

from shortlist.catalog import migrate, schema
from shortlist.catalog.embeddings import Embedding, Embeddings
from shortlist.catalog.embeddings_sql import SqlEmbeddings
from shortlist.catalog.engine import open_engine
from shortlist.catalog.item import Item
from shortlist.catalog.outbox import Outbox
from shortlist.catalog.outbox_sql import SqlOutbox
from shortlist.catalog.rule import Rule
from shortlist.catalog.rules_store import RuleStore
from shortlist.catalog.rules_store_sql import SqlRules
from shortlist.catalog.store import CatalogStore
from shortlist.catalog.store_sql import SqlCatalog
from shortlist.catalog.users_store import UserStore
from shortlist.catalog.users_store_sql import SqlUsers


def dialect() -> Dialect:
    made: Dialect = postgresql.dialect()  # type: ignore[no-untyped-call]  # SQLAlchemy's own
    return made


class Compiling:
    """A connection that compiles for PostgreSQL before SQLite carries out."""

    def __init__(self, connection: AsyncConnection, compiled: list[str]) -> None:
        self.connection, self.compiled = connection, compiled

    async def execute(self, statement: ClauseElement, rows: Any = None) -> Any:
        keys = list(rows[0]) if isinstance(rows, list) else None
        self.compiled.append(str(statement.compile(dialect=dialect(), column_keys=keys)))
        return await self.connection.execute(cast(Any, statement), rows)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.connection, name)


class Believed:
    """SQLite's engine that says it is PostgreSQL."""

    def __init__(self, engine: AsyncEngine) -> None:
        self.engine, self.dialect = engine, dialect()
        self.compiled: list[str] = []

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[Compiling]:
        async with self.engine.begin() as connection:
            yield Compiling(connection, self.compiled)

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[Compiling]:
        async with self.engine.connect() as connection:
            yield Compiling(connection, self.compiled)


PORTS = (CatalogStore, RuleStore, UserStore, Outbox, Embeddings)
Call = Callable[[Any], Any]
CALLS: dict[type, dict[str, Sequence[Call]]] = {
    CatalogStore: {
        "put": [lambda store: store.put([Item(item_id="a", title="A"), Item(item_id="b")])],
        "add_missing": [lambda store: store.add_missing(["a", "c"])],
        "create": [lambda store: store.create(Item(item_id="d"))],
        "patch": [lambda store: store.patch("a", {"price": 3.0})],
        "get": [lambda store: store.get(["a", "b", "x"])],
        "changes": [lambda store: store.changes(0, 10)],
        "version": [lambda store: store.version()],
        "all": [lambda store: listed(store.all())],
        "delete": [lambda store: store.delete("b")],
    },
    Embeddings: {
        "put": [lambda store: store.put("tfidf", [Embedding("a", 7, np.ones(3, np.float32))])] * 2,
        "of": [lambda store: store.of("tfidf")],
    },
    RuleStore: {
        "create": [lambda store: store.create(Rule(id="r", action="hide", where="brand = X"))],
        "patch": [lambda store: store.patch("r", {"enabled": False}, lambda rule: None)],
        "rules": [lambda store: store.rules()],
        "version": [lambda store: store.version()],
        "delete": [lambda store: store.delete("r")],
    },
    UserStore: {
        "put": [lambda store: store.put("ann", {"plan": "pro"})] * 2,
        "read": [lambda store: store.read(["ann", "bob"])],
        "version": [lambda store: store.version()],
        "changed": [lambda store: store.changed(0, 10)],
        "delete": [lambda store: store.delete("ann")],
    },
    Outbox: {
        "waiting": [lambda store: store.waiting(10)],
        "forget": [lambda store: store.forget(3)],
    },
}


async def listed(items: AsyncIterator[Any]) -> list[Any]:
    return [item async for item in items]


def test_every_statement_of_every_store_is_valid_for_postgresql_too(tmp_path: Path) -> None:
    async def scenario() -> list[str]:
        async with open_engine("sqlite:", tmp_path / "catalog.sqlite") as engine:
            believed = Believed(engine)
            theirs = cast(AsyncEngine, believed)
            stores: dict[type, Any] = {
                CatalogStore: SqlCatalog(theirs),
                RuleStore: SqlRules(theirs),
                UserStore: SqlUsers(theirs),
                Outbox: SqlOutbox(theirs),
                Embeddings: SqlEmbeddings(theirs),
            }
            answers = {}
            for port, calls in CALLS.items():
                for name, ways in calls.items():
                    before = len(believed.compiled)
                    for way in ways:
                        answers[port, name] = await way(stores[port])
                    assert len(believed.compiled) > before, f"{port.__name__}.{name} asked nothing"
            # They did what they say, and not only compile.
            assert [item and item.price for item in answers[CatalogStore, "get"]] == [3.0, None, None]
            assert [made.item_id for made in answers[Embeddings, "of"]] == ["a"]
            assert answers[UserStore, "read"] == [{"plan": "pro"}, {}]
            assert len(answers[Outbox, "waiting"]) == 6
            return believed.compiled

    compiled = asyncio.run(scenario())
    for table in schema.metadata.tables:
        assert any(table in statement for statement in compiled), f"no statement of {table}"
    upserts = [statement for statement in compiled if "ON CONFLICT" in statement]
    assert {statement.split()[2] for statement in upserts} == {"items", "item_embeddings", "users"}
    assert all("%(" in statement for statement in upserts)  # PostgreSQL's way of naming values


@pytest.mark.parametrize("port", PORTS, ids=lambda port: port.__name__)
def test_no_verb_of_a_port_is_left_out(port: type) -> None:
    verbs = {name for name, _ in inspect.getmembers(port, inspect.isfunction) if not name.startswith("_")}
    assert CALLS[port].keys() == verbs


def test_tables_and_migrations_are_valid_for_postgresql_too() -> None:
    tables = [str(CreateTable(table).compile(dialect=dialect())) for table in schema.metadata.sorted_tables]
    for table in schema.metadata.sorted_tables:
        for index in table.indexes:
            str(CreateIndex(index).compile(dialect=dialect()))
    # Ids are compared as bytes in every table that has any.
    assert sum('_id TEXT COLLATE "C" NOT NULL' in made for made in tables) == 4
    output = StringIO()
    context = MigrationContext.configure(
        dialect_name="postgresql", opts={"as_sql": True, "output_buffer": output}
    )
    steps = list(ScriptDirectory.from_config(migrate._config()).walk_revisions())
    with Operations.context(context):
        for step in reversed(steps):
            step.module.upgrade()
    told = output.getvalue()
    for name in schema.metadata.tables:
        assert f"CREATE TABLE {name} (" in told
