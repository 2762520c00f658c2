"""A whole shop: what is added, changed or taken away shows within a second, and after a restart."""

import asyncio
import shutil
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import msgspec
import pytest

from shortlist import settings as settings_tree
from shortlist.app.catalog import catalog_stores
from shortlist.app.loop import owned
from shortlist.app.serve import running
from shortlist.catalog.store import Change
from shortlist.events.log import ITEMS
from shortlist.gateway.auth import token_for
from shortlist.gateway.keys import signing_secret
from shortlist.home import Home

PU_ERH = {
    "item_id": "pu-erh",
    "title": "Tea 9",
    "description": "Tea from Yunnan, pressed.",
    "categories": ["Tea"],
    "attributes": {"origin": "Yunnan", "grams": 100, "leaf": {"pressed": True}},
}


@pytest.fixture
def shop(trained_home: Home, tmp_path: Path) -> Home:
    """A home of its own, with the trained one's state."""
    shutil.copytree(trained_home.path, tmp_path / "shop")
    return Home(tmp_path / "shop")


@asynccontextmanager
async def serving(home: Home) -> AsyncIterator[httpx.AsyncClient]:
    settings = settings_tree.load(home.path, {})[0]
    async with running(settings, home) as gateway:
        secret = signing_secret(home, settings)
        bearer = token_for(secret, "shop", scopes=("service",), ttl_s=600.0, now_s=time.time())
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(gateway),
            base_url="http://127.0.0.1:8000",
            headers={"authorization": f"Bearer {bearer}"},
        ) as client:
            yield client


async def near(client: httpx.AsyncClient, item_id: str) -> list[str]:
    """Items that are like one, without what only fills up."""
    answer = (await client.get(f"/similar?item_id={item_id}&limit=20")).raise_for_status()
    return [item["item_id"] for item in answer.json()["recommendations"] if item["score"] > 0]


async def within_a_second(is_so: Callable[[], Awaitable[bool]]) -> None:
    began = time.perf_counter()
    while not await is_so():
        # The budget, and four more for a machine that does other things.
        assert time.perf_counter() - began < 5.0
        await asyncio.sleep(0.005)


def test_a_new_item_is_found_changed_and_gone_and_known_after_a_restart(shop: Home) -> None:
    async def first() -> None:
        async with serving(shop) as client:
            assert (await client.post("/items", json=PU_ERH)).status_code == 201
            await within_a_second(lambda: holds(client, "tea3", "pu-erh"))
            kept = (await client.get("/items/pu-erh")).json()
            assert {name: kept[name] for name in PU_ERH} == PU_ERH
            moved = await client.patch("/items/pu-erh", json={"title": "Bike 9", "categories": ["Bikes"]})
            assert moved.status_code == 200
            await within_a_second(lambda: holds(client, "bike3", "pu-erh"))
            sold_out = await client.patch("/items/pu-erh", json={"stock": 0})
            assert sold_out.status_code == 200
            assert "pu-erh" not in await near(client, "bike3")
            await client.patch("/items/pu-erh", json={"stock": 5})
            assert "pu-erh" in await near(client, "bike3")
            await client.post("/items", json=[PU_ERH | {"item_id": "oolong"}])
            await within_a_second(lambda: holds(client, "tea3", "oolong"))
            assert (await client.delete("/items/oolong")).status_code == 200
            assert "oolong" not in await near(client, "tea3")

    async def again() -> None:
        async with serving(shop) as client:
            await within_a_second(lambda: holds(client, "bike3", "pu-erh"))
            assert "oolong" not in await near(client, "tea3")
            await within_a_second(lambda: published(shop))

    asyncio.run(first())
    asyncio.run(again())
    changes = told(shop)
    assert [(change.item_id, change.item is None) for change in changes[-6:]] == [
        *[("pu-erh", False)] * 4,
        ("oolong", False),
        ("oolong", True),
    ]


async def holds(client: httpx.AsyncClient, item_id: str, wanted: str) -> bool:
    return wanted in await near(client, item_id)


async def published(home: Home) -> bool:
    """Whether the outbox is empty."""
    settings = settings_tree.load(home.path, {})[0]
    async with catalog_stores(settings, home) as stores:
        return await stores.outbox.waiting(1) == []


def told(home: Home) -> list[Change]:
    """What the log says of the catalog."""
    with owned(settings_tree.load(home.path, {})[0], home) as loop:
        stored = loop.log.read(ITEMS, 0, 0, 1_000)
    return [msgspec.json.decode(record.value, type=Change) for record in stored]


def test_a_shop_that_was_never_trained_says_so_and_is_ready(home: Home) -> None:
    home.make()

    async def scenario() -> None:
        async with serving(home) as client:
            answer = await client.get("/health/ready")
            assert answer.status_code == 200
            assert answer.json()["status"] == "degraded"
            assert "none is trained yet" in answer.json()["parts"]["model"]
            told = (await client.get("/metrics")).headers.get_list("content-type")
            assert told == ["text/plain; version=0.0.4; charset=utf-8"]

    asyncio.run(scenario())
