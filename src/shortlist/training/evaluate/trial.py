"""One data set under one protocol."""

from dataclasses import dataclass

import numpy as np

from shortlist.arrays import BoolArray
from shortlist.catalog.table import ItemTable
from shortlist.events.interactions import Interactions
from shortlist.training.cases import Case


@dataclass(frozen=True, slots=True)
class Trial:
    """One data set under one protocol.

    excludes_seen: lists never hold items of the past. repeats: whether the shop's setting allows to
    recommend what was bought. headline: the figures that are compared. cuts: list lengths.
    """

    name: str
    protocol: str
    data: Interactions
    items: ItemTable
    cases: list[Case]
    headline: tuple[str, str]
    cuts: tuple[int, ...]
    excludes_seen: bool
    repeats: bool = False

    def allowed(self, case: Case) -> BoolArray:
        """(items,) what this case's list may hold."""
        allowed = np.ones(len(self.items), np.bool_)
        if self.excludes_seen:
            allowed[case.items[case.items >= 0]] = False  # below 0: an item the catalog does not know
        return allowed
