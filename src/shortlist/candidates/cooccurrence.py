"""Which items share people: the counts that kNN and GF-CF start from."""

from typing import Any

import numpy as np
from scipy import sparse

from shortlist.candidates.neighbours import Neighbours
from shortlist.events.interactions import Interactions

MOST_PER_USER = 500  # newest different items of a user that count: a crawler's million pairs say little
BLOCK = 1_000  # rows: 1,000 × 100k floats are 400 MB at the very most
DENSE_BELOW = 6_000  # items: a dense product of users × 6k floats still fits beside the rest


def user_items(data: Interactions, n: int) -> Any:
    """(users, n) CSR of ones: who had what, each user's newest `MOST_PER_USER` different items."""
    pairs = np.unique(data.users.astype(np.int64) * n + data.items)
    users, items = pairs // n, pairs % n
    counts = np.bincount(users, minlength=len(data.user_ids))
    if counts.max(initial=0) > MOST_PER_USER:
        last = np.zeros(len(pairs), np.int64)
        at = np.searchsorted(pairs, data.users.astype(np.int64) * n + data.items)
        np.maximum.at(last, at, np.arange(len(data.users)))
        order = np.lexsort((-last, users))
        starts = np.cumsum(counts) - counts
        kept = order[(np.arange(len(order)) - np.repeat(starts, counts)) < MOST_PER_USER]
        users, items = users[kept], items[kept]
    ones = np.ones(len(users), np.float32)
    return sparse.csr_matrix((ones, (users, items)), shape=(len(data.user_ids), n))


def strongest_products(left: Any, right: Any, k: int, *, row_scale: Any, column_scale: Any) -> Neighbours:
    """The `k` strongest of row_scale × (leftᵀ right) × column_scale in each row, the diagonal left out.

    left, right: (users, n) CSR. Worked off in blocks of rows, so that memory stays at a block × n floats.
    """
    n = left.shape[1]
    transposed = sparse.csr_matrix(left.T)
    dense = right.toarray() if _dense_is_quicker(right) else None
    parts = []
    for start in range(0, n, BLOCK):
        rows = transposed[start : start + BLOCK]
        product = sparse.csr_matrix(rows.toarray() @ dense) if dense is not None else rows @ right
        product = sparse.csr_matrix(product)
        of = np.repeat(np.arange(start, start + rows.shape[0]), np.diff(product.indptr))
        scale = row_scale[of] * column_scale[product.indices]
        product.data = (product.data * np.where(of == product.indices, 0, scale)).astype(np.float32)
        parts.append(Neighbours.strongest(product, k))
    return Neighbours.stacked(parts)


def _dense_is_quicker(matrix: Any) -> bool:
    """Measured on one thread: 25 G multiply-adds a second dense, 0.1 G sparse (one per pair of items)."""
    users, n = matrix.shape
    degrees = np.diff(matrix.indptr).astype(float)
    return bool(n <= DENSE_BELOW and users * n * n / 2.5e10 < float((degrees**2).sum()) / 1e8)
