"""One data set under one protocol."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from shortlist.arrays import BoolArray
from shortlist.candidates.attributes import UserCodes
from shortlist.catalog.table import ItemTable
from shortlist.catalog.users_store import Attributes
from shortlist.events.interactions import Interactions
from shortlist.training.cases import Case


@dataclass(frozen=True, slots=True)
class Trial:
    """One data set under one protocol.

    excludes_seen: lists never hold items of the past. repeats: whether the shop's setting allows to
    recommend what was bought. headline: the figures that are compared. cuts: list lengths. attributes: of
    users.
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
    attributes: Mapping[str, Attributes] = field(default_factory=dict)

    def known(self, codes: UserCodes) -> list[Case]:
        """The cases with their users' attributes in these codes."""
        if not len(codes):
            return self.cases
        rows = [codes.row(self.attributes.get(user_id)) for user_id in self.data.user_ids]
        return [replace(case, attributes=rows[case.user]) if case.user >= 0 else case for case in self.cases]

    def allowed(self, case: Case) -> BoolArray:
        """(items,) what this case's list may hold."""
        allowed = np.ones(len(self.items), np.bool_)
        if self.excludes_seen:
            allowed[case.items[case.items >= 0]] = False  # below 0: an item the catalog does not know
        return allowed
