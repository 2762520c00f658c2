"""The port of stored embeddings: what an encoder made of items that training has not seen yet."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

from msgspec import Struct

from shortlist.arrays import FloatArray


class Embedding(Struct, frozen=True):
    """What one encoder made of one item. digest: of the words that were encoded. vector: (d,)."""

    item_id: str
    digest: bytes
    vector: FloatArray


class Embeddings(ABC):
    """One embedding per item: of the encoder that put it last."""

    @abstractmethod
    async def put(self, encoder: str, made: Sequence[Embedding]) -> None:
        """Store these, in place of whatever encoder made of the same items before."""

    @abstractmethod
    async def of(self, encoder: str) -> list[Embedding]:
        """All that this encoder made, by item id; of items that are gone there are none."""
