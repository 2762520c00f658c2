"""Fixtures of the features room."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager

import pytest

from shortlist.database import open_database
from shortlist.events.event import Event, encode
from shortlist.events.log import EVENTS, SERVED, Record
from shortlist.events.log_rocksdb import RocksLog
from shortlist.features.store_rocksdb import RocksFeatures
from shortlist.features.view import user_view
from shortlist.home import Home
from shortlist.settings import Settings
from tests.features.made import START_MS, append

PARTITIONS = 5


class Room:
    """A log and a store on one database."""

    def __init__(self, log: RocksLog, store: RocksFeatures) -> None:
        self.log = log
        self.store = store

    def append(self, *events: Event) -> None:
        """Append events and wait until they are durable."""
        append(self.log, EVENTS, [Record(event.user_id, encode(event)) for event in events])

    def append_values(self, user_id: str, values: Sequence[bytes]) -> None:
        """Append whatever it is."""
        append(self.log, EVENTS, [Record(user_id, value) for value in values])


Opened = Callable[..., AbstractContextManager[Room]]


@pytest.fixture
def opened(home: Home) -> Opened:
    """Open the home's log and store, as often as wanted."""

    @contextmanager
    def opening(
        settings: Settings | None = None, now_ms: Callable[[], int] = lambda: START_MS
    ) -> Iterator[Room]:
        chosen = settings or Settings()
        database = open_database(home)
        log = RocksLog(database, {EVENTS: PARTITIONS, SERVED: 2}, now_ms=now_ms)
        view, window = user_view(chosen), chosen.log.dedup_window
        try:
            yield Room(log, RocksFeatures(database, view, partitions=PARTITIONS, dedup_window=window))
        finally:
            log.close()
            database.close()

    return opening


@pytest.fixture
def room(opened: Opened) -> Iterator[Room]:
    """An open log and store."""
    with opened() as room:
        yield room
