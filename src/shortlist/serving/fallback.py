"""Items when nothing personal can answer (flow 12), and whatever fills up a slate that would be short."""

from collections.abc import Iterator, Sequence
from itertools import zip_longest

import numpy as np

from shortlist.arrays import BoolArray, IntArray
from shortlist.catalog.variants import barred, firsts
from shortlist.serving.cache import PooledItem
from shortlist.serving.slate import CATALOG, POPULAR, POPULAR_CATEGORY, TRENDING
from shortlist.serving.snapshot import TREND, Snapshot


def others(
    snapshot: Snapshot,
    allowed: BoolArray,
    need: int,
    *,
    taken: IntArray,
    categories: Sequence[int] = (),
    category: int = -1,
) -> Iterator[tuple[int, str]]:
    """At most `need` (position, tier), best first: popular in the user's categories (one of each in turn),
    popular overall, trending, then anything servable in the catalog's order.

    allowed: (table size,) what may come. taken: positions that are there already. categories: the user's.
    category: the one asked for; it then stands for the user's. Of variants of one item, one comes at most.
    """
    if need <= 0:
        return
    free, columns = allowed.copy(), snapshot.table.columns
    barred(free, taken, columns)
    for positions, tier in _lists(snapshot, categories, category):
        known = positions[positions < len(free)]
        for position in known[free[known]].tolist():
            if need <= 0:
                return
            if free[position]:  # it may stand twice in one list
                free[position] = False
                if columns.group is not None:
                    barred(free, np.array([position], np.int32), columns)
                need -= 1
                yield position, tier
    rest = np.flatnonzero(free).astype(np.int32)
    for position in rest[firsts(rest, columns)[:need]].tolist():
        yield position, CATALOG


def _lists(snapshot: Snapshot, categories: Sequence[int], category: int) -> Iterator[tuple[IntArray, str]]:
    own = (category,) if category >= 0 else categories
    columns = [snapshot.popular(code).tolist() for code in own]
    rows = zip_longest(*columns, fillvalue=-1)
    mixed = [position for row in rows for position in row if position >= 0]
    yield np.array(mixed, np.int32), POPULAR_CATEGORY
    yield snapshot.popular(), POPULAR
    yield snapshot.trending(category, TREND), TRENDING


def pooled(snapshot: Snapshot, position: int, tier: str) -> PooledItem:
    """One such item, for a pool: no probability was computed, so it has none."""
    table = snapshot.table
    code = int(table.columns.category[position])
    because = table.categories[code] if tier == POPULAR_CATEGORY and code >= 0 else ""
    reason = POPULAR if tier == POPULAR_CATEGORY and not because else tier
    source = POPULAR if tier == POPULAR_CATEGORY else tier
    return PooledItem(table.ids[position], 0.0, {source: 0.0}, reason, because)
