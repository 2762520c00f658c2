"""The fast loop's state, opened: the log and the features that are folded from it."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from shortlist.events.log import EVENTS, ITEMS, SERVED, EventLog
from shortlist.features.processor import Processor
from shortlist.features.store import FeatureStore
from shortlist.home import Home
from shortlist.settings import Settings, SettingsError

if TYPE_CHECKING:
    from shortlist.database import Database

SERVED_PARTITIONS = 8


@dataclass(frozen=True, slots=True)
class Loop:
    """The fast loop's state: the log and what is folded from it."""

    log: EventLog
    features: FeatureStore


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


def _only_embedded(settings: Settings) -> None:
    for name, url in (("log.url", settings.log.url), ("features.url", settings.features.url)):
        if (scheme := urlsplit(url).scheme) != "rocksdb":
            raise SettingsError(f"{name}: nothing here speaks {scheme or url}://; use rocksdb:")


def processor(settings: Settings, loop: Loop) -> Processor:
    """What folds the log into the features; not started."""
    return Processor(loop.log, loop.features, batch=settings.features.batch)
