"""Items near a given one: by who takes them and, where nobody has yet, by what is said of them (flow 7)."""

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from shortlist.arrays import Arrays, BoolArray, FloatArray, IntArray
from shortlist.candidates.als import Als
from shortlist.candidates.cold import ColdMap, taken_among
from shortlist.candidates.content import Content
from shortlist.candidates.past import last_distinct
from shortlist.candidates.source import NOTHING, Candidates, Query
from shortlist.candidates.vectors import VectorSource
from shortlist.catalog.encoder import unit
from shortlist.catalog.item import Item
from shortlist.catalog.table import ItemTable
from shortlist.events.interactions import Interactions
from shortlist.retrieval.index import Index, VectorIndex
from shortlist.settings import TrainingSettings

LAST = 3
DECAY = 0.6
WEIGHTS = (DECAY ** np.arange(LAST)).astype(np.float32)
MOST_SHARE, HALF = 0.75, 5  # collaborative share of an item with many interactions, with `HALF` half of it
# Interactions that expected factors count as: with 2, new items are among the nearest as often as others.
EXPECTED = 2


class ItemToItem(VectorSource):
    """One space of both kinds of vectors, so that a new item lies near others from its first minute.

    An item's vector is [√share × collaborative, √(1 - share) × content], both of length 1; share grows with
    its interactions up to 0.75. Where nobody touched an item, its collaborative part is what ALS's map from
    text and attributes expects.
    """

    name = "item_to_item"

    def __init__(self, index: VectorIndex, touched: BoolArray, directions: FloatArray, cold: ColdMap) -> None:
        """touched: (n,) whether anybody had it in training. directions: (factors + text, dimensions) what
        both parts are reduced by. cold: ALS's map."""
        self.index: Index = index
        self.touched, self.directions, self.cold = touched, directions, cold

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
        texts = content.index.rows(np.arange(len(data.item_ids), dtype=np.int32))
        joined = _joined(als.factors, texts, counts)
        directions = _directions(joined, als.factors.shape[1])
        index = VectorIndex.over(joined @ directions, threads=settings.threads)
        return cls(index, counts > 0, directions, als.cold)

    def arrays(self) -> Arrays:
        """The artifact."""
        rest = {"touched": self.touched, "directions": self.directions}
        return {**self.index.arrays(), **self.cold.arrays(), **rest}

    @classmethod
    def from_arrays(cls, arrays: Arrays) -> Self:
        """The fitted source again."""
        touched, directions = arrays["touched"], arrays["directions"]
        return cls(
            VectorIndex.from_arrays(arrays),
            touched.astype(np.bool_, copy=False),
            directions.astype(np.float32, copy=False),
            ColdMap.from_arrays(arrays),
        )

    def placed(self, positions: IntArray, items: Sequence[Item | None], texts: FloatArray) -> FloatArray:
        """By what is said of them; what people took stays where they put it until the next training."""
        rows = _joined(self.cold.factors(items, texts), texts, np.zeros(len(texts))) @ self.directions
        taken = taken_among(positions, self.touched)
        rows[taken] = self.index.rows(positions[taken])
        return rows

    def similar(self, position: int, limit: int, allowed: BoolArray | None = None) -> Candidates:
        """The items nearest to one, itself left out; empty for an item it does not know."""
        if not 0 <= position < len(self.index):
            return NOTHING
        vector = self.index.rows(np.array([position], np.int32))[0]
        found, _ = self.index.search(vector, limit + 1, allowed=allowed)
        return self.nearest(vector, found[found != position][:limit])

    def nearest(self, vector: FloatArray, positions: IntArray) -> Candidates:
        """`positions` by their exact nearness to `vector`, the nearest first."""
        scores = self.index.products(vector, positions)
        order = np.lexsort((positions, -scores))
        return Candidates(positions[order], scores[order])

    def vector(self, query: Query) -> FloatArray | None:
        """The last items as one vector, the newest first."""
        last, _ = last_distinct(query, len(self.index), LAST)
        return WEIGHTS[: len(last)] @ self.index.rows(last) if len(last) else None


def _joined(factors: FloatArray, texts: FloatArray, counts: NDArray[Any]) -> FloatArray:
    """(n, f + d) both parts as one vector. counts: (n,) interactions."""
    has_factors, has_text = factors.any(axis=1), texts.any(axis=1)
    grown = MOST_SHARE * (counts + EXPECTED) / (counts + EXPECTED + HALF)
    share = np.where(has_text, grown, 1.0) * has_factors
    parts = [unit(factors) * np.sqrt(share)[:, None], texts * np.sqrt(1 - share)[:, None]]
    return np.concatenate(parts, axis=1).astype(np.float32)


def _directions(vectors: FloatArray, size: int) -> FloatArray:
    """(dimensions, ≤ size) those that keep inner products best: half as many to go through in a search."""
    if vectors.shape[1] <= size:
        return np.eye(vectors.shape[1], dtype=np.float32)
    _, directions = np.linalg.eigh((vectors.T @ vectors).astype(np.float64))
    return np.ascontiguousarray(directions[:, -size:], np.float32)
