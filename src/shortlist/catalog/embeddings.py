"""The port of stored embeddings: what an encoder made of items that training has not seen yet."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from hashlib import blake2b

import msgspec
from msgspec import Struct

from shortlist.arrays import FloatArray
from shortlist.catalog.item import Item

_pack = msgspec.msgpack.Encoder().encode


class Embedding(Struct, frozen=True):
    """What one encoder made of one item. digest: of what was encoded. vector: (d,)."""

    item_id: str
    digest: int
    vector: FloatArray


class Embeddings(ABC):
    """One embedding per item: of the encoder that put it last."""

    @abstractmethod
    async def put(self, encoder: str, made: Sequence[Embedding]) -> None:
        """Store these, in place of whatever encoder made of the same items before."""

    @abstractmethod
    async def of(self, encoder: str) -> list[Embedding]:
        """All that this encoder made, by item id; of items that are gone there are none."""


def digest(item: Item | None) -> int:
    """A number of 64 bits that tells what is said of an item from anything else that is; 0: no item.

    What an encoder may read goes in; price, stock and the like do not.
    """
    if item is None:
        return 0
    said = (item.title, item.description, item.categories, item.brand, item.attributes)
    return int.from_bytes(blake2b(_pack(said), digest_size=8).digest(), "little")
