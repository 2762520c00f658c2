"""Why an item is in a slate: one code and one sentence, cheap enough to be there for every item."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from shortlist.arrays import FloatArray, IntArray
from shortlist.candidates.content import Content
from shortlist.candidates.item_knn import ItemKnn
from shortlist.candidates.item_to_item import ItemToItem
from shortlist.candidates.past import last_distinct
from shortlist.candidates.source import CandidateSource, Query
from shortlist.candidates.transitions import Transitions
from shortlist.catalog.table import ItemTable
from shortlist.kernels.strongest import nearest_rows, strongest

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
    "new": "New in our shop",
    "catalog": "From our catalog",
    "pinned": "Picked for you by the shop",
    "variety": "Something different: {}",
}

# What the last event on an item says of why its neighbours come.
OF_TYPE = {"purchase": "bought", "cart": "carted", "rating": "liked", "like": "liked"}

# Sources that speak of no past item. Popularity counts less than anything personal that says the same.
GENERAL = {"popular": 0.3, "trending": 0.3}
PAST = 10  # last different items that a reason may lean on
MENTIONED = 0.2  # share of the strongest contribution from which a source is named
NAMED = 4  # most sources that are named
# Sources that know how near two items are; the first one there is answers.
LINKED = ("item_to_item", "content", "item_knn", "transitions")


def words(code: str, because: str, table: ItemTable) -> str:
    """The sentence of a reason. An item without a title is called by its id."""
    if not because:
        return WORDS[code].format("").rstrip(" :")
    if code in ("popular_category", "variety"):
        return WORDS[code].format(because)
    position = table.position(because)
    item = table.items[position] if position >= 0 else None
    return WORDS[code].format(item.title if item is not None and item.title else because)


def speaking(
    raw: Mapping[str, FloatArray], weights: Mapping[str, float]
) -> tuple[list[str], IntArray, NDArray[np.float64], IntArray]:
    """Names of the sources and, per item, those that speak most for it: (n, k) numbers of names, the
    strongest first, (n, k) their raw scores, and (n,) how many of these are worth naming.

    raw: scores by source name. weights: how far each source is believed (the blend's), 1 where unknown.
    """
    names = list(raw)
    scores = np.concatenate([raw[name] for name in names], dtype=np.float32).reshape(len(names), -1)
    largest = np.maximum(scores.max(axis=1, initial=0.0), 1e-9)
    believed = [(weights.get(name, 1.0) or 0.1) * GENERAL.get(name, 1.0) for name in names]
    shares = np.array(believed, np.float32) / largest
    return names, *strongest(scores, shares, min(NAMED, len(names)), MENTIONED)


def leaning(
    query: Query, positions: IntArray, sources: Mapping[str, CandidateSource]
) -> tuple[IntArray, IntArray]:
    """The last different items (m,) and, for each of `positions`, which of them it is nearest to, -1: none.

    Nearness is what the item vectors say; where there are none, what went together or followed.
    """
    past, _ = last_distinct(query, len(query.allowed) if query.allowed is not None else 2**31 - 1, PAST)
    links = (_links(sources[name], past, positions) for name in LINKED if name in sources)
    near = next((found for found in links if found is not None), None) if len(past) else None
    if near is None:
        return past, np.full(len(positions), -1, np.int32)
    return past, nearest_rows(near, past, positions)


def _links(source: CandidateSource, past: IntArray, positions: IntArray) -> FloatArray | None:
    """(past, positions) how near, from a source's vectors or neighbours; None: it has neither."""
    if isinstance(source, ItemToItem | Content):
        near: FloatArray = source.index.rows(past) @ source.index.rows(positions).T
        return near
    if isinstance(source, ItemKnn):
        return source.similar.links(past, positions)
    if isinstance(source, Transitions):
        return source.following.links(past, positions)
    return None


def reasons(
    query: Query,
    positions: IntArray,
    raw: Mapping[str, FloatArray],
    *,
    table: ItemTable,
    sources: Mapping[str, CandidateSource],
    weights: Mapping[str, float],
    last_type: Mapping[str, str],
    own_categories: Sequence[int],
) -> tuple[list[str], list[str], list[dict[str, float]]]:
    """For each item a code, of what it speaks, and the raw scores of the sources that speak for it, strongest
    first.

    last_type: by item id, the user's last event on a past item. own_categories: codes.
    """
    codes: list[str] = []
    of_what: list[str] = []
    spoken: list[dict[str, float]] = []
    if not raw or not len(positions):
        return codes, of_what, spoken
    names, ranked, scores, counts = speaking(raw, weights)
    past, nearest = leaning(query, positions, sources)
    rows = zip(
        np.array(names, object)[ranked].tolist(),
        counts.tolist(),
        scores.round(5).tolist(),
        nearest.tolist(),
        table.category[positions].tolist(),
        strict=True,
    )
    ids, categories = table.ids, table.categories
    own = {*own_categories, query.category}
    said_of = [(OF_TYPE.get(last_type.get(ids[of], ""), "viewed"), ids[of]) for of in past.tolist()]
    for speakers, count, values, near, category in rows:
        spoken.append(dict(zip(speakers[:count], values, strict=False)))  # of the rest nothing is said
        first = speakers[0] if count else "popular"
        if first == "popular":
            of = categories[category] if category >= 0 and category in own else ""
            code = "popular_category" if of else "popular"
        elif first in ("trending", "again"):
            code, of = first, ""
        elif near < 0 or first == "segment" or (count == 1 and first == "als"):
            code, of = "taste", ""
        else:
            code, of = said_of[near]
            if first == "bought_together":
                code = first
        codes.append(code)
        of_what.append(of)
    return codes, of_what, spoken
