"""The composition root: the only file that knows which engine is behind which port.

Opens what the settings name, hands each part what it needs, and closes in reverse order, also on failure.
"""

import asyncio
import contextlib
import dataclasses
import functools
import gc
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import (
    AbstractAsyncContextManager,
    AbstractContextManager,
    AsyncExitStack,
    asynccontextmanager,
    closing,
    contextmanager,
)
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import structlog

from shortlist.arrays import Arrays
from shortlist.catalog.embeddings import Embeddings
from shortlist.catalog.encoder import Encoder
from shortlist.catalog.item import Item
from shortlist.catalog.outbox import Outbox
from shortlist.catalog.rule import Rule
from shortlist.catalog.rules_store import RuleStore
from shortlist.catalog.store import CatalogStore
from shortlist.catalog.table import ItemTable
from shortlist.catalog.users_store import Attributes, UserStore
from shortlist.events.log import EVENTS, ITEMS, SERVED, EventLog
from shortlist.features.processor import Processor
from shortlist.features.store import FeatureStore
from shortlist.home import Home
from shortlist.models.model import Model
from shortlist.models.registry import ModelRegistry, ModelUnknown
from shortlist.progress import Report
from shortlist.ranking.scorer import Calibration, Scorer
from shortlist.settings import Settings, SettingsError, TrainingSettings

log = structlog.get_logger()

SERVED_PARTITIONS = 8
CATALOG_POLL_S = 1.0  # changes by other processes; the server's own show at once
CHANGES = 10_000  # read at a time
READY_LAG = 1_000  # events: about 50 ms of folding
UNTRAINED = "none is trained yet: trending and popular items are all there is (shortlist train)"

if TYPE_CHECKING:
    from shortlist.coldstart.accounts import Accounts
    from shortlist.database import Database
    from shortlist.features.trending import Published
    from shortlist.gateway.app import Gateway
    from shortlist.serving.dry_run import DryRun
    from shortlist.serving.explaining import Explainer
    from shortlist.training.fit import FitEncoder


@dataclass(frozen=True, slots=True)
class Loop:
    """The fast loop's state: the log and what is folded from it."""

    log: EventLog
    features: FeatureStore


