"""Items near a given one: by who takes them and, where nobody has yet, by what is said of them (flow 7)."""

from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from shortlist.arrays import Arrays, BoolArray, FloatArray, IntArray
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
    its interactions up to 0.75, and is 0 for an item that nobody touched. share: (n,). of_texts: (d, size)
    what becomes of a content vector in the reduced space.
    """

    name = "item_to_item"

    def __init__(self, index: VectorIndex, share: FloatArray, of_texts: FloatArray) -> None:
        self.index, self.share, self.of_texts = index, share, of_texts

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
        texts = content.index.rows(np.arange(len(data.item_ids), dtype=np.int32))
        has_text = texts.any(axis=1)
        share = np.where(has_text, 0.75 * counts / (counts + 5), (counts > 0).astype(float))
        vectors = np.concatenate(
            [factors * np.sqrt(share)[:, None], texts * np.sqrt(1 - share)[:, None]], axis=1
        )
        directions = _directions(vectors, als.factors.shape[1])
        reduced = np.asarray(vectors @ directions, np.float32)
        return cls(
            VectorIndex.over(reduced, threads=settings.threads),
            share.astype(np.float32),
            directions[factors.shape[1] :].astype(np.float32),
        )

    def arrays(self) -> Arrays:
        """The artifact."""
        return {**self.index.arrays(), "share": self.share, "of_texts": self.of_texts}

    @classmethod
    def from_arrays(cls, arrays: Arrays) -> Self:
        """The fitted source again."""
        share, of_texts = (arrays[name].astype(np.float32, copy=False) for name in ("share", "of_texts"))
        return cls(VectorIndex.from_arrays(arrays), share, of_texts)

    def placed(self, positions: IntArray, texts: FloatArray) -> FloatArray:
        """By their texts; an item that people took stays where they put it until the next training."""
        rows = np.asarray(texts @ self.of_texts, np.float32)
        known = np.flatnonzero(positions < len(self.share))
        taken = known[self.share[positions[known]] > 0]
        rows[taken] = self.index.rows(positions[taken])
        return rows

    def similar(self, position: int, limit: int, allowed: BoolArray | None = None) -> Candidates:
        """The items nearest to one, itself left out; empty for an item it does not know."""
        if not 0 <= position < len(self.index):
            return NOTHING
        vector = self.index.rows(np.array([position], np.int32))[0]
        found, scores = self.index.search(vector, limit + 1, allowed=allowed)
        others = found != position
        return Candidates(found[others][:limit], scores[others][:limit])

    def user(self, query: Query) -> FloatArray | None:
        """The last items as one vector, the newest first."""
        if self.name not in query.memo:
            last, distance = last_distinct(query, len(self.index), LAST)
            query.memo[self.name] = (
                ((DECAY**distance) @ self.index.rows(last)).astype(np.float32) if len(last) else None
            )
        vector: FloatArray | None = query.memo[self.name]
        return vector


def _directions(vectors: NDArray[Any], size: int) -> NDArray[Any]:
    """(d, ≤ size) the directions that keep most of the inner products: half as many to go through."""
    if vectors.shape[1] <= size:
        return np.eye(vectors.shape[1])
    _, directions = np.linalg.eigh(vectors.T @ vectors)
    return np.asarray(directions[:, -size:])
