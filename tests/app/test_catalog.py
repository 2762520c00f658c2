"""The catalog, as the parts that need it get it."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

from shortlist.app.catalog import table_of
from shortlist.catalog.engine import open_engine
from shortlist.catalog.item import Item
from shortlist.catalog.store_sql import SqlCatalog


class Busy(SqlCatalog):
    """Somebody adds an item while all are read, at a place that was read already."""

    async def all(self) -> AsyncIterator[Item]:
        async for item in super().all():
            yield item
        await self.put([Item(item_id="apron")])


def test_what_changes_while_a_table_is_read_is_among_the_changes_since(tmp_path: Path) -> None:
    async def read() -> list[str]:
        async with open_engine("sqlite:", tmp_path / "catalog.sqlite") as engine:
            items = Busy(engine)
            await items.put([Item(item_id="kettle")])
            table = await table_of(items)
            return [change.item_id for change in await items.changes(table.version, 10)]

    assert asyncio.run(read()) == ["apron"]
