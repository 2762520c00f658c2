"""Reading a stretch of the log that may hold damage, and that retention may shorten meanwhile."""

from collections.abc import Iterator

import structlog

from shortlist.events.log import EventLog, OffsetGone, RecordCorrupt, Stored

log = structlog.get_logger()

AT_ONCE = 5_000


def scan(
    events: EventLog, topic: str, partition: int, start: int, end: int, *, at_once: int = AT_ONCE
) -> Iterator[Stored]:
    """The records of a partition in [start, end). Damaged ones are logged and left out, those that are gone
    are passed over. at_once: most records in memory at a time."""
    offset = start
    while offset < end:
        try:
            batch = events.read(topic, partition, offset, min(at_once, end - offset))
        except OffsetGone as gone:
            offset = gone.begin
            continue
        except RecordCorrupt as corrupt:
            log.error("damaged record left out", topic=topic, partition=partition, offset=corrupt.offset)
            offset = corrupt.offset + 1
            continue
        if not batch:
            return
        yield from batch
        offset = batch[-1].offset + 1
