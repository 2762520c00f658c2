"""Embeddings in the catalog's own database."""

from collections.abc import Sequence

import numpy as np
from sqlalchemy import select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncEngine

from shortlist.arrays import FloatArray
from shortlist.catalog.embeddings import Embedding, Embeddings
from shortlist.catalog.engine import named_errors
from shortlist.catalog.schema import embeddings, items


class SqlEmbeddings(Embeddings):
    """Rows that go with their item: `SqlCatalog` deletes both."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        new = (postgresql if engine.dialect.name == "postgresql" else sqlite).insert(embeddings)
        self._upsert = new.on_conflict_do_update(
            index_elements=[embeddings.c.item_id],
            set_={c.name: new.excluded[c.name] for c in embeddings.columns if c.name != "item_id"},
        )

    async def put(self, encoder: str, made: Sequence[Embedding]) -> None:  # noqa: D102
        rows = [
            {
                "item_id": e.item_id,
                "encoder": encoder,
                "digest": e.digest.to_bytes(8, "little"),
                "vector": _bytes(e.vector),
            }
            for e in made
        ]
        if not rows:
            return
        with named_errors():
            async with self._engine.begin() as connection:
                await connection.execute(self._upsert, rows)

    async def of(self, encoder: str) -> list[Embedding]:  # noqa: D102
        # Joined: an item that was deleted while it was encoded left a row behind.
        query = (
            select(embeddings.c.item_id, embeddings.c.digest, embeddings.c.vector)
            .join(items, items.c.item_id == embeddings.c.item_id)
            .where(embeddings.c.encoder == encoder, ~items.c.deleted)
            .order_by(embeddings.c.item_id)
        )
        with named_errors():
            async with self._engine.connect() as connection:
                rows = await connection.execute(query)
                return [
                    Embedding(item_id, int.from_bytes(digest, "little"), np.frombuffer(vector, "<f4"))
                    for item_id, digest, vector in rows
                ]


def _bytes(vector: FloatArray) -> bytes:
    return np.asarray(vector, "<f4").tobytes()
