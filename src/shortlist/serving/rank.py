"""Putting a list that the caller brings into the order of its chances."""

from collections.abc import Sequence
from time import perf_counter

import msgspec
import numpy as np
from msgspec import Struct

from shortlist.candidates.source import Query
from shortlist.ranking.chain import Steps
from shortlist.serving.snapshot import Snapshot

_encode = msgspec.json.Encoder().encode


class RankedItem(Struct, frozen=True):
    """One item in its place."""

    item_id: str
    score: float
    position: int


class RankedItems(Struct, frozen=True):
    """The list in order. unknown: ids that are not in the catalog. body: the JSON, as HTTP sends it."""

    items: list[RankedItem]
    unknown: list[str]
    body: bytes


class _Answer(Struct):
    request_id: str
    recommendations: list[RankedItem]
    unknown: list[str]
    took_ms: float


def ranked(
    items: Sequence[str], query: Query, snapshot: Snapshot, request_id: str, began: float
) -> Steps[RankedItems]:
    """Order `items`; one that stands twice is answered once; equal scores keep the caller's order.

    Without a model every score is 0. began: `perf_counter` when it was asked.
    """
    distinct = list(dict.fromkeys(items))
    places = [snapshot.table.position(item_id) for item_id in distinct]
    known = [item_id for item_id, place in zip(distinct, places, strict=True) if place >= 0]
    unknown = [item_id for item_id, place in zip(distinct, places, strict=True) if place < 0]
    positions = np.array([place for place in places if place >= 0], np.int32)
    scores = np.zeros(len(positions), np.float32)
    if snapshot.chain is not None and len(positions):
        scores = yield from snapshot.chain.scoring(query, positions)
    order = np.argsort(-scores, kind="stable").tolist()
    result = [RankedItem(known[at], float(scores[at]), place) for place, at in enumerate(order)]
    answer = _Answer(request_id, result, unknown, round((perf_counter() - began) * 1000.0, 3))
    return RankedItems(result, unknown, _encode(answer))
