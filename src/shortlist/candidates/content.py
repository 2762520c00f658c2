"""Items like the last ones in words, category and brand: works for what nobody has touched yet."""

import math
from collections.abc import Sequence
from copy import copy
from typing import Self

import numpy as np
from numpy.typing import NDArray

from shortlist.arrays import Arrays, FloatArray, IntArray
from shortlist.candidates.past import last_distinct
from shortlist.candidates.source import Query
from shortlist.candidates.vectors import VectorSource
from shortlist.catalog.embeddings import digest
from shortlist.catalog.encoder_tfidf import TfidfEncoder
from shortlist.catalog.item import Item
from shortlist.catalog.table import ItemTable
from shortlist.events.interactions import Interactions
from shortlist.retrieval.index import VectorIndex
from shortlist.settings import TrainingSettings

LAST = 20
DECAY = 0.85  # weight of each older item of the past against the one after it
WEIGHTS = (DECAY ** np.arange(LAST)).astype(np.float32)


class Content(VectorSource):
    """Vectors of the text encoder; cosine to the mean of the last items.

    category: (n,) code of the primary category, -1 where missing; of live items, where it serves.
    digests: (n,) of what was encoded in training: tells whose words have changed since.
    """

    name = "content"
    signal_names = ("cos_last", "category_share", "category_last")

    def __init__(self, index: VectorIndex, category: IntArray, digests: NDArray[np.uint64]) -> None:
        self.index, self.digests = index, digests
        self._category = category
        self._table: ItemTable | None = None  # where it serves: categories of new items too

    @classmethod
    def fit(
        cls,
        data: Interactions,
        items: ItemTable,
        settings: TrainingSettings,
        *,
        texts: FloatArray | None = None,
    ) -> Self:
        """Learn from the catalog. texts: (n, d) what an encoder made of it; None: TF-IDF, fitted on it."""
        n = len(data.item_ids)
        known = items.items[:n]
        if texts is None:
            texts = TfidfEncoder.fit(known, settings.content_dim, settings.seed).encode(known)
        digests = np.fromiter(map(digest, known), np.uint64, n)
        index = VectorIndex.over(texts, threads=settings.threads)
        return cls(index, items.category[:n].astype(np.int32), digests)

    def arrays(self) -> Arrays:
        """The artifact."""
        return {**self.index.arrays(), "category": self._category, "digests": self.digests}

    @classmethod
    def from_arrays(cls, arrays: Arrays) -> Self:
        """The fitted source again."""
        category, digests = (arrays[name] for name in ("category", "digests"))
        return cls(
            VectorIndex.from_arrays(arrays),
            category.astype(np.int32, copy=False),
            digests.astype(np.uint64, copy=False),
        )

    @property
    def category(self) -> IntArray:
        """(n,) code of the primary category."""
        return self._category if self._table is None else self._table.category

    def live(self, table: ItemTable, base: VectorIndex | None = None) -> Self:
        """See `VectorSource`; categories are the table's own."""
        twin = super().live(table, base)
        twin._table = table
        return twin

    def over(self, table: ItemTable) -> Self:
        """See `VectorSource`."""
        twin = copy(self)
        twin._table = table
        return twin

    def placed(self, positions: IntArray, items: Sequence[Item | None], texts: FloatArray) -> FloatArray:
        """Where their texts are."""
        return texts

    def signals(self, query: Query, positions: IntArray) -> FloatArray:
        """Cosine to the last item; share of the last items in the same category; whether the last one is."""
        found = np.zeros((3, len(positions)), np.float32)
        category = self.category
        last, _ = last_distinct(query, len(category), LAST)
        if not len(last) or not len(positions):
            return found.T
        found[0] = self.rows(query, positions) @ self.index.rows(last[:1])[0]
        own = category[last]
        theirs = category.take(positions, mode="clip")
        if positions.max() >= len(category):
            theirs[positions >= len(category)] = -1
        # By category + 1: place 0 is of what has none, which nothing is like.
        counts = np.bincount(own + 1, minlength=int(theirs.max()) + 2)
        counts[0] = 0
        found[1] = counts[theirs + 1] / len(last)
        found[2] = (theirs == own[0]) & (theirs >= 0)
        return found.T

    def vector(self, query: Query) -> FloatArray | None:
        """The mean of the last items, the newest weighing most."""
        last, _ = last_distinct(query, len(self.category), LAST)
        if not len(last):
            return None
        mean = WEIGHTS[: len(last)] @ self.index.rows(last)
        length = math.sqrt(mean @ mean)
        return mean / np.float32(length) if length > 0 else None
