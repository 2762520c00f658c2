"""The port of stored embeddings: what an encoder made of items that training has not seen yet."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Coroutine, Sequence
from hashlib import blake2b
from typing import Any, TypeVar

import msgspec
from msgspec import Struct

from shortlist.arrays import FloatArray
from shortlist.catalog.item import Item
from shortlist.catalog.store import CatalogUnavailable

T = TypeVar("T")
WAIT_S = 60.0  # for the database, by a thread that has nothing better to do

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


class EmbeddingsForThreads:
    """An `Embeddings` that threads may call and wait for. Raises CatalogUnavailable as it does, or when there
    is no answer within a minute."""

    def __init__(self, embeddings: Embeddings, loop: asyncio.AbstractEventLoop) -> None:
        """loop: where the database is talked to."""
        self._embeddings, self._loop = embeddings, loop

    def put(self, encoder: str, made: Sequence[Embedding]) -> None:
        """See `Embeddings`."""
        self._on_loop(self._embeddings.put(encoder, made))

    def of(self, encoder: str) -> list[Embedding]:
        """See `Embeddings`."""
        return self._on_loop(self._embeddings.of(encoder))

    def _on_loop(self, work: Coroutine[Any, Any, T]) -> T:
        try:
            asked = asyncio.run_coroutine_threadsafe(work, self._loop)
        except RuntimeError as error:  # the loop was closed
            work.close()
            raise CatalogUnavailable(f"the catalog is closing: {error}") from None
        try:
            return asked.result(WAIT_S)
        except TimeoutError:
            asked.cancel()
            raise CatalogUnavailable(f"the catalog's database did not answer within {WAIT_S:.0f} s") from None


def digest(item: Item | None) -> int:
    """A number of 64 bits that tells what is said of an item from anything else that is; 0: no item.

    What an encoder may read goes in; price, stock and the like do not.
    """
    if item is None:
        return 0
    said = (item.title, item.description, item.categories, item.brand, item.attributes)
    return int.from_bytes(blake2b(_pack(said), digest_size=8).digest(), "little")
