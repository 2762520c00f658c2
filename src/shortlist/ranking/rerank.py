"""The business rules of re-ranking (flows 2 and 8): pure functions over a ranked list of items.

Filters (not servable, bought, disliked, margin too low) take items away for good. Caps (per category, per
brand) only choose between items, slate by slate, and give way before a slate is short: first the brand cap
goes, then the category cap rises by one at a time. A missing attribute (code -1, margin NaN) counts for
nothing: it is never capped and never filtered.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from shortlist.arrays import BoolArray, FloatArray, IntArray
from shortlist.catalog.table import ItemTable
from shortlist.settings import RuleSettings


def rerank(
    positions: IntArray,
    scores: FloatArray,
    table: ItemTable,
    rules: RuleSettings,
    *,
    limit: int,
    page: int = 1,
    trending: IntArray | None = None,
    exclude: IntArray | None = None,
    category: int = -1,
) -> tuple[IntArray, FloatArray]:
    """One slate of a ranked list, all rules applied: its positions and their scores after boosts.

    positions, scores: (n,) in any order. trending: positions that get the boost. exclude: positions that
    must not come. category: code that items must have, -1 for any. Page k holds what follows once the
    slates of the pages before it are taken away.
    """
    scores = boosted(positions, scores, trending, rules)
    keep = passes(positions, table, rules, exclude=exclude, category=category)
    order = ranking(scores)
    order = order[keep[order]]
    positions, scores = positions[order], scores[order]
    chosen = cut(table.category[positions].tolist(), table.brand[positions].tolist(), rules, limit, page)
    return positions[chosen], scores[chosen]


def boosted(
    positions: IntArray, scores: FloatArray, trending: IntArray | None, rules: RuleSettings
) -> FloatArray:
    """`scores` with those of trending items raised by `rules.trending_boost` of their size."""
    if not rules.enabled or trending is None or not len(trending) or not rules.trending_boost:
        return scores
    hit = np.flatnonzero((positions[:, None] == trending).any(axis=1))  # a few dozen: quicker than sorting
    if not len(hit):
        return scores
    raised = scores.astype(np.float32)
    raised[hit] += np.float32(rules.trending_boost) * np.abs(raised[hit])
    return raised


def weighted(positions: IntArray, scores: FloatArray, factors: FloatArray | None) -> FloatArray:
    """`scores` with what the operator's boosts and buries make of them.

    factors: by position in the table, 1 beyond its end; None: all 1. A factor of 1.5 raises a score by half
    its size and 0.5 lowers it so, whatever its sign.
    """
    if factors is None:
        return scores
    inside = positions < len(factors)
    factor = np.where(inside, factors[np.where(inside, positions, 0)], np.float32(1))
    found: FloatArray = (scores + (factor - 1) * np.abs(scores)).astype(np.float32, copy=False)
    return found


def moved(positions: IntArray, factors: FloatArray | None) -> list[int]:
    """Indexes of a list that has an order but no scores, as boosts and buries rearrange it.

    The item at place k counts 1 / (k + 10), so that a boost by half lifts the 10th past the 4th.
    """
    if factors is None:
        return list(range(len(positions)))
    scores = (1 / np.arange(10, len(positions) + 10)).astype(np.float32)
    order: list[int] = ranking(weighted(positions, scores, factors)).tolist()
    return order


def ranking(scores: FloatArray) -> IntArray:
    """Indexes from the best score to the worst; equal scores keep their order."""
    return np.argsort(-scores, kind="stable").astype(np.int32, copy=False)


def passes(
    positions: IntArray,
    table: ItemTable,
    rules: RuleSettings,
    *,
    exclude: IntArray | None = None,
    category: int = -1,
) -> BoolArray:
    """(n,) whether each item may be in a slate at all. These rules never give way."""
    able = table.columns.worth(rules.min_margin) if rules.enabled else table.servable
    keep: BoolArray = able[positions]
    if category >= 0:
        keep &= table.category[positions] == category
    if exclude is not None and len(exclude):
        keep &= ~np.isin(positions, exclude)
    return keep


def cut(
    categories: Sequence[int],
    brands: Sequence[int],
    rules: RuleSettings,
    limit: int,
    page: int = 1,
    pins: Mapping[int, int] | None = None,
) -> list[int]:
    """Indexes, in rank order, of the items on one page of a ranked list.

    categories, brands: codes of the items, best item first, -1 where missing. Every page keeps the caps on
    its own; the list running out is the only reason for fewer than `limit`. pins: place in the whole list →
    index of the item that stands there, whatever the caps say.
    """
    if pins:
        return _pinned(categories, brands, rules, limit, page, pins)
    rest = list(range(len(categories)))
    if not rules.enabled or not (rules.max_per_category or rules.max_per_brand):
        return rest[(page - 1) * limit : page * limit]
    category_cap = rules.max_per_category or len(rest)
    brand_cap = rules.max_per_brand or len(rest)
    for _ in range(page - 1):
        taken = set(_slate(rest, categories, brands, limit, category_cap, brand_cap))
        rest = [index for index in rest if index not in taken]
        if not rest:
            break
    return _slate(rest, categories, brands, limit, category_cap, brand_cap)


def _pinned(
    categories: Sequence[int],
    brands: Sequence[int],
    rules: RuleSettings,
    limit: int,
    page: int,
    pins: Mapping[int, int],
) -> list[int]:
    """The same around places that are taken: every page gives its others what room the pins leave."""
    fixed = set(pins.values())
    rest = [index for index in range(len(categories)) if index not in fixed]
    has_caps = rules.enabled and (rules.max_per_category or rules.max_per_brand)
    caps = [
        cap if has_caps and cap else len(categories) for cap in (rules.max_per_category, rules.max_per_brand)
    ]
    chosen: list[int] = []
    for number in range(page):
        start = number * limit
        here = sorted(place for place in pins if start <= place < start + limit)
        chosen = _slate(rest, categories, brands, limit - len(here), *caps)
        taken = set(chosen)
        rest = [index for index in rest if index not in taken]
        for place in here:
            chosen.insert(place - start, pins[place])
    return chosen


def _slate(
    rest: list[int],
    categories: Sequence[int],
    brands: Sequence[int],
    limit: int,
    category_cap: int,
    brand_cap: int,
) -> list[int]:
    """The best of `rest` within the caps, filled up by letting the caps go; in rank order."""
    chosen: list[int] = []
    of_category: dict[int, int] = {-1: -len(rest)}  # a missing one never reaches its cap
    of_brand: dict[int, int] = {-1: -len(rest)}
    skipped: list[int] = []
    for index in rest:
        if len(chosen) == limit:
            return chosen
        category, brand = categories[index], brands[index]
        in_category, in_brand = of_category.get(category, 0), of_brand.get(brand, 0)
        if in_category < category_cap and in_brand < brand_cap:
            chosen.append(index)
            of_category[category], of_brand[brand] = in_category + 1, in_brand + 1
        else:
            skipped.append(index)
    # What is left would break a cap. By how much it would break the category's decides who comes first:
    # 0 for those that only their brand kept out.
    excess: list[tuple[int, int]] = []
    for index in skipped:
        in_category = of_category.get(categories[index], 0)
        of_category[categories[index]] = in_category + 1
        excess.append((max(0, in_category + 1 - category_cap), index))
    excess.sort()
    chosen.extend(index for _, index in excess[: limit - len(chosen)])
    chosen.sort()
    return chosen
