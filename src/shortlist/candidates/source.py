"""The port of a candidate source, and the query that every source answers."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from shortlist.arrays import BoolArray, FloatArray, IntArray


@dataclass(slots=True)
class Query:
    """One user's past and what is asked now, in item positions of the live `ItemTable`.

    items: (n,) positions of the last interactions, oldest first, repeats kept; items the table does not
    know were left out. weights: (n,) by event type. ages_s: (n,) seconds before `now_s`, never negative.
    session: (n,) running session number of each. category: position in `ItemTable.categories`, or -1.
    against, against_weights: (k,) distinct items the user turned down (disliked) and negative weights: they
    lower what lies near them and are no taste.
    bought, bought_counts: (m,) distinct items ever bought and not cancelled, and how often or how many.
    allowed: (table size,) what may be in the slate; a hint for sources, so that they need not propose what is
    dropped after the merge; None: everything. attributes: (a,) the user's, as the model's `UserCodes` have
    them; None: nothing is known of them. Made by `candidates.past.query_from`.
    `memo` is for what several sources share within one request (a folded-in vector), keyed by its owner.
    """

    items: IntArray
    weights: FloatArray
    ages_s: FloatArray
    session: IntArray
    now_s: float
    category: int = -1
    context: str = "browsing"
    bought: IntArray = field(default_factory=lambda: np.empty(0, np.int32))
    bought_counts: FloatArray = field(default_factory=lambda: np.empty(0, np.float32))
    against: IntArray = field(default_factory=lambda: np.empty(0, np.int32))
    against_weights: FloatArray = field(default_factory=lambda: np.empty(0, np.float32))
    allowed: BoolArray | None = None
    attributes: FloatArray | None = None
    memo: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True, frozen=True)
class Candidates:
    """What one source proposes, best first: positions (k,) and its own raw scores (k,)."""

    positions: IntArray
    scores: FloatArray


NOTHING = Candidates(np.empty(0, np.int32), np.empty(0, np.float32))


class CandidateSource(ABC):
    """Proposes items, and scores items it is given. Blocking and thread-safe: it runs on worker threads.

    A source knows the positions of the model it was trained with; positions beyond are items added since:
    it ignores them in `query.items` and scores them 0. What is not allowed is dropped after the merge; a
    source that can, leaves it out itself (`query.allowed`), so that its places go to items of use.
    """

    name: ClassVar[str]  # in explanations, metrics and settings; never reused for another idea

    @abstractmethod
    def candidates(self, query: Query, limit: int) -> Candidates:
        """At most `limit` items, best first, without repeats; empty when it knows nothing of this user."""

    @abstractmethod
    def score(self, query: Query, positions: IntArray) -> FloatArray:
        """Its raw score of each of `positions`, on the scale of `candidates`; 0 where it knows nothing."""