@asynccontextmanager
async def running(settings: Settings, home: Home) -> AsyncIterator["Gateway"]:
    """Everything of one shop, ready to be listened for; closed in reverse order, also on failure."""
    from shortlist.catalog.embeddings import EmbeddingsForThreads
    from shortlist.catalog.outbox import Publisher
    from shortlist.coldstart.accounts import accounts
    from shortlist.coldstart.exploration import Exploration
    from shortlist.coldstart.keeper import LedgerKeeper
    from shortlist.coldstart.onboarding import Onboarding
    from shortlist.events.collector import Collector
    from shortlist.events.enrich import no_country, open_country
    from shortlist.features.retention import Retention
    from shortlist.features.trending import TrendingCounts
    from shortlist.gateway.app import build
    from shortlist.gateway.auth import Authority
    from shortlist.gateway.keys import open_keys, signing_secret
    from shortlist.gateway.limits_memory import MemoryRateLimiter
    from shortlist.gateway.shop import Shop
    from shortlist.models.live import Live
    from shortlist.serving.attributes import UserAttributes
    from shortlist.serving.cache_memory import MemorySlateCache
    from shortlist.serving.explaining import Explaining
    from shortlist.serving.newcomers import Newcomers
    from shortlist.serving.profiles import Profiles
    from shortlist.serving.ruling import Ruling
    from shortlist.serving.serving import Serving, clock_ms

    keys = open_keys(home, settings)
    in_development = settings.server.mode == "development"
    async with AsyncExitStack() as stack:
        loop = stack.enter_context(owned(settings, home))
        stores = await stack.enter_async_context(catalog_stores(settings, home))
        items = stores.items
        trends = TrendingCounts(loop.log, loop.features, settings, file=home.trending)
        ledger = LedgerKeeper(loop.log, loop.features, settings, file=home.exploration)
        exploration = Exploration(settings.exploration, ledger)
        ledger.on_decided(exploration.renew)
        encoded = EmbeddingsForThreads(stores.embeddings, asyncio.get_running_loop())
        newcomers = Newcomers(encoded, home.indexes, threads=settings.training.threads)
        attributes = UserAttributes(stores.users, await stores.users.version())
        serving = Serving(
            settings=settings,
            features=loop.features,
            cache=MemorySlateCache(settings.cache, clock_ms),
            log=loop.log,
            table=ItemTable(
                [item async for item in items.all()], await items.version()
            ),  # until the first swap
            trends=trends,
            newcomers=newcomers,
            exploration=exploration,
            attributes=attributes,
        )
        stack.callback(serving.close)
        ledger.on_tired(serving.on_tired)
        ruling = Ruling(stores.rules, serving, loop.log)
        await ruling.follow()
        profiles = Profiles(stores.users, attributes, serving)

        def swap(model: Model) -> None:
            serving.swap(model)
            # What lives as long as the model need not be looked at by every full collection: those took
            # 70 ms each and were the hit's p99 (80 ms before, 3 ms after).
            gc.freeze()

        live = Live(home.models, partial(load_model, home), swap)
        await asyncio.to_thread(live.check)
        live.start()
        stack.callback(live.stop)
        folding = processor(settings, loop)
        folding.on_folded(trends.on_folded)
        folding.on_folded(ledger.on_folded)  # before serving: its next slate needs to know of impressions
        folding.on_folded(serving.on_folded)
        days, window = settings.log.retention_days, settings.log.dedup_window
        retention = Retention(loop.log, loop.features, days=days, dedup_window=window)
        retention.start()
        stack.callback(retention.stop)
        trends.start()
        stack.callback(trends.stop)
        ledger.start()
        stack.callback(ledger.stop)
        folding.start()
        stack.callback(folding.stop)

        async def show_changes() -> None:
            """Slates show whatever the catalog holds now."""
            while changes := await items.changes(serving.table.version, CHANGES):
                await asyncio.to_thread(serving.apply, changes)

        for work in (
            show_changes,
            ruling.follow,
            profiles.follow,
            Publisher(stores.outbox, loop.log).publish,
        ):
            stack.push_async_callback(_ended, asyncio.create_task(_every(CATALOG_POLL_S, work)))
        country = open_country(settings.telemetry.geoip_file) if settings.telemetry.geoip_file else no_country

        def category_of(item_id: str) -> str | None:
            item = serving.table.items[at] if (at := serving.table.position(item_id)) >= 0 else None
            return item.category if item is not None else None

        async def forget_user(user_id: str) -> None:
            await serving.erase(user_id)
            await asyncio.to_thread(ledger.forget_user, user_id)

        shop = Shop(
            home=home,
            serving=serving,
            explaining=Explaining(serving, loop.log, loop.features, model_of(home), attributes),
            collector=Collector(loop.log, category_of, settings, country=country),
            onboarding=Onboarding(loop.log, loop.features, lambda: serving.table),
            items=items,
            table=lambda: serving.table,
            features=loop.features,
            accounts=lambda: ledger.read(lambda known: accounts(known, exploration, serving.table)),
            rules=ruling,
            profiles=profiles,
            authority=Authority(keys, settings.auth),
            limiter=MemoryRateLimiter(),
            secret=signing_secret(home, settings) if in_development else None,
            checks={
                "log": lambda: loop.log.failure,
                "features": lambda: _behind(folding),
                "model": lambda: live.problem if live.model is None else None,
            },
            warnings={"model": lambda: live.problem or (UNTRAINED if live.model is None else None)},
            catalog_changed=show_changes,
            forget_user=forget_user,
        )
        gateway = build(shop, settings)
        gc.collect()
        gc.freeze()
        yield gateway


def _behind(folding: Processor) -> str | None:
    lag = folding.lag()
    return None if lag < READY_LAG else f"{lag} events are not folded yet"


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


