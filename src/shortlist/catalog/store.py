"""The port of the catalog: items at rest."""

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Sequence
from typing import Any

from msgspec import Struct

from shortlist.catalog.attributes import refused
from shortlist.catalog.item import Item
from shortlist.errors import ShortlistError


class CatalogError(ShortlistError):
    """The catalog cannot do what was asked."""


class ItemUnknown(CatalogError):
    """No item has this id (or it was deleted)."""


class ItemExists(CatalogError):
    """An item with this id is there already; PATCH it instead."""


class ItemInvalid(CatalogError):
    """A field of an item is unknown or out of its range; nothing was changed."""


class CatalogUnavailable(CatalogError):
    """The database did not answer."""


class Change(Struct, frozen=True):
    """One change of one item, in the order of the catalog's own counter. `item` None: deleted."""

    version: int
    item_id: str
    item: Item | None


class CatalogStore(ABC):
    """Items by id. Every write gets the next number of one catalog-wide counter, in the same transaction."""

    @abstractmethod
    async def put(self, items: Sequence[Item]) -> int:
        """Insert or replace all of `items` in one transaction; the catalog's version after it.

        An item that is already so keeps its version; of two with one id the last counts.
        Raises ItemInvalid."""

    @abstractmethod
    async def add_missing(self, item_ids: Sequence[str]) -> int:
        """Insert bare items for ids never seen (a deleted id stays deleted); how many were new."""

    @abstractmethod
    async def create(self, item: Item) -> int:
        """Insert one item. Raises ItemExists, ItemInvalid."""

    @abstractmethod
    async def patch(self, item_id: str, changes: dict[str, Any]) -> Item:
        """Change the given fields of one item, validated as a whole. Raises ItemUnknown, ItemInvalid."""

    @abstractmethod
    async def delete(self, item_id: str) -> int:
        """Delete one item; the catalog's version after it. Raises ItemUnknown."""

    @abstractmethod
    async def get(self, item_ids: Sequence[str]) -> list[Item | None]:
        """The items in the order asked; None where there is none."""

    @abstractmethod
    def all(self) -> AsyncIterator[Item]:
        """Every item that is not deleted, by id."""

    @abstractmethod
    async def version(self) -> int:
        """The number of the last change; 0 for an empty catalog."""

    @abstractmethod
    async def changes(self, after: int, limit: int) -> list[Change]:
        """The latest state of items changed after version `after`, oldest change first."""


def checked(item: Item) -> Item:
    """The item, if its attributes may be kept; every process has all items in memory. Raises ItemInvalid."""
    if item.attributes and (why := refused(item.attributes)):
        raise ItemInvalid(f"item {item.item_id!r}: attributes: {why}")
    return item
