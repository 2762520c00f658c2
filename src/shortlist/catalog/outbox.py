"""Telling others of the catalog's changes: what a transaction leaves in the outbox goes to the log."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from itertools import groupby

from msgspec import Struct

from shortlist.events.log import EventLog, Record

BATCH = 512  # records per append, as many as the log makes durable at once
# Records read and deleted at once: a delete is a transaction with an fsync, and who writes an item meanwhile
# waits for it. After an import of 100k items these are 25 instead of 200.
READ = 4_096


class Outgoing(Struct, frozen=True):
    """One record that waits: of which topic, with which key, and its bytes. Ids rise in commit order."""

    id: int
    topic: str
    key: str
    value: bytes


class Outbox(ABC):
    """Records written in the same transaction as what they tell of."""

    @abstractmethod
    async def waiting(self, limit: int) -> list[Outgoing]:
        """The oldest `limit` records, in the order of their commits."""

    @abstractmethod
    async def forget(self, through: int) -> None:
        """Delete the records up to this id: the log has them."""


class Publisher:
    """Moves records from the outbox to the log: at least once, in order, then deleted.

    A crash between the append and the delete publishes the batch again; readers know a change by its version.
    One publisher at a time: the process that owns the log.
    """

    def __init__(self, outbox: Outbox, events: EventLog) -> None:
        self._outbox, self._events = outbox, events

    async def publish(self) -> int:
        """Move all that waits; how many that were. Raises LogUnavailable, CatalogUnavailable: call again."""
        moved = 0
        while waiting := await self._outbox.waiting(READ):
            for topic, records in _batches(waiting):
                await self._events.append(topic, records)
            await self._outbox.forget(waiting[-1].id)
            moved += len(waiting)
        return moved


def _batches(waiting: Sequence[Outgoing]) -> Iterator[tuple[str, list[Record]]]:
    """The records in their order, a topic's own in a row together, not too many at once."""
    for topic, ours in groupby(waiting, key=lambda record: record.topic):
        records = [Record(key=record.key, value=record.value) for record in ours]
        for start in range(0, len(records), BATCH):
            yield topic, records[start : start + BATCH]
