"""Items like the last ones in words, category and brand: works for what nobody has touched yet."""

from typing import Self

import numpy as np

from shortlist.arrays import Arrays, FloatArray, IntArray
from shortlist.candidates.past import last_distinct
from shortlist.candidates.source import Query
from shortlist.candidates.vectors import VectorSource
from shortlist.catalog.encoder_tfidf import TfidfEncoder
from shortlist.catalog.table import ItemTable
from shortlist.events.interactions import Interactions
from shortlist.retrieval.index import VectorIndex
from shortlist.settings import TrainingSettings

LAST = 20
DECAY = 0.85  # weight of each older item of the past against the one after it


class Content(VectorSource):
    """Vectors of the text encoder; cosine to the mean of the last items.

    category: (n,) code of the primary category at training, -1 where missing.
    """

    name = "content"
    signal_names = ("cos_last", "category_share", "category_last")

    def __init__(self, index: VectorIndex, category: IntArray) -> None:
        self.index, self.category = index, category

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
        if texts is None:
            known = items.items[:n]
            texts = TfidfEncoder.fit(known, settings.content_dim, settings.seed).encode(known)
        return cls(VectorIndex.over(texts, threads=settings.threads), items.category[:n].astype(np.int32))

    def arrays(self) -> Arrays:
        """The artifact."""
        return {**self.index.arrays(), "category": self.category}

    @classmethod
    def from_arrays(cls, arrays: Arrays) -> Self:
        """The fitted source again."""
        return cls(VectorIndex.from_arrays(arrays), arrays["category"].astype(np.int32, copy=False))

    def signals(self, query: Query, positions: IntArray) -> FloatArray:
        """Cosine to the last item; share of the last items in the same category; whether the last one is."""
        found = np.zeros((len(positions), 3), np.float32)
        last, _ = last_distinct(query, len(self.category), LAST)
        known = positions < len(self.category)
        if not len(last) or not known.any():
            return found
        at = positions[known]
        found[known, 0] = self.index.vectors[at] @ self.index.vectors[last[0]]
        own, theirs = self.category[last], self.category[at]
        share = np.bincount(own[own >= 0], minlength=int(self.category.max(initial=0)) + 1) / len(last)
        found[known, 1] = np.where(theirs >= 0, share[theirs], 0)
        found[known, 2] = (theirs >= 0) & (theirs == own[0])
        return found

    def user(self, query: Query) -> FloatArray | None:
        """The mean of the last items, the newest weighing most."""
        if self.name not in query.memo:
            last, distance = last_distinct(query, len(self.category), LAST)
            user = None
            if len(last):
                mean = (DECAY**distance) @ self.index.vectors[last]
                norm = float(np.linalg.norm(mean))
                user = (mean / norm).astype(np.float32) if norm > 0 else None
            query.memo[self.name] = user
        vector: FloatArray | None = query.memo[self.name]
        return vector
