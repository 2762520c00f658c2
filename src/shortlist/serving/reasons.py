"""Why an item is in a slate: one code and one sentence, cheap enough to be there for every item."""

from collections.abc import Mapping, Sequence

import numpy as np

from shortlist.arrays import FloatArray, IntArray
from shortlist.candidates.content import Content
from shortlist.candidates.item_knn import ItemKnn
from shortlist.candidates.item_to_item import ItemToItem
from shortlist.candidates.neighbours import Neighbours
from shortlist.candidates.past import last_distinct
from shortlist.candidates.source import CandidateSource, Query
from shortlist.candidates.transitions import Transitions
from shortlist.catalog.table import ItemTable

# code -> sentence; {} is the title of a past item, or a category
WORDS = {
    "viewed": "Because you viewed {}",
    "bought": "Because you bought {}",
    "carted": "Goes with {} in your cart",
    "liked": "Because you liked {}",
    "bought_together": "Often bought with {}",
    "taste": "People with your taste chose it",
    "again": "Have another look",
    "popular_category": "Popular in {}",
    "popular": "Popular now",
    "trending": "Trending now",
    "catalog": "From our catalog",
}

# What the last event on an item says of why its neighbours come.
OF_TYPE = {"purchase": "bought", "cart": "carted", "rating": "liked", "like": "liked"}

# Sources that speak of no past item. Popularity counts less than anything personal that says the same.
GENERAL = {"popular": 0.3, "trending": 0.3}
PAST = 10  # last different items that a reason may lean on
MENTIONED = 0.2  # share of the strongest contribution from which a source is named


def words(code: str, because: str, table: ItemTable) -> str:
    """The sentence of a reason. An item without a title is called by its id."""
    if not because:
        return WORDS[code].format("").rstrip()
    if code == "popular_category":
        return WORDS[code].format(because)
    position = table.position(because)
    item = table.items[position] if position >= 0 else None
    return WORDS[code].format(item.title if item is not None and item.title else because)


def contributions(
    raw: Mapping[str, FloatArray], weights: Mapping[str, float]
) -> tuple[list[str], FloatArray]:
    """Names of the sources and (sources, n) how much each speaks for each item, on one scale.

    raw: scores by source name. weights: how far each source is believed (the blend's), 1 where unknown.
    """
    names = list(raw)
    table = np.zeros((len(names), len(next(iter(raw.values()))) if raw else 0), np.float32)
    for row, name in enumerate(names):
        largest = raw[name].max(initial=0.0)
        if largest > 0:
            table[row] = raw[name] * ((weights.get(name, 1.0) or 0.1) * GENERAL.get(name, 1.0) / largest)
    return names, table


def leaning(
    query: Query, positions: IntArray, sources: Mapping[str, CandidateSource]
) -> tuple[IntArray, IntArray]:
    """The last different items (m,) and, for each of `positions`, which of them it is nearest to, -1: none.

    Nearness is what the item vectors say; where there are none, what followed or went together.
    """
    past, _ = last_distinct(query, len(query.allowed) if query.allowed is not None else 2**31 - 1, PAST)
    nearest = np.full(len(positions), -1, np.int32)
    if not len(past) or not len(positions):
        return past, nearest
    strength = np.zeros((len(past), len(positions)), np.float32)
    for name in ("item_to_item", "content", "item_knn", "transitions"):
        source = sources.get(name)
        found = _links(source, past, positions) if source is not None else None
        if found is not None:
            largest = found.max(initial=0.0)
            if largest > 0:
                strength += found / largest
    strength[past[:, None] == positions[None, :]] = 0.0  # an item is no reason for itself
    best = strength.argmax(axis=0)
    has = strength[best, np.arange(len(positions))] > 0
    nearest[has] = best[has]
    return past, nearest


def _links(source: CandidateSource, past: IntArray, positions: IntArray) -> FloatArray | None:
    """(past, positions) how near, from a source's vectors or neighbours; None: it has neither."""
    if isinstance(source, ItemToItem | Content):
        vectors = source.index.vectors
        near: FloatArray = _rows(vectors, past) @ _rows(vectors, positions).T
        return np.maximum(near, 0.0)
    if isinstance(source, ItemKnn):
        return _linked(source.similar, past, positions)
    if isinstance(source, Transitions):
        return _linked(source.following, past, positions)
    return None


def _linked(neighbours: Neighbours, past: IntArray, positions: IntArray) -> FloatArray:
    found = np.zeros((len(past), len(positions)), np.float32)
    known = np.flatnonzero(past < len(neighbours.items))
    order = np.argsort(positions)
    ordered = positions[order]
    items, weights = neighbours.items[past[known]], neighbours.weights[past[known]]
    at = np.minimum(np.searchsorted(ordered, items), len(ordered) - 1)
    row, column = np.nonzero((ordered[at] == items) & (weights > 0))
    found[known[row], order[at[row, column]]] = weights[row, column]
    return found


def _rows(vectors: FloatArray, positions: IntArray) -> FloatArray:
    inside = positions < len(vectors)
    if inside.all():
        return vectors[positions]
    rows = np.zeros((len(positions), vectors.shape[1]), np.float32)
    rows[inside] = vectors[positions[inside]]
    return rows


def reasons(
    query: Query,
    positions: IntArray,
    raw: Mapping[str, FloatArray],
    *,
    table: ItemTable,
    sources: Mapping[str, CandidateSource],
    weights: Mapping[str, float],
    last_type: Mapping[int, str],
    own_categories: Sequence[int],
) -> list[tuple[str, str, dict[str, float]]]:
    """(code, of what, raw scores of the sources that speak for it, strongest first) per item.

    last_type: by position, the user's last event on a past item. own_categories: codes.
    """
    names, table_of = contributions(raw, weights)
    past, nearest = leaning(query, positions, sources)
    order = np.argsort(-table_of, axis=0, kind="stable")
    parts = table_of.T.tolist()
    raw_rows = np.stack([raw[name] for name in names]).T.tolist() if names else [[]] * len(positions)
    own, ids = set(own_categories), table.ids
    category = table.category[positions].tolist()
    past_list = past.tolist()
    result = []
    rows = zip(order.T.tolist(), parts, raw_rows, nearest.tolist(), category, strict=True)
    for ranks, shares, scores, near, code in rows:
        least = shares[ranks[0]] * MENTIONED if ranks else 0.0
        named = {
            names[row]: float(f"{scores[row]:.4g}")
            for row in ranks
            if shares[row] > 0 and shares[row] >= least
        }
        strongest = next(iter(named), "popular")
        if strongest == "trending":
            why, of = "trending", ""
        elif strongest == "popular":
            is_own = code >= 0 and (code in own or code == query.category)
            why, of = ("popular_category", table.categories[code]) if is_own else ("popular", "")
        elif strongest == "again":
            why, of = "again", ""
        elif near < 0:
            why, of = "taste", ""
        elif strongest == "bought_together":
            why, of = "bought_together", ids[past_list[near]]
        elif strongest == "als" and len(named) == 1:
            why, of = "taste", ""
        else:
            past_item = past_list[near]
            why, of = OF_TYPE.get(last_type.get(past_item, ""), "viewed"), ids[past_item]
        result.append((why, of, named))
    return result
