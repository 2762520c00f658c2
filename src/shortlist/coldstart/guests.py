"""A guest logs in: what they did so far is told again in the user's partition, as one event (flow 9)."""

import msgspec

from shortlist.errors import ShortlistError
from shortlist.events.event import NOT_TOLD, Event, EventType, Told, readable
from shortlist.events.log import EVENTS, EventLog
from shortlist.events.partition import partition_of
from shortlist.events.scan import scan

LOOKED_BACK = 20_000  # records of the guest's partition, the newest: of 100 partitions 2 million events
READ = 2_000  # at a time: 1 ms
MOST = 200  # events told: as many as a user's past keeps


class MergeInvalid(ShortlistError):
    """A merge that cannot be: the message says why; nothing was kept."""


def merge(user_id: str, guest: str, past: tuple[Told, ...], *, event_id: str, now_ms: int) -> Event:
    """The event by which a guest's past becomes the user's. Raises MergeInvalid for somebody's own guest."""
    if user_id == guest:
        raise MergeInvalid(f"guest: {guest!r} is the user; name the id the events had before the login")
    return Event(
        event_id=event_id,
        user_id=user_id,
        type=EventType.MERGE,
        item_id="",
        ts=now_ms,
        guest=guest,
        past=past,
    )


def past_of(log: EventLog, guest: str) -> tuple[Told, ...]:
    """The last events of a guest, oldest first, each once. Blocking, for worker threads: up to 20 ms.

    A guest is of today: only the newest records of the partition are looked at."""
    partition = partition_of(guest, log.partitions(EVENTS))
    begin, end = log.begins(EVENTS)[partition], log.ends(EVENTS)[partition]
    begin = max(begin, end - LOOKED_BACK)
    named = b'"user_id":' + msgspec.json.encode(guest)  # as the log writes it: others are not decoded
    found: dict[str, Told] = {}
    for record in scan(log, EVENTS, partition, begin, end, at_once=READ):
        if named not in record.value or (event := readable(record.value)) is None:
            continue
        if event.user_id == guest:  # a repeat is none of another type either
            plain = msgspec.structs.replace(event, extra=None, past=())
            found.setdefault(event.event_id, Told(record.offset, plain))
    return tuple([told for told in found.values() if told.event.type not in NOT_TOLD][-MOST:])
