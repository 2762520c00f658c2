"""The catalog as it was: what an item was before a change, read from the changes in the log."""

from bisect import bisect_right

import msgspec
from msgspec import Struct

from shortlist.catalog.item import Item
from shortlist.catalog.store import CatalogError, Change
from shortlist.events.log import ITEMS, EventLog, OffsetGone, RecordCorrupt

SCANNED = 200_000  # last changes that are looked at: 0.3 s and 40 MB
READ = 5_000
NAMED = 5  # items that a message names


class CatalogGone(CatalogError):
    """What an item was at a version is not in the log."""


class Then(Struct, frozen=True):
    """What changed since a version, as it was at that version.

    items: by id; None: it was not there. unknown: those of them that had never been there until then."""

    items: dict[str, Item | None]
    unknown: frozenset[str]


class _Head(Struct):
    version: int
    item_id: str


_head = msgspec.json.Decoder(_Head).decode
_change = msgspec.json.Decoder(Change).decode


class CatalogPast:
    """Follows the log of changes. Blocking; one thread at a time."""

    def __init__(self, events: EventLog, *, scanned: int = SCANNED) -> None:
        """scanned: how many of the last changes are looked at."""
        self._events, self._scanned = events, scanned
        self._next = -1  # offset to go on from; -1: nothing was read yet
        self._is_whole = False  # whether every change there ever was has been read
        self._versions: list[int] = []  # of all changes read, ascending
        self._items: list[str] = []  # the item of each
        self._of: dict[str, list[tuple[int, int]]] = {}  # item → (version, offset), ascending

    def since(self, version: int, now: int) -> Then:
        """Every item changed after `version`, as it was at `version`.

        now: the version of today's catalog. Raises CatalogGone naming items whose state is not known."""
        if version == now:
            return Then({}, frozenset())
        self._follow()
        if version > now or not self._versions or self._versions[-1] < now:
            raise CatalogGone(
                f"the catalog's changes after version {self._versions[-1] if self._versions else 0} are not "
                "in the log yet; try again in a second"
            )
        if not self._is_whole and version < self._versions[0] - 1:
            raise CatalogGone(
                f"the log of changes goes back to version {self._versions[0]} of the catalog, "
                f"not to {version}"
            )
        changed = dict.fromkeys(self._items[bisect_right(self._versions, version) :])
        found: dict[str, Item | None] = {}
        new, missing = set(), []
        for item_id in changed:
            states = self._of[item_id]
            at = bisect_right(states, version, key=lambda state: state[0]) - 1
            if at >= 0:
                found[item_id] = self._read(states[at][1])
            elif self._is_whole:
                found[item_id] = None
                new.add(item_id)
            else:
                missing.append(item_id)
        if missing:
            named = ", ".join(missing[:NAMED])
            more = f" and {len(missing) - NAMED} more" if len(missing) > NAMED else ""
            raise CatalogGone(f"items changed since, and what they were is not in the log: {named}{more}")
        return Then(found, frozenset(new))

    def _read(self, offset: int) -> Item | None:
        (stored,) = self._events.read(ITEMS, 0, offset, 1)
        return _change(stored.value).item

    def _follow(self) -> None:
        (begin,), (end,) = self._events.begins(ITEMS), self._events.ends(ITEMS)
        if self._next < 0:
            self._next = max(begin, end - self._scanned)
            is_first = self._next == 0
        else:
            is_first = False
        while self._next < end:
            try:
                batch = self._events.read(ITEMS, 0, self._next, READ)
            except (RecordCorrupt, OffsetGone) as error:
                raise CatalogGone(f"the log of changes cannot be read: {error}") from None
            if not batch:
                return
            for stored in batch:
                head = _head(stored.value)
                if self._versions and head.version <= self._versions[-1]:
                    continue  # published twice, after a crash
                if is_first:
                    self._is_whole, is_first = head.version == 1, False
                self._versions.append(head.version)
                self._items.append(head.item_id)
                self._of.setdefault(head.item_id, []).append((head.version, stored.offset))
            self._next = batch[-1].offset + 1
