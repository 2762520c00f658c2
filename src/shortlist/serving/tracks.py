"""What this process holds of users while a slate of theirs may be in use, and whether it still holds."""

from collections import OrderedDict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import chain

from shortlist.events.event import EventType
from shortlist.features.store import Folded
from shortlist.serving.hot import Hot
from shortlist.serving.known import Known
from shortlist.serving.snapshot import Snapshot


@dataclass(frozen=True, slots=True)
class First:
    """The first page of a user's own list as it was shown; the pages after it go on from there.

    trace_id, limit, exclude: of which pool, and how it was asked for. items: what it showed, if new items
    took places in it; empty: it was the pool's own.
    """

    trace_id: str
    limit: int
    exclude: tuple[str, ...]
    items: tuple[str, ...]


class Track:
    """What this process holds of one user while a pool of theirs may be in use.

    moves counts the folds, told by the processor's thread, that can change a slate; a `Known` or a ready body
    that was made before the last of them no longer holds. The count is read before features are, so that a
    fold in between only makes them too old, never too new.
    """

    __slots__ = ("first", "hot", "known", "known_moves", "moves", "warm")

    def __init__(self) -> None:
        self.moves = 0
        self.known: Known | None = None
        self.known_moves = -1
        self.hot: Hot | None = None
        self.first: First | None = None
        self.warm = False  # whether somebody asked: only then a fold recomputes the pool

    def current(self, snapshot: Snapshot) -> Known | None:
        """What is known, if it still holds."""
        known = self.known
        if (
            known is not None
            and self.known_moves == self.moves
            and known.snapshot is snapshot
            and known.catalog_version == snapshot.table.version
        ):
            return known
        return None

    def learn(self, known: Known, moves: int) -> None:
        """Remember features that were read when `moves` folds were known."""
        if moves >= self.known_moves:
            self.known, self.known_moves = known, moves


class Tracks(OrderedDict[str, Track]):
    """By user, those asked for last at the end; the others make room.

    Changed on the event loop alone, but for their order: hits move users to the end from the server's thread.
    """

    def __init__(self, most: int) -> None:
        super().__init__()
        self._most = most

    def of(self, user_id: str) -> Track:
        """The track of somebody who asks now."""
        track = self.get(user_id)
        if track is None:
            track = self[user_id] = Track()
            if len(self) > self._most:
                self.popitem(last=False)
        else:
            self.move_to_end(user_id)
        return track

    def moved(self, folded: Sequence[Folded], tried: Collection[str]) -> dict[str, Track]:
        """Count folded events whose users' slates they change; the tracks whose pools are to be made anew. On
        the processor's thread.

        tried: ids of the new items that are tried out."""
        found: dict[str, Track] = {}
        tired = frozenset[str]().union(*(one.tired for one in folded))
        for event in chain.from_iterable(one.events for one in folded):
            # What was shown changes no filters, and the order only when it was shown in vain too often; but
            # also which new item comes next.
            is_shown = event.type is EventType.IMPRESSION
            is_taste = not is_shown or event.user_id in tired
            if not is_taste and event.item_id not in tried:
                continue
            if (track := self.get(event.user_id)) is not None:
                track.moves += 1
                if is_taste:
                    found[event.user_id] = track
        return found

    def cut_anew(self, user_ids: Collection[str]) -> None:
        """Let go of the ready bodies of these users."""
        for user_id in user_ids:
            if (track := self.get(user_id)) is not None:
                track.hot = None

    def forget_snapshots(self) -> None:
        """Let the old model go: ready bodies and what was known refer to it."""
        for track in list(self.values()):  # hits move them about meanwhile
            track.hot = None
            track.known = None
