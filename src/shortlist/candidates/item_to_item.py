"""Items near a given one: by who takes them and, where nobody has yet, by what is said of them (flow 7)."""

from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from shortlist.arrays import Arrays, BoolArray, FloatArray
from shortlist.candidates.als import Als
from shortlist.candidates.content import Content
from shortlist.candidates.dense import NOTHING
from shortlist.candidates.past import last_distinct
from shortlist.candidates.source import Candidates, Query
from shortlist.candidates.vectors import VectorSource
from shortlist.catalog.table import ItemTable
from shortlist.events.interactions import Interactions
from shortlist.retrieval.index import VectorIndex
from shortlist.settings import TrainingSettings

LAST = 3
DECAY = 0.6


class ItemToItem(VectorSource):
    """One space of both kinds of vectors, so that a new item lies near others from its first minute.

    An item's vector is [√share × collaborative, √(1 - share) × content], both of length 1; share grows with
    its interactions up to 0.75, and is 0 for an item that nobody touched.
    """

    name = "item_to_item"

    def __init__(self, index: VectorIndex) -> None:
        self.index = index

    @classmethod
    def fit(
        cls,
        data: Interactions,
        items: ItemTable,
        settings: TrainingSettings,
        *,
        als: Als | None = None,
        content: Content | None = None,
    ) -> Self:
        """Learn from everything in `data`."""
        als = als or Als.fit(data, items, settings)
        content = content or Content.fit(data, items, settings)
        counts = np.bincount(data.items, minlength=len(data.item_ids))[: len(data.item_ids)]
        factors = als.factors * als.inverse_norms[:, None]
        texts = content.index.vectors
        has_text = texts.any(axis=1)
        share = np.where(has_text, 0.75 * counts / (counts + 5), (counts > 0).astype(float))
        vectors = np.concatenate(
            [factors * np.sqrt(share)[:, None], texts * np.sqrt(1 - share)[:, None]], axis=1
        )
        return cls(VectorIndex.over(_reduced(vectors, als.factors.shape[1]), threads=settings.threads))

    def arrays(self) -> Arrays:
        """The artifact."""
        return self.index.arrays()

    @classmethod
    def from_arrays(cls, arrays: Arrays) -> Self:
        """The fitted source again."""
        return cls(VectorIndex.from_arrays(arrays))

    def similar(self, position: int, limit: int, allowed: BoolArray | None = None) -> Candidates:
        """The items nearest to one, itself left out; empty for an item it does not know."""
        if not 0 <= position < len(self.index):
            return NOTHING
        found, scores = self.index.search(self.index.vectors[position], limit + 1, allowed=allowed)
        others = found != position
        return Candidates(found[others][:limit], scores[others][:limit])

    def user(self, query: Query) -> FloatArray | None:
        """The last items as one vector, the newest first."""
        if self.name not in query.memo:
            last, distance = last_distinct(query, len(self.index), LAST)
            query.memo[self.name] = (
                ((DECAY**distance) @ self.index.vectors[last]).astype(np.float32) if len(last) else None
            )
        vector: FloatArray | None = query.memo[self.name]
        return vector


def _reduced(vectors: NDArray[Any], size: int) -> FloatArray:
    """(n, size) the same inner products as nearly as so many dimensions allow: half as many to go through."""
    if vectors.shape[1] > size:
        _, directions = np.linalg.eigh(vectors.T @ vectors)
        vectors = vectors @ directions[:, -size:]
    return np.asarray(vectors, np.float32)
