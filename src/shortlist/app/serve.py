"""A shop that serves: opened, wired, started in order; ended in reverse, also on failure."""

import asyncio
import contextlib
import gc
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Protocol

import structlog

from shortlist.app.catalog import catalog_stores
from shortlist.app.loop import owned
from shortlist.app.models import model_of
from shortlist.app.parts import Parts, make
from shortlist.catalog.outbox import Publisher
from shortlist.coldstart.accounts import accounts
from shortlist.coldstart.onboarding import Onboarding
from shortlist.events.collector import Collector
from shortlist.events.enrich import no_country, open_country
from shortlist.gateway.app import Gateway, build
from shortlist.gateway.auth import Authority
from shortlist.gateway.keys import KeyFiles, open_keys, signing_secret
from shortlist.gateway.limits_memory import MemoryRateLimiter
from shortlist.gateway.shop import Shop
from shortlist.home import Home
from shortlist.serving.explaining import Explaining
from shortlist.settings import Settings

log = structlog.get_logger()

CATALOG_POLL_S = 1.0  # changes by other processes; the server's own show at once
UNTRAINED = "none is trained yet: trending and popular items are all there is (shortlist train)"


@asynccontextmanager
async def running(settings: Settings, home: Home) -> AsyncIterator[Gateway]:
    """Everything of one shop, ready to be listened for; closed in reverse order, also on failure."""
    keys = open_keys(home, settings)
    async with AsyncExitStack() as stack:
        loop = stack.enter_context(owned(settings, home))
        stores = await stack.enter_async_context(catalog_stores(settings, home))
        parts = await make(settings, home, loop, stores, stack)
        await parts.ruling.follow()
        await asyncio.to_thread(parts.live.check)
        _start_threads(parts, stack)
        _follow_the_catalog(parts, stack)
        gateway = build(_shop(settings, home, keys, parts), settings)
        gc.collect()
        gc.freeze()
        yield gateway


class _Starts(Protocol):
    """What has a thread of its own."""

    def start(self) -> None: ...
    def stop(self) -> None: ...


def _start_threads(parts: Parts, stack: AsyncExitStack) -> None:
    """Folding last, when those that listen to it are ready; so it ends first, and they hear all of it."""
    threads: tuple[_Starts, ...] = (parts.live, parts.retention, parts.trends, parts.ledger, parts.folding)
    for thread in threads:
        thread.start()
        stack.callback(thread.stop)


def _follow_the_catalog(parts: Parts, stack: AsyncExitStack) -> None:
    """What other processes write to the catalog's database shows, and goes on to the log."""
    publish = Publisher(parts.stores.outbox, parts.loop.log).publish
    for work in (parts.show_changes, parts.ruling.follow, parts.profiles.follow, publish):
        stack.push_async_callback(_ended, asyncio.create_task(_every(CATALOG_POLL_S, work)))


async def _every(seconds: float, do: Callable[[], Awaitable[object]]) -> None:
    """Do something again and again; a failure is logged, not the end."""
    while True:
        await asyncio.sleep(seconds)
        try:
            await do()
        except Exception:  # the edge of a loop
            log.exception("periodic work failed", work=do.__name__)


async def _ended(task: asyncio.Task[None]) -> None:
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


def _shop(settings: Settings, home: Home, keys: KeyFiles, parts: Parts) -> Shop:
    """The parts by the verbs that the gateway uses."""
    log, features = parts.loop.log, parts.loop.features
    serving, ledger, live = parts.serving, parts.ledger, parts.live
    geoip = settings.telemetry.geoip_file
    country = open_country(geoip) if geoip else no_country
    in_development = settings.server.mode == "development"
    return Shop(
        home=home,
        serving=serving,
        explaining=Explaining(serving, log, features, model_of(home), parts.attributes),
        collector=Collector(log, parts.category_of, settings, country=country),
        onboarding=Onboarding(log, features, lambda: serving.table),
        items=parts.stores.items,
        table=lambda: serving.table,
        features=features,
        accounts=lambda: ledger.read(lambda known: accounts(known, parts.exploration, serving.table)),
        rules=parts.ruling,
        profiles=parts.profiles,
        authority=Authority(keys, settings.auth),
        limiter=MemoryRateLimiter(),
        secret=signing_secret(home, settings) if in_development else None,
        checks={
            "log": lambda: log.failure,
            "features": parts.behind,
            "model": lambda: live.problem if live.model is None else None,
        },
        warnings={"model": lambda: live.problem or (UNTRAINED if live.model is None else None)},
        catalog_changed=parts.show_changes,
        forget_user=parts.forget_user,
    )
