"""The log read again: the events of a partition that count, as the fold counts them."""

from collections.abc import Iterator

from shortlist.events.event import Event, readable
from shortlist.events.log import EVENTS, EventLog, Stored
from shortlist.events.scan import scan
from shortlist.features.dedup import Window, identity, unrepeated


def counted(
    events: EventLog, partition: int, start: int, end: int, dedup_window: int
) -> Iterator[tuple[Stored, Event]]:
    """The events of [start, end) that are no repeats, with their records.

    What lies up to `dedup_window` offsets before `start` is read too, for repeats of it."""
    window = Window(dedup_window)
    begin = events.begins(EVENTS)[partition]
    for record in scan(events, EVENTS, partition, max(begin, start - dedup_window), end):
        event = readable(record.value)
        if event is None:
            continue
        at = record.offset
        counts = unrepeated(event, lambda one: window.is_duplicate(identity(one), at))  # noqa: B023
        if counts is not None and at >= start:
            yield record, counts
