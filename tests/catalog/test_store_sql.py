import asyncio
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import create_engine, text

from shortlist.catalog import engine, migrate, schema
from shortlist.catalog.item import Item
from shortlist.catalog.store import CatalogError, CatalogUnavailable
from shortlist.catalog.store_sql import open_sql


async def opened(path: Path, url: str = "sqlite:") -> int:
    async with open_sql(url, path) as store:
        return await store.version()


def test_the_migrations_end_where_the_schema_says() -> None:
    assert migrate.head() == schema.HEAD


def test_the_migrations_make_exactly_the_tables_of_the_schema(tmp_path: Path) -> None:
    asyncio.run(opened(tmp_path / "c.sqlite"))
    engine = create_engine(f"sqlite:///{tmp_path / 'c.sqlite'}")
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, schema.metadata) == []
    engine.dispose()


def test_a_database_of_the_first_schema_keeps_its_items(tmp_path: Path) -> None:
    path = tmp_path / "c.sqlite"
    engine = create_engine(f"sqlite:///{path}")
    with engine.begin() as connection:
        config = migrate._config()
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
        connection.execute(
            text(
                "INSERT INTO items (item_id, version, deleted, title, description, categories, price, "
                "hidden, added_ms, attributes) VALUES ('a', 1, 0, 'Kettle', '', '[]', 2.5, 0, 7, '{}')"
            )
        )
    engine.dispose()

    async def main() -> None:
        async with open_sql("sqlite:", path) as store:
            assert await store.get(["a"]) == [Item(item_id="a", title="Kettle", price=2.5, added_ms=7)]

    asyncio.run(main())


def test_opening_a_current_database_needs_no_alembic(tmp_path: Path) -> None:
    path = tmp_path / "c.sqlite"
    asyncio.run(opened(path))
    code = (
        "import asyncio, pathlib, sys\n"
        "from shortlist.catalog.store_sql import open_sql\n"
        "async def main():\n"
        f"    async with open_sql('sqlite:', pathlib.Path({str(path)!r})) as store: await store.version()\n"
        "asyncio.run(main())\n"
        "assert 'alembic' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_two_that_open_a_new_database_at_once_both_get_it(tmp_path: Path) -> None:
    async def both() -> list[int]:
        return await asyncio.gather(*(opened(tmp_path / "c.sqlite") for _ in range(4)))

    assert asyncio.run(both()) == [0] * 4


def test_a_database_that_may_only_be_read_is_refused_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "BUSY_S", 3_600.0)  # it is not busy: waiting would not help
    path = tmp_path / "c.sqlite"
    with sqlite3.connect(path) as plain:
        plain.execute("CREATE TABLE other (id)")

    async def main() -> None:
        async with asyncio.timeout(20), open_sql(f"sqlite:///file:{path}?mode=ro&uri=true", path):
            pass

    with pytest.raises(CatalogUnavailable, match="readonly"):
        asyncio.run(main())


def test_other_processes_read_while_a_write_is_under_way(tmp_path: Path) -> None:
    path = tmp_path / "c.sqlite"

    async def main() -> None:
        async with open_sql("sqlite:", path) as store:
            await store.put([Item(item_id="a")])
            other = sqlite3.connect(path)
            other.execute("BEGIN IMMEDIATE")
            assert [i.item_id async for i in store.all()] == ["a"]
            assert await store.version() == 1
            other.rollback()
            other.close()

    asyncio.run(main())


def test_a_url_names_its_engine(tmp_path: Path) -> None:
    asyncio.run(opened(tmp_path / "ignored", f"sqlite:///{tmp_path / 'named.sqlite'}"))
    assert (tmp_path / "named.sqlite").is_file()
    with pytest.raises(CatalogError, match="oracle7"):
        asyncio.run(opened(tmp_path / "x", "oracle7://host/db"))


def test_postgresql_without_its_driver_says_what_to_install(tmp_path: Path) -> None:
    pytest.importorskip("shortlist.catalog.store_sql")
    try:
        import asyncpg  # type: ignore[import-not-found,unused-ignore]  # noqa: F401
    except ModuleNotFoundError:
        with pytest.raises(CatalogError, match=r"shortlist\[postgres\]"):
            asyncio.run(opened(tmp_path / "x", "postgresql://host/db"))


def test_a_file_that_is_no_database_is_said_to_be_none(tmp_path: Path) -> None:
    path = tmp_path / "c.sqlite"
    path.write_text("not a database, but long enough to be looked at " * 50)
    with pytest.raises(CatalogUnavailable, match="not a database"):
        asyncio.run(opened(path))


def test_a_folder_that_is_not_there_is_named_as_the_reason(tmp_path: Path) -> None:
    with pytest.raises(CatalogUnavailable, match="unable to open"):
        asyncio.run(opened(tmp_path / "no" / "folder" / "c.sqlite"))
