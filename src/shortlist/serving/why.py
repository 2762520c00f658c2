"""Why an item is in a user's slate, or what keeps it out: worked out again, offline, in words."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from shortlist.arrays import BoolArray, IntArray
from shortlist.candidates.source import Query
from shortlist.features.store import Features
from shortlist.ranking import rerank
from shortlist.ranking.chain import Chain, Gathered
from shortlist.serving.known import allowed, known_of, own_categories, query_of
from shortlist.serving.reasons import reasons, words
from shortlist.serving.recommend import last_types
from shortlist.serving.slate import BROWSING
from shortlist.serving.snapshot import Snapshot
from shortlist.settings import Settings


@dataclass(frozen=True, slots=True)
class Said:
    """What one source says of the item. place: from 1 among what it proposes; 0: it does not propose it."""

    source: str
    score: float
    place: int
    of: int


@dataclass(frozen=True, slots=True)
class Explanation:
    """The whole answer. rank: from 1, among the user's candidates before rules; 0 where it has none.

    kept_out: filters and rules that keep the item out, in words; empty: it is in the slate. is_candidate:
    no filter keeps it out and a source proposes it; if not, its rank is only what it would be.
    place: from 1, in the slate of `limit`. order: what orders candidates, "ranker" or "blend". score and
    last_score: its chance, and that of the last item of the slate. above: items of its category before it.
    features: what the ranker saw, by name. reason: the sentence under the item.
    """

    user_id: str
    item_id: str
    title: str
    interactions: int
    kept_out: list[str]
    is_candidate: bool
    said: list[Said]
    rank: int
    candidates: int
    place: int
    limit: int
    order: str
    score: float
    last_score: float
    features: dict[str, float]
    reason: str


def explain(
    user_id: str,
    item_id: str,
    features: Features,
    snapshot: Snapshot,
    settings: Settings,
    limit: int,
    attributes: Mapping[str, Any] | None = None,
) -> Explanation:
    """Work out a user's slate of `limit` again and say where `item_id` stands in it.

    attributes: of the user, for operator rules and the ranker. Boosts and pins change no rank here, only what
    is taken out.

    What keeps the item out by a filter is named, and it is then ranked as if it were not so.
    Raises ValueError when the snapshot has no model.
    """
    if snapshot.chain is None or snapshot.model is None:
        raise ValueError("an explanation needs a model")
    table, chain = snapshot.table, snapshot.chain
    at = table.position(item_id)
    query = query_of(features, snapshot, settings.weights, attributes=attributes)
    known = known_of(features, snapshot, settings.rules, attributes or {})
    mask = allowed(known, settings.rules)
    kept_out = list(filters(item_id, features, snapshot, settings))
    if at >= 0:
        by = snapshot.rulebook.taken_out_by(at, BROWSING, "", known.attributes)
        kept_out += [f"the operator's rule {rule} ({action}) keeps it out" for action, rule in by]
    is_candidate = not kept_out
    item = table.items[at] if at >= 0 else None
    place, rank, score, last_score, count = 0, 0, 0.0, 0.0, 0
    said: list[Said] = []
    seen: dict[str, float] = {}
    reason = ""
    if at >= 0:
        as_if = mask.copy()
        as_if[at] = True
        said = list(_said(chain, query, as_if, at))
        found = _with(chain, query, chain.gathered(query, as_if), at)
        scores = chain.score(query, found.positions)
        order = rerank.ranking(scores)
        positions = found.positions[order]
        index = int(np.flatnonzero(positions == at)[0])
        count, rank, score = len(positions), index + 1, float(scores[order][index])
        chosen = _slate(positions, snapshot, settings, limit)
        place = chosen.index(index) + 1 if index in chosen else 0
        last_score = float(scores[order][chosen[-1]]) if chosen else 0.0
        row = int(np.flatnonzero(found.positions == at)[0])
        if chain.ranker is not None:
            values = chain.features(query, found)[row].tolist()
            seen = {name: value for name, value in zip(chain.feature_names, values, strict=True) if value}
        (code,), (of,), _ = reasons(
            query,
            np.array([at], np.int32),
            {name: raw[row : row + 1] for name, raw in found.raw.items()},
            table=table,
            sources=snapshot.model.sources,
            weights=snapshot.model.blend.weights,
            last_type=last_types(features),
            own_categories=own_categories(features, snapshot),
        )
        reason = words(code, of, table)
        if not kept_out and not any(one.place for one in said):
            is_candidate = False
            kept_out.append("no source proposes it for this user")
        if not kept_out and not place:
            kept_out += _rules(positions, index, chosen, snapshot, settings, limit)
    return Explanation(
        user_id=user_id,
        item_id=item_id,
        title=item.title if item is not None else "",
        interactions=features.interaction_count,
        kept_out=kept_out,
        is_candidate=is_candidate,
        said=said,
        rank=rank,
        candidates=count,
        place=0 if kept_out else place,
        limit=limit,
        order="ranker" if chain.ranker is not None else "blend",
        score=score,
        last_score=last_score,
        features=seen,
        reason=reason,
    )


def filters(item_id: str, features: Features, snapshot: Snapshot, settings: Settings) -> Iterator[str]:
    """What keeps an item out whatever its score, in words."""
    table, rules = snapshot.table, settings.rules
    at = table.position(item_id)
    item = table.items[at] if at >= 0 else None
    if item is None:
        yield "it is not in the catalog" if at < 0 else "it was deleted from the catalog"
        return
    if item.hidden:
        yield "it is hidden"
    if item.stock == 0:
        yield "it is out of stock"
    if item_id in features.disliked:
        yield "the user disliked it"
    if not rules.repeat_purchases:
        allows = "(rules.repeat_purchases would let it come again)"
        if item_id in features.purchased:
            yield f"the user bought it {allows}"
        if item_id in features.consumed:
            yield f"the user rated it {allows}"
    if rules.enabled and item.margin is not None and item.margin < rules.min_margin:
        yield f"its margin of {item.margin:g} is below {rules.min_margin:g} (rules.min_margin)"


def _said(chain: Chain, query: Query, mask: BoolArray, at: int) -> Iterator[Said]:
    """What each source says, those that propose it first."""
    one = np.array([at], np.int32)
    said = []
    query.allowed = mask
    for source in chain.sources:
        limit = chain.limits.get(source.name, 0)
        proposed = source.candidates(query, limit).positions if limit > 0 else np.empty(0, np.int32)
        hits = np.flatnonzero(proposed == at)
        place = int(hits[0]) + 1 if len(hits) else 0
        said.append(Said(source.name, float(source.score(query, one)[0]), place, len(proposed)))
    yield from sorted(said, key=lambda s: (s.place == 0, s.place, -s.score))


def _with(chain: Chain, query: Query, found: Gathered, at: int) -> Gathered:
    """The candidates, and the item among them even if nobody proposed it."""
    if (found.positions == at).any():
        return found
    positions = np.sort(np.append(found.positions, np.int32(at)))
    return Gathered(positions, {s.name: s.score(query, positions) for s in chain.sources}, found.missing)


def _slate(positions: IntArray, snapshot: Snapshot, settings: Settings, limit: int) -> list[int]:
    columns = snapshot.table.columns
    return rerank.cut(
        columns.category[positions].tolist(), columns.brand[positions].tolist(), settings.rules, limit
    )


def _rules(
    positions: IntArray, index: int, chosen: list[int], snapshot: Snapshot, settings: Settings, limit: int
) -> Iterator[str]:
    """Why an allowed and proposed item is not in the slate."""
    table, rules = snapshot.table, settings.rules
    if not chosen or index > chosen[-1]:
        yield f"{index} items rank above it, and the slate has {limit}"
        return
    at, before = int(positions[index]), positions[[one for one in chosen if one < index]]
    category, brand = int(table.category[at]), int(table.brand[at])
    if category >= 0 and (table.category[before] == category).sum() >= rules.max_per_category > 0:
        yield (
            f"{rules.max_per_category} of {table.categories[category]} rank above it already "
            "(rules.max_per_category)"
        )
    elif brand >= 0 and (table.brand[before] == brand).sum() >= rules.max_per_brand > 0:
        yield f"{rules.max_per_brand} of {table.brands[brand]} rank above it already (rules.max_per_brand)"
    else:
        yield "the caps of rules.max_per_category and rules.max_per_brand left no place for it"
