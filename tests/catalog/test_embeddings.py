import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import numpy as np

from shortlist.catalog.embeddings import Embedding
from shortlist.catalog.embeddings_sql import SqlEmbeddings
from shortlist.catalog.engine import open_engine
from shortlist.catalog.item import Item
from shortlist.catalog.store_sql import SqlCatalog


def run(folder: Path, test: Callable[[SqlCatalog, SqlEmbeddings], Awaitable[None]]) -> None:
    async def main() -> None:
        async with open_engine("sqlite:", folder / "c.sqlite") as engine:
            await test(SqlCatalog(engine), SqlEmbeddings(engine))

    asyncio.run(main())


def made(item_id: str, *values: float, digest: int = 7) -> Embedding:
    return Embedding(item_id, digest, np.array(values, np.float32))


def test_an_embedding_comes_back_as_it_was_put(tmp_path: Path) -> None:
    async def test(items: SqlCatalog, embeddings: SqlEmbeddings) -> None:
        await items.put([Item(item_id="a"), Item(item_id="b ☕")])
        await embeddings.put("tfidf-1", [made("b ☕", 0.1, -2.5, digest=2**64 - 1), made("a", 1.0, 2.0)])
        first, second = await embeddings.of("tfidf-1")
        assert (first.item_id, second.item_id, second.digest) == ("a", "b ☕", 2**64 - 1)
        assert second.vector.tolist() == np.array([0.1, -2.5], np.float32).tolist()
        await embeddings.put("tfidf-1", [])

    run(tmp_path, test)


def test_an_item_has_the_embedding_of_the_encoder_that_put_it_last(tmp_path: Path) -> None:
    async def test(items: SqlCatalog, embeddings: SqlEmbeddings) -> None:
        await items.put([Item(item_id="a"), Item(item_id="b")])
        await embeddings.put("tfidf-1", [made("a", 1.0), made("b", 2.0)])
        await embeddings.put("tfidf-2", [made("b", 3.0, 4.0)])
        assert [e.item_id for e in await embeddings.of("tfidf-1")] == ["a"]
        (only,) = await embeddings.of("tfidf-2")
        assert only.vector.tolist() == [3.0, 4.0]
        assert await embeddings.of("bert") == []

    run(tmp_path, test)


def test_a_deleted_item_has_no_embedding_even_if_it_was_being_encoded(tmp_path: Path) -> None:
    async def test(items: SqlCatalog, embeddings: SqlEmbeddings) -> None:
        await items.put([Item(item_id="a"), Item(item_id="b")])
        await embeddings.put("e", [made("a", 1.0), made("b", 1.0)])
        await items.delete("a")
        assert [e.item_id for e in await embeddings.of("e")] == ["b"]
        await embeddings.put("e", [made("a", 2.0)])
        assert [e.item_id for e in await embeddings.of("e")] == ["b"]

    run(tmp_path, test)
