"""A new item: from POST /items over HTTP until GET /similar of an item like it finds it, at 100k items.

The item is posted, durable in the catalog, encoded and added to the live index beside the graph; then asked
for until it is there. Against building the whole index again, which an index without a live part would need.
"""

import asyncio
import contextlib
import shutil
import sqlite3
import sys
import tempfile
import time
from pathlib import Path

import msgspec
import numpy as np
import uvloop

from bench._catalog import FOLDER, fitted_model, items_of
from bench._client import Connection, percentiles
from bench._server import Server, report, serving, token
from shortlist.candidates.item_to_item import ItemToItem
from shortlist.catalog.item import Item
from shortlist.catalog.store_sql import open_sql
from shortlist.home import Home
from shortlist.models import pointer
from shortlist.models.pointer import Pointer
from shortlist.retrieval.index import VectorIndex

SIZE, ADDED, GIVE_UP_S = 100_000, 300, 10.0
LIMIT = 100  # nearest items among which the new one must be
NEAR = 0.995  # two items of the same words are that near at least


def home_of(size: int, path: Path) -> Home:
    """A home with a catalog of `size` and the model that was fitted on it."""
    home = Home(path).make()

    async def fill() -> None:
        async with open_sql("sqlite:", home.catalog) as catalog:
            await catalog.put(items_of(size))

    asyncio.run(fill())
    with contextlib.closing(sqlite3.connect(home.catalog)) as catalog, catalog:
        catalog.execute("DELETE FROM outbox")  # a shop that has been open for a while told of these long ago
    version = home.models / "versions" / "1"
    shutil.copytree(FOLDER / f"model-{size}", version)
    pointer.write(home.models, Pointer("1", "versions/1"))
    return home


async def found(port: int, bearer: str, like: Item, number: int) -> tuple[float, float]:
    """Milliseconds from the request to add an item like `like` until it is added, and until it is found."""
    connection = Connection(port)
    item_id = f"new-{number}"
    new = {
        "item_id": item_id,
        "title": like.title,
        "categories": like.categories,
        "brand": like.brand,
        "price": 10.0,
    }
    began = time.perf_counter()
    status, body = await connection.ask("POST", "/items", bearer, msgspec.json.encode(new))
    added = time.perf_counter()
    assert status == 201, body
    while True:
        path = f"/similar?item_id={like.item_id}&limit={LIMIT}"
        status, body = await connection.ask("GET", path, bearer)
        assert status == 200, body
        if f'"{item_id}"'.encode() in body:
            break
        if time.perf_counter() - began > GIVE_UP_S:
            raise SystemExit(f"{item_id}, like {like.item_id}, was not found: {body[:500]!r}")
    ended = time.perf_counter()
    connection.close()
    return (added - began) * 1e3, (ended - began) * 1e3


def rebuilt(source: ItemToItem, size: int) -> float:
    """Milliseconds of building the item-to-item index of the same model again, on one thread."""
    vectors = source.index.rows(np.arange(size, dtype=np.int32))
    began = time.perf_counter()
    VectorIndex.over(vectors, threads=1)
    return (time.perf_counter() - began) * 1e3


def measured(server: Server, bearer: str, source: ItemToItem, size: int) -> tuple[list[float], list[float]]:
    """Every item is like another one, spread over the catalog; one that nobody took, for what people made of
    an item says more of its neighbours than its words, and one with few others of nearly its words."""
    some = np.random.default_rng(11).permutation(np.flatnonzero(~source.touched))[: 2 * ADDED]
    vectors = source.index.rows(np.arange(size, dtype=np.int32))
    crowded = [int((vectors @ vectors[like] > NEAR).sum()) for like in some]
    likes = some[np.argsort(crowded, kind="stable")[:ADDED]].tolist()
    items = items_of(size)

    async def run() -> list[tuple[float, float]]:
        return [await found(server.port, bearer, items[like], n) for n, like in enumerate(likes)]

    times = uvloop.run(run())
    return [added for added, _ in times], [until for _, until in times]


def main() -> None:
    size = int(sys.argv[1]) if len(sys.argv) > 1 else SIZE
    source = fitted_model(size).sources["item_to_item"]
    assert isinstance(source, ItemToItem)
    with tempfile.TemporaryDirectory() as folder:
        home = home_of(size, Path(folder) / "home")
        with serving(home.path, environ={"SHORTLIST_TELEMETRY__LOG_LEVEL": "warning"}) as server:
            added, until = measured(server, token(home.path, "bench", "service"), source, size)
    figures, posted = percentiles(until), percentiles(added)
    full = rebuilt(source, size)
    print(f"POST /items answered            p50 {posted['p50_ms']} ms, p99 {posted['p99_ms']} ms")
    print(f"POST → found by /similar        p50 {figures['p50_ms']} ms, p99 {figures['p99_ms']} ms")
    print(f"the whole index built again     {full:.0f} ms")
    report(
        bench="new-item", items=size, added=ADDED, p50_ms=figures["p50_ms"], p99_ms=figures["p99_ms"],
        answered_p50_ms=posted["p50_ms"], answered_p99_ms=posted["p99_ms"],
        against="building the item-to-item index again", against_ms=round(full),
        ratio=round(full / max(figures["p99_ms"], 1e-3), 1),
    )  # fmt: skip


if __name__ == "__main__":
    main()
