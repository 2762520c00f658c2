"""What a serving shop is made of, each part handed what it needs; nothing moves by itself yet."""

import asyncio
import gc
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial

from shortlist.app.catalog import CatalogStores, table_of
from shortlist.app.loop import Loop, processor
from shortlist.app.models import load_model
from shortlist.catalog.embeddings import EmbeddingsForThreads
from shortlist.coldstart.exploration import Exploration
from shortlist.coldstart.keeper import LedgerKeeper
from shortlist.features.processor import Processor
from shortlist.features.retention import Retention
from shortlist.features.trending import TrendingCounts
from shortlist.home import Home
from shortlist.models.live import Live
from shortlist.models.model import Model
from shortlist.serving.attributes import UserAttributes
from shortlist.serving.cache_memory import MemorySlateCache
from shortlist.serving.newcomers import Newcomers
from shortlist.serving.profiles import Profiles
from shortlist.serving.ruling import Ruling
from shortlist.serving.serving import Serving, clock_ms
from shortlist.settings import Settings

CHANGES = 10_000  # read at a time
READY_LAG = 1_000  # events: about 50 ms of folding


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """The parts, and what takes several of them."""

    loop: Loop
    stores: CatalogStores
    trends: TrendingCounts
    ledger: LedgerKeeper
    exploration: Exploration
    attributes: UserAttributes
    serving: Serving
    ruling: Ruling
    profiles: Profiles
    live: Live
    retention: Retention
    folding: Processor

    async def show_changes(self) -> None:
        """Slates show whatever the catalog holds now."""
        while changes := await self.stores.items.changes(self.serving.table.version, CHANGES):
            await asyncio.to_thread(self.serving.apply, changes)

    async def forget_user(self, user_id: str) -> None:
        """Drop what serving and the ledger keep of a user."""
        await self.serving.erase(user_id)
        await asyncio.to_thread(self.ledger.forget_user, user_id)

    def category_of(self, item_id: str) -> str | None:
        """The category of an item of the live table."""
        table = self.serving.table
        item = table.items[at] if (at := table.position(item_id)) >= 0 else None
        return item.category if item is not None else None

    def behind(self) -> str | None:
        """By how much folding is behind, where it is too much to serve well."""
        lag = self.folding.lag()
        return None if lag < READY_LAG else f"{lag} events are not folded yet"


async def make(
    settings: Settings, home: Home, loop: Loop, stores: CatalogStores, stack: AsyncExitStack
) -> Parts:
    """Every part, told of the others. stack: closes those that have something to close."""
    trends = TrendingCounts(loop.log, loop.features, settings, file=home.trending)
    ledger = LedgerKeeper(loop.log, loop.features, settings, file=home.exploration)
    exploration = Exploration(settings.exploration, ledger)
    ledger.on_decided(exploration.renew)
    attributes = UserAttributes(stores.users, await stores.users.version())
    encoded = EmbeddingsForThreads(stores.embeddings, asyncio.get_running_loop())
    serving = Serving(
        settings=settings,
        features=loop.features,
        cache=MemorySlateCache(settings.cache, clock_ms),
        log=loop.log,
        table=await table_of(stores.items),  # until the first swap
        trends=trends,
        newcomers=Newcomers(encoded, home.indexes, threads=settings.training.threads),
        exploration=exploration,
        attributes=attributes,
    )
    stack.callback(serving.close)
    ledger.on_tired(serving.on_tired)
    folding = processor(settings, loop)
    folding.on_folded(trends.on_folded)
    folding.on_folded(ledger.on_folded)  # before serving: its next slate needs to know of impressions
    folding.on_folded(serving.on_folded)
    days, window = settings.log.retention_days, settings.log.dedup_window
    return Parts(
        loop=loop,
        stores=stores,
        trends=trends,
        ledger=ledger,
        exploration=exploration,
        attributes=attributes,
        serving=serving,
        ruling=Ruling(stores.rules, serving, loop.log),
        profiles=Profiles(stores.users, attributes, serving),
        live=_live(home, serving),
        retention=Retention(loop.log, loop.features, days=days, dedup_window=window),
        folding=folding,
    )


def _live(home: Home, serving: Serving) -> Live:
    def swap(model: Model) -> None:
        serving.swap(model)
        # What lives as long as the model need not be looked at by every full collection: those took
        # 70 ms each and were the hit's p99 (80 ms before, 3 ms after).
        gc.freeze()

    return Live(home.models, partial(load_model, home), swap)
