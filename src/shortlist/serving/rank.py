"""Putting a list that the caller brings into the order of its chances."""

from collections.abc import Sequence
from time import perf_counter

import msgspec
import numpy as np
from msgspec import Struct

from shortlist.candidates.source import Query
from shortlist.ranking.chain import Steps
from shortlist.serving.known import Known, allowed
from shortlist.settings import RuleSettings

_encode = msgspec.json.Encoder().encode


class RankedItem(Struct, frozen=True):
    """One item in its place."""

    item_id: str
    score: float
    position: int


class RankedItems(Struct, frozen=True):
    """The list in order. unknown: ids that are not in the catalog. left_out: ids of what may not be shown
    to this user. body: the JSON, as HTTP sends it."""

    items: list[RankedItem]
    unknown: list[str]
    left_out: list[str]
    body: bytes


class _Answer(Struct):
    request_id: str
    recommendations: list[RankedItem]
    unknown: list[str]
    left_out: list[str]
    took_ms: float


def ranked(
    items: Sequence[str], query: Query, known: Known, rules: RuleSettings, request_id: str, began: float
) -> Steps[RankedItems]:
    """Order `items`; one that stands twice is answered once; equal scores keep the caller's order.

    What may not be in a slate of this user is left out, and named. known: whoever it is for. Without a model
    every score is 0. began: `perf_counter` when it was asked.
    """
    snapshot, table = known.snapshot, known.snapshot.table
    mask = allowed(known, rules)
    found: dict[str, int] = {}
    unknown: list[str] = []
    left_out: list[str] = []
    for item_id in dict.fromkeys(items):
        place = table.position(item_id)
        if place < 0 or table.items[place] is None:
            unknown.append(item_id)
        elif place < len(mask) and mask[place]:
            found[item_id] = place
        else:
            left_out.append(item_id)
    ids, positions = list(found), np.array(list(found.values()), np.int32)
    scores = np.zeros(len(positions), np.float32)
    if snapshot.chain is not None and len(positions):
        scores = yield from snapshot.chain.scoring(query, positions)
    order = np.argsort(-scores, kind="stable").tolist()
    result = [RankedItem(ids[at], float(scores[at]), place) for place, at in enumerate(order)]
    answer = _Answer(request_id, result, unknown, left_out, round((perf_counter() - began) * 1000.0, 3))
    return RankedItems(result, unknown, left_out, _encode(answer))
