"""The catalog as serving reads it: items by position, as arrays."""

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from shortlist.arrays import BoolArray, FloatArray, IntArray
from shortlist.catalog.item import Item
from shortlist.catalog.store import Change


class ItemTable:
    """Items by position. Positions never move: new items are added at the end, deleted ones stay, unservable.

    ids: (n,) item ids. servable: (n,) exists, not hidden, in stock. category, brand: (n,) codes into
    `categories` and `brands`, -1 where missing. price, margin: (n,) NaN where missing. added_ms: (n,).
    version: the catalog version that it shows. Arrays are replaced, never written in place, so a reader that
    took one keeps a consistent view.
    """

    ids: list[str]
    items: list[Item | None]
    servable: BoolArray
    category: IntArray
    brand: IntArray
    price: FloatArray
    margin: FloatArray
    added_ms: NDArray[np.int64]
    categories: list[str]
    brands: list[str]
    version: int

    def __init__(self, items: Iterable[Item], version: int, order: Sequence[str] = ()) -> None:
        """order: ids that take the first positions (a model's own); those without an item are unservable."""
        raise NotImplementedError

    def position(self, item_id: str) -> int:
        """The position of an id, or -1."""
        raise NotImplementedError

    def positions(self, item_ids: Iterable[str]) -> IntArray:
        """Positions of the ids that are known, in order; unknown ones are left out."""
        raise NotImplementedError

    def apply(self, changes: Sequence[Change]) -> None:
        """Show later changes of the catalog."""
        raise NotImplementedError
