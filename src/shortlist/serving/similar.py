"""Items like one (flow 7): the nearest in the vector index that may come, with what their cards need."""

from time import perf_counter

import msgspec
import numpy as np
from msgspec import Struct

from shortlist.arrays import BoolArray, FloatArray, IntArray
from shortlist.candidates.item_to_item import ItemToItem
from shortlist.candidates.past import query_from
from shortlist.catalog.store import ItemUnknown
from shortlist.catalog.variants import barred, firsts
from shortlist.retrieval.top import within
from shortlist.serving import fallback
from shortlist.serving.known import Known, allowed
from shortlist.serving.snapshot import NOTHING, Snapshot
from shortlist.settings import RuleSettings

CONTEXT = "similar"  # what operator rules call it
TOP = 50  # nearest items asked of the index, before filters

_encode = msgspec.json.Encoder().encode


class SimilarSlate(Struct, frozen=True):
    """Items like one, best first. body: the JSON, as HTTP sends it. rest: the end of its log record."""

    item_id: str
    items: list[tuple[str, float]]  # id and cosine similarity; 0 for what only filled up
    body: bytes
    rest: bytes


def slate(
    item_id: str,
    limit: int,
    known: Known,
    rules: RuleSettings,
    request_id: str,
    now_ms: int,
    began: float,
    user_id: str | None = None,
    *,
    where: str = "",
) -> SimilarSlate:
    """The slate. known: whoever asks. where: the request's filter. began: `perf_counter` when it was asked.

    Raises ItemUnknown."""
    snapshot = known.snapshot
    table = snapshot.table
    position = table.position(item_id)
    if position < 0:
        raise ItemUnknown(f"no item {item_id!r}: check the id, or add the item first")
    positions, scores = nearest(position, limit, known, rules, where)
    ids, fragments = table.ids, table.fragments
    items = [(ids[at], score) for at, score in zip(positions, scores, strict=True)]
    cards = b",".join(
        b'{%b,"position":%d,"score":%.6g}' % (fragments[at], place, score)
        for place, (at, score) in enumerate(zip(positions, scores, strict=True))
    )
    model = snapshot.model
    said = (
        b'{"version":%b,"age_s":%d}' % (_encode(model.version), (now_ms - model.trained_ms) // 1000)
        if model is not None
        else b"null"
    )
    body = b'{"request_id":%b,"item_id":%b,"recommendations":[%b],"model":%b,"took_ms":%.3f}' % (
        _encode(request_id),
        _encode(item_id),
        cards,
        said,
        (perf_counter() - began) * 1000.0,
    )
    rest = {
        "user_id": user_id,
        "route": "similar",
        "to": item_id,
        "model": snapshot.model_version,
        "limit": limit,
        "items": [of for of, _ in items],
        "scores": [round(score, 6) for _, score in items],
    }
    return SimilarSlate(item_id, items, body, b"," + _encode(rest)[1:])


def nearest(
    position: int, limit: int, known: Known, rules: RuleSettings, where: str = ""
) -> tuple[list[int], list[float]]:
    """Positions and similarities of the `limit` nearest that may come; too few are filled up with popular
    items of its category, then as fallbacks do."""
    snapshot = known.snapshot
    mask = allowed(known, rules, context=CONTEXT, where=where)
    barred(mask, np.array([position], np.int32), snapshot.table.columns)
    found, scores = _search(position, limit, mask, snapshot)
    if len(found) < limit:
        code = int(snapshot.table.columns.category[position]) if position < len(mask) else -1
        own = (code,) if code >= 0 else ()
        rest = fallback.others(snapshot, mask, limit - len(found), taken=found, categories=own)
        more = [at for at, _ in rest]
        return found.tolist() + more, scores.tolist() + [0.0] * len(more)
    return found.tolist(), scores.tolist()


def _search(position: int, limit: int, mask: BoolArray, snapshot: Snapshot) -> tuple[IntArray, FloatArray]:
    source = snapshot.model.sources.get("item_to_item") if snapshot.model is not None else None
    if not isinstance(source, ItemToItem):
        return _proposed(position, limit, mask, snapshot)
    vector = source.index.rows(np.array([position], np.int32))[0]
    if not vector.any():  # nothing is known of it, or not yet
        return _proposed(position, limit, mask, snapshot)
    nearest = source.similar(position, max(TOP, limit))
    found = _kept(nearest.positions, nearest.scores, limit, mask, snapshot)
    if len(found[0]) < limit:  # many of the nearest may not come, or stand for one: look further
        most = limit if snapshot.table.group is None else 4 * TOP
        nearest = source.nearest(vector, source.index.search(vector, most, allowed=mask)[0])
        found = _kept(nearest.positions, nearest.scores, limit, mask, snapshot)
    return found


def _kept(
    positions: IntArray, scores: FloatArray, limit: int, mask: BoolArray, snapshot: Snapshot
) -> tuple[IntArray, FloatArray]:
    """The first `limit` of what may come, one of each group of variants."""
    keep = within(positions, mask)
    positions, scores = positions[keep], scores[keep]
    first = firsts(positions, snapshot.table.columns)[:limit]
    return positions[first], scores[first]


def _proposed(position: int, limit: int, mask: BoolArray, snapshot: Snapshot) -> tuple[IntArray, FloatArray]:
    """Without a vector index: what other sources say to a past of this one item."""
    for name in ("content", "item_knn", "transitions"):
        source = snapshot.model.sources.get(name) if snapshot.model is not None else None
        if source is None:
            continue
        query = query_from([position], [0.0], [1.0], [0], now_s=0.0)
        query.allowed = mask
        found = source.candidates(query, max(TOP, limit))
        kept = _kept(found.positions, found.scores, limit, mask, snapshot)
        if len(kept[0]):
            return kept
    return NOTHING, np.empty(0, np.float32)
