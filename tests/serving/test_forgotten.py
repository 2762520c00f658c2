"""Whoever asks to be forgotten is: nothing answers from what was kept of them."""

import asyncio
from collections.abc import Callable, Iterator

import pytest
from tests.serving.conftest import fitted
from tests.serving.lived import Lived

from shortlist.database import Database, open_database
from shortlist.home import Home
from shortlist.serving.cache import Pool, key_of
from shortlist.serving.cache_memory import MemorySlateCache
from shortlist.serving.explaining import Explaining
from shortlist.serving.served import Served
from shortlist.serving.serving import Serving
from shortlist.serving.slate import Ask
from shortlist.serving.trace import UserForgotten
from shortlist.settings import CacheSettings, Settings


@pytest.fixture
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    opened = open_database(Home(tmp_path_factory.mktemp("forgotten") / "home"))
    yield opened
    opened.close()


@pytest.fixture
def shop(database: Database) -> Iterator[Lived]:
    made = Lived(database, Settings(), {"1": fitted("1")})
    asyncio.run(made.open())
    yield made
    made.log.close()


def explaining(shop: Lived, serving: Serving) -> Explaining:
    return Explaining(serving, shop.log, shop.features, shop.load)


async def forget(shop: Lived, serving: Serving, user_id: str) -> None:
    """As `DELETE /users/{id}` does it."""
    shop.features.delete(user_id)
    await serving.erase(user_id)


def all_kept(served: Served) -> bytes:
    return b"\n".join([*served._slates, *served._pools.values()])


def test_nothing_of_them_stays_in_memory_and_everything_of_others_does(shop: Lived) -> None:
    async def scenario() -> None:
        with shop.serving() as serving:
            for user in ("ann", "bob"):
                await shop.happen(user, "view", "k1")
                await serving.recommend(Ask(user_id=user, request_id=f"{user} 1"))
                assert serving.instant(user, f"{user} 2") is not None
                await serving.recommend(Ask(user_id=user, limit=5, request_id=f"{user} 3"))
            await forget(shop, serving, "ann")
            assert serving.instant("ann") is None
            assert await serving.cache.get(key_of("ann", "browsing", "")) is None
            assert b'"ann"' not in all_kept(serving._served)
            assert [serving.trace(f"ann {number}") for number in (1, 2, 3)] == [None] * 3
            for number in (1, 2, 3):
                trace = serving.trace(f"bob {number}")
                assert trace is not None
                assert trace.pool is not None

    asyncio.run(scenario())


def test_explanations_of_their_requests_are_refused_and_those_of_their_new_ones_told(shop: Lived) -> None:
    async def scenario() -> None:
        with shop.serving() as serving:
            await shop.happen("ann", "view", "k1")
            await serving.recommend(Ask(user_id="ann", request_id="before"))
            await serving.recommend(Ask(user_id="eve", request_id="nothing known"))
            serving._served.flush()
            await forget(shop, serving, "ann")
            await forget(shop, serving, "eve")
            await serving.recommend(Ask(user_id="ann", request_id="a stranger"))
            serving._served.flush()
            await shop.happen("ann", "view", "l1")
            await serving.recommend(Ask(user_id="ann", request_id="after"))
            ours = explaining(shop, serving)
            for request_id in ("before", "nothing known"):
                trace = await ours.trace(request_id)
                assert trace is not None  # the log holds it until its retention
                with pytest.raises(UserForgotten, match="deleted since"):
                    await ours.explain(trace)
            for request_id in ("a stranger", "after"):
                trace = await ours.trace(request_id)
                assert trace is not None
                assert (await ours.explain(trace)).user_id == "ann"

    asyncio.run(scenario())


class Slow(MemorySlateCache):
    """Takes a pool only when it is let."""

    def __init__(self, now_ms: Callable[[], int]) -> None:
        super().__init__(CacheSettings(), now_ms)
        self.goes_on = asyncio.Event()

    async def put(self, key: str, pool: Pool) -> None:
        await self.goes_on.wait()
        await super().put(key, pool)


def test_a_pool_that_was_on_its_way_into_the_cache_does_not_stay_there(shop: Lived) -> None:
    async def scenario() -> None:
        with shop.serving() as serving:
            serving.cache = serving._flights._cache = cache = Slow(lambda: shop.now)
            await shop.happen("ann", "view", "k1")
            await serving.recommend(Ask(user_id="ann"))
            await forget(shop, serving, "ann")
            cache.goes_on.set()
            await asyncio.gather(*serving._flights._puts)
            assert len(cache) == 0

    asyncio.run(scenario())
