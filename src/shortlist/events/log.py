"""The port of the event log: an append-only, partitioned record of everything that happened."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

from msgspec import Struct

from shortlist.errors import ShortlistError

EVENTS = "clickstream.events"
SERVED = "recommendation.impressions"
ITEMS = "catalog.items"


class EventLogError(ShortlistError):
    """The event log cannot do what was asked."""


class LogUnavailable(EventLogError):
    """The log did not take the records in time, or its queue is full: nothing was accepted, send again."""


class LogOwned(EventLogError):
    """This log is open for reading; only its owner appends, commits and truncates."""


class RecordCorrupt(EventLogError):
    """A stored record fails its checksum or is not there; whoever must go on does so at `offset` + 1."""

    def __init__(self, topic: str, partition: int, offset: int, why: str) -> None:
        super().__init__(
            f"{topic}/{partition}: the record at offset {offset} is damaged: {why}; "
            "check the disk, and restore the home from a copy if the event must not be lost"
        )
        self.offset = offset


class OffsetGone(EventLogError):
    """The record asked for is older than what the log keeps; go on from `begin`."""

    def __init__(self, topic: str, partition: int, offset: int, begin: int) -> None:
        super().__init__(
            f"{topic}/{partition}: offset {offset} is gone, the log begins at {begin}; "
            "start from a checkpoint"
        )
        self.begin = begin


class Record(Struct, frozen=True, gc=False):
    """What is appended: `key` chooses the partition (murmur2), `value` is one JSON object."""

    key: str
    value: bytes


class Stored(Struct, frozen=True, gc=False):
    """A record as the log gives it back. `appended_ms` is the log's own clock at the append."""

    partition: int
    offset: int
    appended_ms: int
    value: bytes


class EventLog(ABC):
    """Topics of partitions of records. Order holds inside a partition; offsets rise and may have gaps.

    `append` is for the event loop; everything else blocks and is for worker threads.
    `failure` says why nothing is taken any more; None while all is well.
    """

    failure: str | None = None

    @abstractmethod
    async def append(self, topic: str, records: Sequence[Record]) -> list[tuple[int, int]]:
        """Append all of `records`, in order, and return (partition, offset) of each once they are durable.

        Raises LogUnavailable, with nothing appended, when too much waits already."""

    @abstractmethod
    def append_soon(self, topic: str, records: Sequence[Record]) -> None:
        """Append without waiting for the disk: for what the server itself says (slates served).

        Read back at once, durable with the next `append`. Drops and counts when the queue is full; never
        raises for load."""

    @abstractmethod
    def partitions(self, topic: str) -> int:
        """How many partitions the topic has; fixed when the log was made."""

    @abstractmethod
    def begins(self, topic: str) -> list[int]:
        """The first offset still kept, per partition."""

    @abstractmethod
    def ends(self, topic: str) -> list[int]:
        """One past the last durable offset, per partition."""

    @abstractmethod
    def read(self, topic: str, partition: int, offset: int, limit: int) -> list[Stored]:
        """Up to `limit` records from `offset` on, in order; empty at the end.

        Raises OffsetGone before the beginning, RecordCorrupt where a checksum fails."""

    @abstractmethod
    def recent(self, topic: str, offsets: Sequence[int]) -> dict[int, list[Stored]]:
        """By partition, the durable records from its offset in `offsets` on, where they are still in memory.

        For whoever is close behind the end: in order, as `read` gives them, without the disk. There may be
        more all the same, behind the last one given and in partitions missing here: `read` them."""

    @abstractmethod
    def wait(self, topic: str, ends: Sequence[int], timeout_s: float) -> list[int]:
        """Block until the topic's ends differ from `ends` or the time is up; the ends then."""

    @abstractmethod
    def committed(self, group: str, topic: str) -> dict[int, int]:
        """The next offset of a consumer group per partition; partitions it never committed are absent."""

    @abstractmethod
    def commit(self, group: str, topic: str, offsets: dict[int, int]) -> None:
        """Remember where a consumer group goes on."""

    @abstractmethod
    def truncate(self, topic: str, partition: int, before: int) -> None:
        """Forget records below `before`. The caller has a checkpoint there (see `features`)."""