@contextmanager
def owned(settings: Settings, home: Home) -> Iterator[Loop]:
    """The log and the features, to write.

    Raises DatabaseOwned while another process owns them, FoldChanged and RebuildUnfinished."""
    with to_rebuild(settings, home) as loop:
        loop.features.agree()
        yield loop


def to_rebuild(settings: Settings, home: Home) -> AbstractContextManager[Loop]:
    """The same, whatever settings the features were folded with."""
    from shortlist.database import open_database

    return _loop(settings, home, open_database)


def followed(settings: Settings, home: Home) -> AbstractContextManager[Loop]:
    """The log and the features, to read, beside their owner. Raises DatabaseMissing where there are none."""
    from shortlist.database import open_reader

    return _loop(settings, home, open_reader)


@contextmanager
def _loop(settings: Settings, home: Home, opened: "Callable[[Home], Database]") -> Iterator[Loop]:
    from shortlist.events.log_rocksdb import RocksLog
    from shortlist.features.store_rocksdb import RocksFeatures
    from shortlist.features.view import user_view

    _only_embedded(settings)
    topics = {EVENTS: settings.log.partitions, SERVED: SERVED_PARTITIONS, ITEMS: 1}
    waiting = settings.log.max_waiting_events
    with closing(opened(home)) as database, closing(RocksLog(database, topics, max_waiting=waiting)) as log:
        features = RocksFeatures(
            database,
            user_view(settings),
            partitions=log.partitions(EVENTS),
            dedup_window=settings.log.dedup_window,
        )
        yield Loop(log, features)


def processor(settings: Settings, loop: Loop) -> Processor:
    """What folds the log into the features; not started."""
    return Processor(loop.log, loop.features, batch=settings.features.batch)


def catalog(settings: Settings, home: Home) -> AbstractAsyncContextManager[CatalogStore]:
    """The items alone, for commands; the schema brought up to date."""
    from shortlist.catalog.store_sql import open_sql

    home.make()
    return open_sql(settings.catalog.url, home.catalog)


@dataclass(frozen=True, slots=True)
class CatalogStores:
    """What the catalog's database holds, by what it is for."""

    items: CatalogStore
    rules: RuleStore
    users: UserStore
    outbox: Outbox
    embeddings: Embeddings


@asynccontextmanager
async def catalog_stores(settings: Settings, home: Home) -> AsyncIterator[CatalogStores]:
    """Everything in the catalog's database, its schema brought up to date."""
    from shortlist.catalog.embeddings_sql import SqlEmbeddings
    from shortlist.catalog.engine import open_engine
    from shortlist.catalog.outbox_sql import SqlOutbox
    from shortlist.catalog.rules_store_sql import SqlRules
    from shortlist.catalog.store_sql import SqlCatalog
    from shortlist.catalog.users_store_sql import SqlUsers

    home.make()
    async with open_engine(settings.catalog.url, home.catalog) as engine:
        yield CatalogStores(
            SqlCatalog(engine),
            SqlRules(engine),
            SqlUsers(engine),
            SqlOutbox(engine),
            SqlEmbeddings(engine),
        )


async def item_table(settings: Settings, home: Home, order: Sequence[str] = ()) -> ItemTable:
    """The catalog as a table, for commands that need it once. order: ids that take the first positions."""
    async with catalog(settings, home) as items:
        version = await items.version()
        return ItemTable([item async for item in items.all()], version, order)


async def rules_of(settings: Settings, home: Home) -> list[Rule]:
    """The operator's rules, for commands."""
    async with catalog_stores(settings, home) as stores:
        return (await stores.rules.rules())[1]


async def attributes_of(settings: Settings, home: Home, user_ids: Sequence[str]) -> dict[str, Attributes]:
    """Attributes of those of these users who have any, for commands."""
    async with catalog_stores(settings, home) as stores:
        if not await stores.users.version():
            return {}
        found = zip(user_ids, await stores.users.read(user_ids), strict=True)
        return {user_id: attributes for user_id, attributes in found if attributes}


