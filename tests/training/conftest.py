"""Fixtures of the training room: a log of its own, and a clock that tests move."""

import asyncio
import itertools
from collections.abc import Iterator

import pytest

from shortlist.database import open_database
from shortlist.events.event import Event, EventType, encode
from shortlist.events.log import EVENTS, EventLog, Record
from shortlist.events.log_rocksdb import RocksLog
from shortlist.home import Home


class Shop:
    """A log that tests write to, one event at a time. `now_ms` is its clock."""

    def __init__(self) -> None:
        self.now_ms = 1_700_000_000_000
        self.log: EventLog
        self._numbers = itertools.count()

    def did(self, user: str, kind: str, item: str, **fields: object) -> None:
        """Append one event; without `ts` it happened now."""
        fields = {"event_id": f"e{next(self._numbers)}", "ts": self.now_ms, **fields}
        event = Event(user_id=user, type=EventType(kind), item_id=item, **fields)  # type: ignore[arg-type]
        self.append(user, encode(event))

    def append(self, key: str, value: bytes) -> None:
        """Append raw bytes."""
        asyncio.run(self.log.append(EVENTS, [Record(key, value)]))


@pytest.fixture
def shop(home: Home) -> Iterator[Shop]:
    """A shop whose log has three partitions and is empty."""
    shop = Shop()
    database = open_database(home)
    log = RocksLog(database, {EVENTS: 3}, now_ms=lambda: shop.now_ms)
    shop.log = log
    yield shop
    log.close()
    database.close()
