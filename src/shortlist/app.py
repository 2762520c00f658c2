"""The composition root: the only file that knows which engine is behind which port.

Opens what the settings name, hands each part what it needs, and closes in reverse order, also on failure.
"""

from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit

from shortlist.catalog.store import CatalogStore
from shortlist.events.log import EVENTS, ITEMS, SERVED, EventLog
from shortlist.features.processor import Processor
from shortlist.features.store import FeatureStore
from shortlist.home import Home
from shortlist.models.model import Model
from shortlist.models.registry import ModelRegistry
from shortlist.ranking.scorer import Calibration, Scorer
from shortlist.settings import Settings, SettingsError

SERVED_PARTITIONS = 8


@dataclass(frozen=True, slots=True)
class Loop:
    """The fast loop's state: the log and what is folded from it."""

    log: EventLog
    features: FeatureStore


@contextmanager
def owned(settings: Settings, home: Home) -> Iterator[Loop]:
    """The log and the features, to write. Raises LogOwned while another process owns them."""
    from shortlist.database import open_database

    _only_embedded(settings)
    database = open_database(home)
    try:
        with _loop(settings, database) as loop:
            yield loop
    finally:
        database.close()


@contextmanager
def followed(settings: Settings, home: Home) -> Iterator[Loop]:
    """The log and the features, to read, beside their owner. Raises DatabaseMissing where there are none."""
    from shortlist.database import open_reader

    _only_embedded(settings)
    database = open_reader(home)
    try:
        with _loop(settings, database) as loop:
            yield loop
    finally:
        database.close()


@contextmanager
def _loop(settings: Settings, database: object) -> Iterator[Loop]:
    from shortlist.database import Database
    from shortlist.events.log_rocksdb import RocksLog
    from shortlist.features.store_rocksdb import RocksFeatures
    from shortlist.features.view import user_view

    assert isinstance(database, Database)
    topics = {EVENTS: settings.log.partitions, SERVED: SERVED_PARTITIONS, ITEMS: 1}
    log = RocksLog(database, topics, max_waiting=settings.log.max_waiting_events)
    try:
        features = RocksFeatures(
            database,
            user_view(settings),
            partitions=log.partitions(EVENTS),
            dedup_window=settings.log.dedup_window,
        )
        yield Loop(log, features)
    finally:
        log.close()


def processor(settings: Settings, loop: Loop) -> Processor:
    """What folds the log into the features; not started."""
    return Processor(loop.log, loop.features, batch=settings.features.batch)


def catalog(settings: Settings, home: Home) -> AbstractAsyncContextManager[CatalogStore]:
    """The catalog, its schema brought up to date."""
    from shortlist.catalog.store_sql import open_sql

    home.make()
    return open_sql(settings.catalog.url, home.catalog)


def registry(settings: Settings, home: Home) -> ModelRegistry:
    """The model registry. Importing MLflow takes seconds: for what trains, lists or rolls back."""
    from shortlist.models.registry_mlflow import MlflowRegistry

    home.make()
    return MlflowRegistry(home.models, keep=settings.training.keep_versions)


def _only_embedded(settings: Settings) -> None:
    for name, url in (("log.url", settings.log.url), ("features.url", settings.features.url)):
        if (scheme := urlsplit(url).scheme) != "rocksdb":
            raise SettingsError(f"{name}: nothing here speaks {scheme or url}://; use rocksdb:")


def load_serving(home: Home) -> Model:
    """The model that serves. Raises ModelUnknown where none does, ModelCorrupt naming a damaged file."""
    from shortlist.models.load import load_serving as load

    return load(home.models, open_ranker)


def open_ranker(
    model: bytes, *, feature_names: tuple[str, ...], calibration: Calibration, model_version: str
) -> Scorer:
    """The scorer of a ranker's ONNX bytes, in this process. Raises ScorerError when they are none."""
    from shortlist.ranking.scorer_onnx import OnnxScorer

    return OnnxScorer(
        model, feature_names=feature_names, calibration=calibration, model_version=model_version
    )