async def try_rule(settings: Settings, home: Home, draft: Rule | None, most: int) -> "DryRun":
    """What a rule would have done to at most `most` of the last slates, worked out beside the server.

    Raises RuleInvalid."""
    from shortlist.ranking.rules import Rulebook
    from shortlist.serving.dry_run import dry_run, sample_of
    from shortlist.serving.recommend import Recommender
    from shortlist.serving.ruling import usable
    from shortlist.serving.serving import clock_ms
    from shortlist.serving.snapshot import snapshot

    try:
        model = load_serving(home)
    except ModelUnknown:
        model = None
    table = await item_table(settings, home, model.item_ids if model is not None else ())
    book = Rulebook(table, usable(await rules_of(settings, home)), clock_ms)
    now = snapshot(model, table, None, settings.candidates, rulebook=book)
    with followed(settings, home) as loop:
        sample = sample_of(loop.log, most)
        users = list({slate.user_id for slate in sample.slates if slate.user_id is not None})
        attributes = await attributes_of(settings, home, users)
        by = Recommender(loop.features, settings, clock_ms, lambda user: attributes.get(user, {}))
        know = functools.partial(by.know, snapshot=now)
        return dry_run(draft, sample, now, know, by.nobody(now), settings.rules)


@contextmanager
def explainer(settings: Settings, home: Home) -> Iterator["Explainer"]:
    """Explains and replays what was served, from log, catalog and models, beside a running server.

    Raises ModelUnknown before the first training. Users' attributes are none: today's rules that ask for them
    do not apply."""
    from shortlist.catalog.past import CatalogPast
    from shortlist.ranking.rules import Rulebook
    from shortlist.serving.explaining import Explainer
    from shortlist.serving.newcomers import bring_new_items
    from shortlist.serving.replay import Replayer
    from shortlist.serving.ruling import usable
    from shortlist.serving.serving import clock_ms
    from shortlist.serving.snapshot import snapshot
    from shortlist.serving.trace import Traces
    from shortlist.serving.world import Worlds

    model = load_serving(home)
    table = asyncio.run(item_table(settings, home, model.item_ids))
    rules = usable(asyncio.run(rules_of(settings, home)))
    now = snapshot(model, table, None, settings.candidates, rulebook=Rulebook(table, rules))
    bring_new_items(now)
    with followed(settings, home) as loop:
        worlds = Worlds(lambda: now, model_of(home), CatalogPast(loop.log))
        yield Explainer(
            Traces(loop.log, lambda request_id: None),
            Replayer(worlds, loop.log, loop.features),
            lambda: now,
            settings,
            lambda user_id: {},
            clock_ms,
        )


def trends_of(settings: Settings, home: Home) -> "Published":
    """What trends as of now, counted on from what a server saved; nothing where none ever did: a whole log is
    not worth counting for it."""
    from shortlist.features.trending import Published, TrendingCounts

    if not home.trending.exists():
        return Published()
    with followed(settings, home) as loop:
        trends = TrendingCounts(loop.log, loop.features, settings, file=home.trending)
        trends.replay()
        trends.publish()
        return trends.published


async def accounts_of(settings: Settings, home: Home) -> "Accounts":
    """The ledger of new items as of now, read beside a running server."""
    from shortlist.coldstart.accounts import accounts
    from shortlist.coldstart.exploration import Exploration
    from shortlist.coldstart.keeper import LedgerKeeper

    try:
        trained = load_serving(home).item_ids
    except ModelUnknown:
        trained = []
    table = await item_table(settings, home, trained)
    with followed(settings, home) as loop:
        ledger = LedgerKeeper(loop.log, loop.features, settings, file=home.exploration)
        exploration = Exploration(settings.exploration, ledger)
        exploration.refresh(table, len(trained))
        ledger.replay()
        exploration.renew()  # the replay may have decided what the server is about to
        return ledger.read(lambda known: accounts(known, exploration, table))


