"""The log read again: the events of a partition that count, as the fold counts them."""

from collections.abc import Iterator

import structlog

from shortlist.events.event import Event, readable
from shortlist.events.log import EVENTS, EventLog, RecordCorrupt, Stored
from shortlist.features.dedup import Window, identity, unrepeated

log = structlog.get_logger()

BATCH = 5_000


def records(events: EventLog, partition: int, start: int, end: int) -> Iterator[Stored]:
    """The records of a partition in [start, end); damaged ones are logged and left out."""
    offset = start
    while offset < end:
        try:
            batch = events.read(EVENTS, partition, offset, min(BATCH, end - offset))
        except RecordCorrupt as corrupt:
            log.error("damaged record left out", partition=partition, offset=corrupt.offset)
            offset = corrupt.offset + 1
            continue
        if not batch:
            return
        yield from batch
        offset = batch[-1].offset + 1


def counted(
    events: EventLog, partition: int, start: int, end: int, dedup_window: int
) -> Iterator[tuple[Stored, Event]]:
    """The events of [start, end) that are no repeats, with their records.

    What lies up to `dedup_window` offsets before `start` is read too, for repeats of it."""
    window = Window(dedup_window)
    begin = events.begins(EVENTS)[partition]
    for record in records(events, partition, max(begin, start - dedup_window), end):
        event = readable(record.value)
        if event is None:
            continue
        at = record.offset
        counts = unrepeated(event, lambda one: window.is_duplicate(identity(one), at))  # noqa: B023
        if counts is not None and at >= start:
            yield record, counts
