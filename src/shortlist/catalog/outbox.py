"""Telling others of the catalog's changes: what a transaction leaves in the outbox goes to the log."""

from abc import ABC, abstractmethod

import structlog
from msgspec import Struct

from shortlist.events.log import EventLog, Record

log = structlog.get_logger()

BATCH = 512  # records per append, as many as the log makes durable at once


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
        while batch := await self._outbox.waiting(BATCH):
            begin = 0
            for end in range(1, len(batch) + 1):  # the log takes one topic at a time
                if end == len(batch) or batch[end].topic != batch[begin].topic:
                    records = [Record(key=r.key, value=r.value) for r in batch[begin:end]]
                    await self._events.append(batch[begin].topic, records)
                    begin = end
            await self._outbox.forget(batch[-1].id)
            moved += len(batch)
        return moved