def registry(settings: Settings, home: Home) -> ModelRegistry:
    """The model registry. Importing MLflow takes seconds: for what trains, lists or rolls back."""
    from shortlist.models.registry_mlflow import MlflowRegistry

    home.make()
    return MlflowRegistry(home.models, keep=settings.training.keep_versions)


def _only_embedded(settings: Settings) -> None:
    for name, url in (("log.url", settings.log.url), ("features.url", settings.features.url)):
        if (scheme := urlsplit(url).scheme) != "rocksdb":
            raise SettingsError(f"{name}: nothing here speaks {scheme or url}://; use rocksdb:")


def load_model(home: Home, folder: Path, version: str) -> Model:
    """The model in a folder of artifacts. Raises ModelCorrupt naming a damaged file."""
    from shortlist.models.load import load_model as load

    return _with_a_ranker_that_fits(load(folder, version, open_ranker, open_encoder(home)))


def model_of(home: Home) -> Callable[[str], Model]:
    """Loads any version that is kept. Raises ModelUnknown where it was deleted, ModelCorrupt."""

    def load(version: str) -> Model:
        folder = home.models / "versions" / version
        if not folder.is_dir():
            raise ModelUnknown(
                f"version {version} was deleted (setting training.keep_versions says how many are kept)"
            )
        return load_model(home, folder, version)

    return load


def load_serving(home: Home) -> Model:
    """The model that serves. Raises ModelUnknown where none does, ModelCorrupt naming a damaged file."""
    from shortlist.models.load import load_serving as load

    return _with_a_ranker_that_fits(load(home.models, open_ranker, open_encoder(home)))


def _with_a_ranker_that_fits(model: Model) -> Model:
    """Without its ranker, if the sources have changed since: the blend serves until the next training."""
    from shortlist.ranking.chain import Chain

    try:
        Chain(list(model.sources.values()), {}, model.ranker, model.blend, 1, model.codes)
    except ValueError as error:
        log.error("ranker does not fit, the blend serves", version=model.version, why=str(error))
        return dataclasses.replace(model, ranker=None)
    return model


def fit_encoder(settings: Settings, home: Home) -> "FitEncoder":
    """What makes the text encoder that the settings name."""
    from shortlist.training.fit import fit_tfidf

    return _fit_bert(Path(settings.catalog.bert_folder), home) if settings.catalog.bert_folder else fit_tfidf


def _fit_bert(folder: Path, home: Home) -> "FitEncoder":
    from shortlist.catalog.bert_export import exported
    from shortlist.catalog.encoder_bert import Bert, BertEncoder

    def fit(items: Sequence[Item | None], training: TrainingSettings, report: Report) -> Encoder:
        report("BERT's network", 0.0)
        bert = Bert(exported(folder, home.encoders), training.threads)
        report("BERT's network", 1.0)
        return BertEncoder.fit(items, training.content_dim, training.seed, bert)

    return fit


def open_encoder(home: Home) -> Callable[[Arrays], Encoder | None]:
    """What makes a model's text encoder of its arrays; None, logged, where a part of it is missing."""
    from shortlist.catalog.encoder import EncoderError, unpacked
    from shortlist.catalog.encoder_tfidf import TfidfEncoder

    def opened(arrays: Arrays) -> Encoder | None:
        if not unpacked(arrays["name"]).startswith("bert:"):
            return TfidfEncoder.from_arrays(arrays)
        from shortlist.catalog.encoder_bert import BertEncoder

        try:
            return BertEncoder.from_arrays(arrays, home.encoders, threads=1)
        except EncoderError as error:
            log.error("no text encoder, new items wait for the next training", why=str(error))
            return None

    return opened


def open_ranker(
    model: bytes, *, feature_names: tuple[str, ...], calibration: Calibration, model_version: str
) -> Scorer:
    """The scorer of a ranker's ONNX bytes, in this process. Raises ScorerError when they are none."""
    from shortlist.ranking.scorer_onnx import OnnxScorer

    return OnnxScorer(
        model, feature_names=feature_names, calibration=calibration, model_version=model_version
    )
