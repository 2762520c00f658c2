"""Who sees which new item: a stable share of users per item, and a draw where several compete for a slot.

Nothing here is random and nothing is remembered but what the ledger counts: the same user, the same new items
and the same impressions so far give the same slate.
"""

from collections.abc import Callable, Collection, Sequence
from functools import lru_cache
from threading import Lock
from typing import Protocol

from msgspec import Struct

from shortlist.catalog.table import ItemTable
from shortlist.coldstart.shares import HASHES, Shares, hashed
from shortlist.settings import ExplorationSettings

PROMOTED, RETIRED = "promoted", "retired"
USERS = 20_000  # whose new items are kept
TEN = 10  # of so many items the settings say how many are new or trending
LEAST = 5  # shorter slates have no place to give away


class Book(Protocol):
    """What exploration asks of the ledger, from any thread."""

    def seen(self, item_id: str, user_id: str) -> int:
        """Impressions of a new item by a user."""

    def verdict(self, item_id: str) -> str:
        """PROMOTED, RETIRED or empty."""

    def watch(self, new: Collection[str]) -> None:
        """From now on these are the new items."""


class NewItem(Struct, frozen=True):
    """An item that is tried out. below: users whose hash lies below it may see the item."""

    item_id: str
    below: int


class Drawn(Struct, frozen=True):
    """A new item that won a place. propensity: how likely it was to, among `candidates`."""

    item_id: str
    propensity: float
    candidates: tuple[str, ...]
    seed: str  # with user and item, what was hashed: the salt, and the candidates' impressions so far


class Explored(Struct, frozen=True):
    """A drawn item in its place in the slate, as it is logged."""

    item_id: str
    position: int  # in the slate, from 0
    propensity: float
    candidates: tuple[str, ...]
    seed: str


class Trial:
    """The new items that are tried out at one moment, the oldest first. Replaced as a whole.

    of: the items whose share holds a user."""

    def __init__(self, items: tuple[NewItem, ...] = (), salt: str = "") -> None:
        self.items = items
        self.ids = frozenset(item.item_id for item in items)
        shares = Shares(salt, [item.item_id for item in items], [item.below for item in items])

        @lru_cache(maxsize=USERS)
        def of(user_id: str) -> tuple[NewItem, ...]:
            return tuple(map(items.__getitem__, shares.of(user_id))) if items else ()

        # No method: one that is kept by its own object makes a circle, which nobody collects after a swap.
        self.of: Callable[[str], tuple[NewItem, ...]] = of


class Exploration:
    """The new items of the catalog that serves, and what each user gets of them. For any thread."""

    def __init__(self, settings: ExplorationSettings, book: Book) -> None:
        self.settings, self._book = settings, book
        self.trial = Trial()
        self.new = range(0)  # positions of all new items, tried out or not
        self._watched: range | None = None
        self._table: ItemTable | None = None
        self.trained = 0
        self._lock = Lock()

    def refresh(self, table: ItemTable, trained: int) -> None:
        """Look for new items. trained: how many of the table's positions the model knows; 0: there is none.

        Before the first training nothing is new: everything would be."""
        with self._lock:
            if table is not self._table:
                self._watched = None
            self._table, self.trained = table, trained
            self._renew()

    def renew(self) -> None:
        """Follow what the ledger decided."""
        with self._lock:
            self._renew()

    def _renew(self) -> None:
        table, settings = self._table, self.settings
        if table is None:
            return
        servable = table.columns.servable
        new = range(self.trained, len(servable)) if settings.enabled and self.trained else range(0)
        # Without a model, as at a server's start, the ledger need not forget whom it counts for.
        if self.trained and new != self._watched:
            self._book.watch([table.ids[position] for position in new])
            self._watched = new
        self.new = new
        items = []
        for position in new:
            item = table.items[position]
            if not servable[position] or item is None or not item.is_described:
                continue
            verdict = self._book.verdict(table.ids[position])
            if verdict == RETIRED:
                continue
            share = settings.promoted_share if verdict == PROMOTED else settings.share
            items.append(NewItem(table.ids[position], round(share * HASHES)))
            if len(items) == settings.items:
                break
        if tuple(items) != self.trial.items:  # else the same one stays: ready slates hold on to it
            self.trial = Trial(tuple(items), settings.salt)

    def candidates(self, user_id: str) -> list[NewItem]:
        """What may be shown to the user as far as exploration goes: their share, and not too often."""
        most, seen = self.settings.per_user, self._book.seen
        return [item for item in self.trial.of(user_id) if seen(item.item_id, user_id) < most]

    def draw(self, user_id: str, candidates: Sequence[NewItem], places: int) -> list[Drawn]:
        """Up to `places` of the candidates, each as likely as the other, in the order of their places: see
        `drawn`. It stays the same until one of them is seen."""
        impressions = sum(self._book.seen(item.item_id, user_id) for item in candidates)
        return drawn(user_id, candidates, places, f"{self.settings.salt}:{impressions}")


def drawn(user_id: str, candidates: Sequence[NewItem], places: int, seed: str) -> list[Drawn]:
    """Up to `places` of the candidates, each as likely as the other, in the order of their places.

    Every candidate gets a hash of user, item and seed, and the smallest win: without replacement, so a
    candidate's propensity is places / candidates. Without one candidate the others keep their order.
    """
    if not candidates or places < 1:
        return []
    order = sorted(candidates, key=lambda item: hashed(seed, item.item_id, user_id))
    names = tuple(item.item_id for item in candidates)
    propensity = min(1.0, places / len(candidates))
    return [Drawn(item.item_id, propensity, names, seed) for item in order[:places]]


def places(limit: int, settings: ExplorationSettings) -> tuple[list[int], list[int]]:
    """The places of new and of trending items in a slate of `limit`: the last of every ten.

    A slate of five to nine has a place for new items only, its last; a shorter one none.

    >>> places(10, ExplorationSettings())
    ([8], [9])
    >>> places(24, ExplorationSettings())
    ([8, 18], [9, 19])
    >>> places(6, ExplorationSettings())
    ([5], [])
    """
    new, trending = settings.new_slots, settings.trending_slots
    if limit < LEAST:
        return [], []
    if limit < TEN:
        return list(range(limit - min(new, 1), limit)), []
    of_new: list[int] = []
    of_trending: list[int] = []
    for end in range(TEN, limit + 1, TEN):
        of_new += range(end - trending - new, end - trending)
        of_trending += range(end - trending, end)
    return of_new, of_trending
