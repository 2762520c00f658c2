"""Which records are repeats: decided by offsets alone, so that every replay decides alike."""

from collections.abc import Callable

import msgspec

from shortlist.events.event import NOT_TOLD, Event, EventType, Told


def identity(event: Event) -> str:
    """What two deliveries of one event share. The user is part of it: nobody can make another's event a
    repeat by choosing its id.

    The length keeps ("a", "bc") and ("ab", "c") apart."""
    return f"{len(event.user_id)}:{event.user_id}{event.event_id}"


class Window:
    """The identities seen in one partition, as far back as a repeat is recognised.

    size: a record at offset o repeats one of the same identity in [o - size, o), counted or repeated itself.
    """

    def __init__(self, size: int, seen: dict[str, int] | None = None) -> None:
        """seen: identity → last offset, where the caller knows what came before."""
        self._size = size
        self._seen = {} if seen is None else seen

    def is_duplicate(self, event_id: str, offset: int) -> bool:
        """Whether `event_id` (an event's `identity`) repeats; remembers it. Call once per record, in order.

        >>> window = Window(2)
        >>> [window.is_duplicate("a", offset) for offset in (0, 2, 5)]
        [False, True, False]
        """
        before = self._seen.get(event_id)
        self._seen[event_id] = offset
        if len(self._seen) > 2 * self._size + 1_000:  # rare, so its cost is spread over a window's records
            oldest = offset - self._size
            self._seen = {key: at for key, at in self._seen.items() if at >= oldest}
        return before is not None and offset - before <= self._size


def unrepeated(event: Event, is_repeat: Callable[[Event], bool]) -> Event | None:
    """An event without what of it repeats: None, or a merge that tells only what is new.

    is_repeat: asked once for the event and, unless it repeats itself, for all that it tells, in order."""
    if is_repeat(event):
        return None
    if event.type is not EventType.MERGE:
        return event
    user_id, past = event.user_id, event.past

    def is_new(told: Told) -> bool:
        own = msgspec.structs.replace(told.event, user_id=user_id)
        return told.event.type not in NOT_TOLD and not is_repeat(own)

    return msgspec.structs.replace(event, past=tuple(told for told in past if is_new(told)))
