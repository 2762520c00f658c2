"""The port of what the shop knows of its users beside what they did: their plan, their country …"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

from shortlist.catalog.attributes import refused
from shortlist.catalog.store import CatalogError

Attributes = Mapping[str, Any]
NOTHING: Attributes = {}


class AttributesInvalid(CatalogError):
    """A user's attributes are too many, too large or too deep; nothing was changed."""


class UserStore(ABC):
    """Attributes by user. Every write gets the next number of one counter, in the same transaction."""

    @abstractmethod
    async def put(self, user_id: str, attributes: Attributes) -> int:
        """Replace a user's attributes; the number of the change. Raises AttributesInvalid."""

    @abstractmethod
    async def read(self, user_ids: Sequence[str]) -> list[Attributes]:
        """The attributes in the order asked; empty where there are none."""

    @abstractmethod
    async def delete(self, user_id: str) -> None:
        """Forget a user; nothing of them stays, not even that they were there."""

    @abstractmethod
    async def version(self) -> int:
        """The number of the last change; 0 as long as nobody ever had attributes."""

    @abstractmethod
    async def changed(self, after: int, limit: int) -> list[tuple[int, str]]:
        """(number, user) of the latest change of users after number `after`, oldest first. Who was forgotten
        is not told."""


def checked(attributes: Attributes) -> Attributes:
    """The attributes, if they may be kept. Raises AttributesInvalid."""
    for key in attributes:
        if not 0 < len(key) <= 100 or not key.isprintable():
            raise AttributesInvalid(f"attributes: the key {key[:50]!r} must be 1 to 100 printable characters")
    if why := refused(attributes):
        raise AttributesInvalid(f"attributes: {why}")
    return attributes
