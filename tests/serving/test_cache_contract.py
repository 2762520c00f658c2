"""What every slate cache must do. A new adapter is added to `CACHES` and passes as it is."""

import asyncio
import time
from collections.abc import Callable, Coroutine
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shortlist.serving.cache import Pool, PooledItem, SlateCache, key_of, user_of
from shortlist.serving.cache_memory import MemorySlateCache
from shortlist.settings import CacheSettings

Make = Callable[[CacheSettings], AbstractAsyncContextManager[SlateCache]]


def now_ms() -> int:
    return int(time.time() * 1000)


@asynccontextmanager
async def memory(cache: CacheSettings):  # type: ignore[no-untyped-def]
    yield MemorySlateCache(cache, now_ms)


CACHES = {"memory": memory}
each = pytest.mark.parametrize("make", CACHES.values(), ids=CACHES.keys())
DAY_MS = 86_400_000


def pool(*item_ids: str, made_ms: int | None = None) -> Pool:
    return Pool(
        trace_id="t",
        made_ms=now_ms() if made_ms is None else made_ms,
        model_version="7",
        user_version=3,
        taste_version=2,
        catalog_version=9,
        rules_version="r",
        tier="fresh",
        missing={"als": "late"},
        items=[PooledItem(i, 0.25, {"als": 1.5, "popular": 0.0}, "viewed", "x") for i in item_ids],
        interaction_count=4,
        appended_ms=11,
    )


def check(make: Make, scenario: Callable[[SlateCache], Coroutine[Any, Any, None]], **changes: Any) -> None:
    async def run() -> None:
        async with make(CacheSettings(**changes)) as cache:
            await scenario(cache)

    asyncio.run(run())


@each
def test_a_pool_comes_back_whole(make: Make) -> None:
    async def scenario(cache: SlateCache) -> None:
        kept = pool("a", "😀", "x" * 1024)
        await cache.put(key_of("ann", "browsing", ""), kept)
        assert await cache.get(key_of("ann", "browsing", "")) == kept

    check(make, scenario)


@each
def test_an_unknown_key_is_none(make: Make) -> None:
    async def scenario(cache: SlateCache) -> None:
        assert await cache.get(key_of("ann", "browsing", "")) is None

    check(make, scenario)


@each
def test_a_later_pool_replaces_an_earlier_one(make: Make) -> None:
    async def scenario(cache: SlateCache) -> None:
        key = key_of("ann", "browsing", "")
        await cache.put(key, pool("a"))
        await cache.put(key, pool())
        found = await cache.get(key)
        assert found is not None
        assert found.items == []

    check(make, scenario)


@each
def test_users_contexts_and_categories_are_apart(make: Make) -> None:
    async def scenario(cache: SlateCache) -> None:
        keys = [key_of(u, c, k) for u in ("a", "a b") for c in ("browsing", "cart") for k in ("", "Kettles")]
        for number, key in enumerate(keys):
            await cache.put(key, pool(str(number)))
        for number, key in enumerate(keys):
            found = await cache.get(key)
            assert found is not None
            assert found.items[0].item_id == str(number)

    check(make, scenario)


@each
def test_forgetting_a_user_drops_all_their_pools_and_nobody_elses(make: Make) -> None:
    async def scenario(cache: SlateCache) -> None:
        mine = [key_of("ann", "browsing", ""), key_of("ann", "cart", "Kettles")]
        others = [key_of("an", "browsing", ""), key_of("ann2", "browsing", "")]
        for key in mine + others:
            await cache.put(key, pool("a"))
        await cache.forget("ann")
        await cache.forget("ann")
        await cache.forget("never seen")
        assert [await cache.get(key) is not None for key in mine + others] == [False, False, True, True]
        await cache.put(mine[0], pool("b"))
        assert await cache.get(mine[0]) is not None

    check(make, scenario)


@each
def test_a_pool_is_there_until_it_is_too_old_even_to_be_stale(make: Make) -> None:
    async def scenario(cache: SlateCache) -> None:
        young, old = key_of("young", "", ""), key_of("old", "", "")
        await cache.put(young, pool("a", made_ms=now_ms() - DAY_MS + 60_000))
        await cache.put(old, pool("a", made_ms=now_ms() - DAY_MS - 60_000))
        assert await cache.get(young) is not None
        assert await cache.get(old) is None

    check(make, scenario, stale_s=DAY_MS / 1000)


@given(st.text(min_size=1), st.text())
@settings(max_examples=60, deadline=None)
def test_a_key_says_whose_pool_it_is(user_id: str, category: str) -> None:
    user_id = user_id.replace("\n", "")  # the collector and the gateway take no control characters
    assert user_of(key_of(user_id, "browsing", category)) == user_id


# What only the cache in this process promises: its bounds.


def test_in_process_the_pool_not_used_for_longest_makes_room() -> None:
    async def scenario(cache: SlateCache) -> None:
        a, b, c = (key_of(user, "browsing", "") for user in "abc")
        await cache.put(a, pool("1"))
        await cache.put(b, pool("2"))
        await cache.get(a)
        await cache.put(c, pool("3"))
        assert [await cache.get(key) is not None for key in (a, b, c)] == [True, False, True]

    check(memory, scenario, max_entries=2)


def test_in_process_large_pools_do_not_take_more_memory_than_allowed() -> None:
    async def scenario(cache: SlateCache) -> None:
        for number in range(50):
            await cache.put(key_of(str(number), "browsing", ""), pool("x" * 1000))
        assert isinstance(cache, MemorySlateCache)
        assert 3 <= len(cache) <= 10

    check(memory, scenario, max_bytes=10_000)
