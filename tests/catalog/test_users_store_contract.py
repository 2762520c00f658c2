"""What every store of users' attributes must do. Add an adapter to STORES and it is held to it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from shortlist.catalog.attributes import MAX_KEYS
from shortlist.catalog.engine import open_engine
from shortlist.catalog.users_store import AttributesInvalid, UserStore
from shortlist.catalog.users_store_sql import SqlUsers

Test = Callable[[UserStore], Awaitable[None]]


@asynccontextmanager
async def in_sqlite(folder: Path) -> AsyncIterator[UserStore]:
    async with open_engine("sqlite:", folder / "catalog.sqlite") as engine:
        yield SqlUsers(engine)


STORES: dict[str, Callable[[Path], AbstractAsyncContextManager[UserStore]]] = {"sqlite": in_sqlite}


@pytest.fixture(params=list(STORES))
def run(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[Test], None]:
    """Run a test's coroutine on an open, empty store."""

    def run_test(test: Test) -> None:
        async def main() -> None:
            async with STORES[request.param](tmp_path) as store:
                await test(store)

        asyncio.run(main())

    return run_test


def test_attributes_come_back_in_the_order_asked_and_are_replaced_as_a_whole(
    run: Callable[[Test], None],
) -> None:
    ann = {"plan": "pro", "age": 41, "langs": ["de", "en"], "more": {"a": None, "b": [True, 1.5]}}

    async def test(store: UserStore) -> None:
        assert await store.version() == 0
        assert await store.put("ann", ann) == 1
        assert await store.put("böb/☕", {}) == 2
        assert await store.read(["none", "ann", "böb/☕", "ann"]) == [{}, ann, {}, ann]
        assert await store.put("ann", {"plan": "free"}) == 3
        assert await store.read(["ann"]) == [{"plan": "free"}]
        assert await store.read([]) == []

    run(test)


def test_the_feed_tells_who_changed_once_each_oldest_first(run: Callable[[Test], None]) -> None:
    async def test(store: UserStore) -> None:
        for user in ("a", "b", "a", "c"):
            await store.put(user, {"n": 1})
        assert await store.changed(0, 10) == [(2, "b"), (3, "a"), (4, "c")]
        assert await store.changed(2, 1) == [(3, "a")]
        assert await store.changed(4, 10) == []

    run(test)


def test_nothing_stays_of_somebody_who_is_forgotten(run: Callable[[Test], None]) -> None:
    async def test(store: UserStore) -> None:
        await store.put("a", {"n": 1})
        await store.delete("a")
        await store.delete("nobody")
        assert await store.read(["a"]) == [{}]
        assert await store.changed(0, 10) == []

    run(test)


def nested(depth: int) -> dict[str, Any]:
    return {"a": nested(depth - 1)} if depth else {}


@pytest.mark.parametrize(
    ("attributes", "said"),
    [
        ({str(n): n for n in range(MAX_KEYS + 1)}, "101 keys"),
        ({"a": "x" * 20_000}, "20008 bytes"),
        (nested(6), "nested deeper than 5"),
        ({"": 1}, "the key ''"),
        ({"a\nb": 1}, "printable"),
    ],
)
def test_what_is_too_much_is_refused(
    run: Callable[[Test], None], attributes: dict[str, Any], said: str
) -> None:
    async def test(store: UserStore) -> None:
        with pytest.raises(AttributesInvalid, match=said):
            await store.put("a", attributes)
        assert await store.version() == 0

    run(test)
