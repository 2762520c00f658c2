"""A source whose users and items are vectors of one space: it proposes the items nearest to the user."""

from abc import abstractmethod
from collections.abc import Sequence
from copy import copy
from typing import Self

import numpy as np

from shortlist.arrays import FloatArray, IntArray
from shortlist.candidates.source import NOTHING, Candidates, Query
from shortlist.candidates.trained import TrainedSource
from shortlist.catalog.item import Item
from shortlist.catalog.table import ItemTable
from shortlist.retrieval.index import Index, VectorIndex
from shortlist.retrieval.live import LiveIndex


class VectorSource(TrainedSource):
    """Scores are inner products with the user's vector.

    In a process that serves, sources that have a place for items which nobody touched (`placed`) take them
    in as they come: `live` makes the twin whose index does.
    """

    index: Index

    @abstractmethod
    def vector(self, query: Query) -> FloatArray | None:
        """(dimensions,) the vector of this user's past; None where it says nothing."""

    def user(self, query: Query) -> FloatArray | None:
        """The same, made once per query."""
        if self.name not in query.memo:
            query.memo[self.name] = self.vector(query)
        vector: FloatArray | None = query.memo[self.name]
        return vector

    def placed(
        self, positions: IntArray, items: Sequence[Item | None], texts: FloatArray
    ) -> FloatArray | None:
        """(n, index.dim) where items lie that are new, or said to be something else; None: it takes no such.

        items: (n,). texts: (n, d) what the model's encoder says of them; zeros where it says nothing."""
        return None

    def live(self, table: ItemTable, base: VectorIndex | None = None) -> Self:
        """A twin that takes new items into its index; the rest is shared.

        table: what serves. base: the index with what came since, where it was built before."""
        assert isinstance(self.index, VectorIndex)
        twin = copy(self)
        twin.index = LiveIndex(base or self.index)
        return twin

    def over(self, table: ItemTable) -> Self:
        """A twin with the very same vectors that reads what else it says of items from another table."""
        return self

    def candidates(self, query: Query, limit: int) -> Candidates:
        """The best, best first."""
        user = self.user(query)
        if user is None:
            return NOTHING
        return Candidates(*self.index.search(user, limit, allowed=query.allowed))

    def score(self, query: Query, positions: IntArray) -> FloatArray:
        """Its scores of `positions`."""
        user = self.user(query)
        if user is None:
            return np.zeros(len(positions), np.float32)
        products: FloatArray = self.rows(query, positions) @ user
        return products

    def rows(self, query: Query, positions: IntArray) -> FloatArray:
        """(len(positions), d) the vectors of candidates, taken from memory once per query: scores and signals
        both need them, and it is the reading that takes the time."""
        known = query.memo.get(f"{self.name}:rows")
        if known is None or known[0] is not positions:
            known = query.memo[f"{self.name}:rows"] = (positions, self.index.rows(positions))
        rows: FloatArray = known[1]
        return rows
