"""Items that few people know, by category: what a new user's slate explores (flow 9)."""

from dataclasses import dataclass

import numpy as np

from shortlist.arrays import FloatArray, IntArray
from shortlist.catalog.table import ItemTable

POPULAR_SHARE = 0.2  # of a category's items, the most popular: they are known, and what explores avoids them
KEPT = 300  # items per category: a new user sees 7 of one at most
BANDS = 3  # of price, within a category: cheap, usual, dear


@dataclass(frozen=True, slots=True)
class LongTail:
    """categories: (k,) codes, -1 for items without one. items: of each category, positions in an order in
    which neighbours differ in brand and price. bands: (table size then,) price band, -1 without a price."""

    categories: tuple[int, ...]
    items: tuple[IntArray, ...]
    bands: IntArray


def long_tail(table: ItemTable, popularity: FloatArray, seed: int = 7) -> LongTail:
    """The long tail of every category. popularity: (n,) of the first n items, 0 unknown; the rest have 0.

    A category whose items are all popular has none. 100k items take about 50 ms."""
    columns = table.columns
    n = len(columns.category)
    known = np.zeros(n, np.float32)
    known[: min(n, len(popularity))] = popularity[:n]
    rng = np.random.default_rng(seed)
    order = np.lexsort((rng.random(n), -known, columns.category))
    codes, starts, sizes = np.unique(columns.category[order], return_index=True, return_counts=True)
    place = np.empty(n, np.int64)
    place[order] = np.arange(n) - np.repeat(starts, sizes)
    size = np.empty(n, np.int64)
    size[order] = np.repeat(sizes, sizes)
    is_tail = (place >= np.ceil(size * POPULAR_SHARE)) | (known == 0)
    bands = _bands(columns.category, columns.price)
    # Within a category: first one item of each pair of brand and band, then a second one of each, and so on.
    tail = np.flatnonzero(is_tail)
    draw = rng.random(len(tail))
    pair = (columns.brand[tail].astype(np.int64) + 1) * (BANDS + 1) + bands[tail] + 1
    by_pair = np.lexsort((draw, pair, columns.category[tail]))
    key = np.stack([columns.category[tail][by_pair], pair[by_pair]])
    is_first = np.r_[True, (np.diff(key) != 0).any(axis=0)] if len(tail) else np.zeros(0, bool)
    run = np.arange(len(tail)) - np.maximum.accumulate(np.where(is_first, np.arange(len(tail)), 0))
    turn = np.empty(len(tail), np.int64)
    turn[by_pair] = run
    final = tail[np.lexsort((draw, turn, columns.category[tail]))]
    items, categories = [], []
    for code in codes.tolist():
        begin, end = np.searchsorted(columns.category[final], [code, code + 1])
        if begin < end:
            categories.append(code)
            items.append(final[begin:end][:KEPT].astype(np.int32))
    return LongTail(tuple(categories), tuple(items), bands)


def _bands(category: IntArray, price: FloatArray) -> IntArray:
    """(n,) third of its category's prices that an item lies in: 0 to 2; -1 without a price."""
    bands = np.full(len(price), -1, np.int32)
    priced = np.flatnonzero(~np.isnan(price))
    order = priced[np.lexsort((price[priced], category[priced]))]
    if len(order):
        _, starts, sizes = np.unique(category[order], return_index=True, return_counts=True)
        place = np.arange(len(order)) - np.repeat(starts, sizes)
        bands[order] = (place * BANDS) // np.repeat(sizes, sizes)
    return bands
