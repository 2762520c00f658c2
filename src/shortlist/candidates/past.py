"""A user's past as sources read it: the one place where a `Query` is made."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from shortlist.arrays import FloatArray, IntArray
from shortlist.candidates.source import Query
from shortlist.kernels.sums import summed

LAST = 200  # as many as the feature store keeps of a user's past (features.history)


def query_from(
    items: ArrayLike,
    ts_s: ArrayLike,
    weights: ArrayLike,
    sessions: ArrayLike,
    *,
    now_s: float,
    category: int = -1,
    context: str = "browsing",
    bought: Sequence[int] | NDArray[Any] = (),
    bought_counts: Sequence[float] | NDArray[Any] = (),
    against: Sequence[int] | NDArray[Any] = (),
    against_weights: Sequence[float] | NDArray[Any] = (),
    attributes: FloatArray | None = None,
) -> Query:
    """The query of somebody with this past.

    items: (n,) positions in the item table, negative where it does not know the item: left out. ts_s: (n,)
    seconds. weights: (n,) by event type; what says nothing of taste (0) is left out, what is below 0 goes to
    `against`.
    sessions: (n,) running session numbers. Sorted by time here (ties keep their order), the last 200 kept.
    now_s: the time that ages are counted to; never before the last of them.
    bought, bought_counts: positions ever bought and how often. against, against_weights: positions turned
    down and weights below 0. Of both, negative positions are left out. attributes: the user's, encoded.

    >>> query_from([5, -1, 7], [30.0, 20.0, 10.0], [1, 1, 1], [0, 0, 0], now_s=40.0).items.tolist()
    [7, 5]
    """
    position = np.asarray(items, np.int32).ravel()
    ts = np.asarray(ts_s, np.float64).ravel()
    weight = np.asarray(weights, np.float32).ravel()
    session = np.asarray(sessions, np.int32).ravel()
    turned, lower = position[weight < 0], weight[weight < 0]
    keep = (position >= 0) & (weight > 0)
    if not keep.all():
        position, ts, weight, session = position[keep], ts[keep], weight[keep], session[keep]
    if len(ts) > 1 and (ts[1:] < ts[:-1]).any():
        order = np.argsort(ts, kind="stable")
        position, ts, weight, session = position[order], ts[order], weight[order], session[order]
    if len(ts) > LAST:
        position, ts, weight, session = position[-LAST:], ts[-LAST:], weight[-LAST:], session[-LAST:]
    had = np.asarray(bought, np.int32).ravel()
    counts = np.asarray(bought_counts, np.float32).ravel()
    if len(had) and had.min() < 0:
        had, counts = had[had >= 0], counts[had >= 0]
    if len(against):
        turned = np.concatenate([turned, np.asarray(against, np.int32).ravel()])
        lower = np.concatenate([lower, np.asarray(against_weights, np.float32).ravel()])
    if len(turned):
        is_known = (turned >= 0) & (lower < 0)
        turned, lower = turned[is_known], lower[is_known]
    return Query(
        items=position,
        weights=weight,
        ages_s=np.maximum(now_s - ts, 0.0).astype(np.float32),
        session=session,
        now_s=now_s,
        category=category,
        context=context,
        bought=had,
        bought_counts=counts,
        against=turned,
        against_weights=lower,
        attributes=attributes,
    )


@dataclass(frozen=True, slots=True)
class Distinct:
    """The different items of a past (m,), newest first, and the weights (m,) of each added up.

    below: every item is below it. places: (m,) 0 for the newest, 1 for the one before."""

    items: IntArray
    weights: NDArray[np.float64]
    below: int
    places: IntArray


def distinct(query: Query) -> Distinct:
    """Once per query."""
    known: Distinct | None = query.memo.get("distinct")
    if known is None:
        below = int(query.items.max(initial=-1)) + 1
        total = summed(query.items[::-1], query.weights[::-1], below)
        places = np.arange(len(total.ids), dtype=np.int32)
        known = query.memo["distinct"] = Distinct(total.ids, total.values[0], below, places)
    return known


def last_distinct(query: Query, size: int, limit: int) -> tuple[IntArray, IntArray]:
    """The last `limit` different items of the past below position `size`, newest first, and how many
    different ones came after each (0 for the newest). Shared by sources through the memo."""
    own = distinct(query)
    known = own.items if own.below <= size else own.items[own.items < size]
    items: IntArray = known[:limit]
    return items, own.places[: len(items)]


def strengths(query: Query, size: int, typical: float) -> tuple[IntArray, FloatArray]:
    """The different items of the past below `size` and how strongly each was chosen, or turned down: below 0.

    A strength is log2(1 + Σ weight / typical): one interaction of the usual kind counts 1, so that
    a shop of purchases and a site of views are alike. Where nothing was chosen there is nothing: what
    somebody does not like alone says nothing of what they do.
    """
    own = distinct(query)
    items, total = own.items, own.weights
    if len(query.against):
        items, inverse = np.unique(np.r_[items, query.against], return_inverse=True)
        lower = np.r_[total, query.against_weights]
        total = np.asarray(np.bincount(inverse, lower, len(items)), np.float64)
    if own.below > size or len(query.against):
        items, total = items[items < size], total[items < size]
    strength = strength_of(total / typical)
    if len(query.against) and not (strength > 0).any():
        return items[:0].astype(np.int32), strength[:0]
    return items.astype(np.int32, copy=False), strength


def strength_of(total: NDArray[Any]) -> FloatArray:
    """log2(1 + total) with the sign of a total below 0 kept: for training and asking alike."""
    strength: FloatArray = (np.sign(total) * np.log2(1 + np.abs(total))).astype(np.float32)
    return strength
