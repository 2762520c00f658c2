"""The outbox in the catalog's own database."""

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncEngine

from shortlist.catalog.engine import named_errors
from shortlist.catalog.outbox import Outbox, Outgoing
from shortlist.catalog.schema import outbox


class SqlOutbox(Outbox):
    """Rows that `SqlCatalog` leaves behind."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def waiting(self, limit: int) -> list[Outgoing]:  # noqa: D102
        query = select(outbox.c.id, outbox.c.topic, outbox.c.key, outbox.c.value)
        with named_errors():
            async with self._engine.connect() as connection:
                rows = await connection.execute(query.order_by(outbox.c.id).limit(limit))
                return [Outgoing(*row) for row in rows]

    async def forget(self, through: int) -> None:  # noqa: D102
        with named_errors():
            async with self._engine.begin() as connection:
                await connection.execute(delete(outbox).where(outbox.c.id <= through))
