"""Interactions that training tests make, with an answer that is known."""

import numpy as np
from numpy.typing import NDArray

from shortlist.catalog.item import Item
from shortlist.catalog.table import ItemTable
from shortlist.events.interactions import Interactions

DAY_S = 86_400.0
START_S = 1_700_000_000.0


def items(n: int) -> ItemTable:
    """`n` items in five categories."""
    made = [
        Item(item_id=f"item-{k}", title=f"thing {k % 7} {k}", categories=(f"c{k % 5}",)) for k in range(n)
    ]
    return ItemTable(made, version=1)


def walks(
    sequences: NDArray[np.int32], *, n_items: int, step_s: float = 3_600.0, calendar: bool = True
) -> Interactions:
    """One event per step: sequences (users, steps) of items; all users step at about the same time."""
    users, steps = sequences.shape
    rng = np.random.default_rng(0)
    at = np.repeat(np.arange(steps, dtype=np.float64), users)
    ts = START_S + at * step_s + rng.random(users * steps) * step_s if calendar else at
    order = np.argsort(ts, kind="stable")
    return Interactions(
        users=np.tile(np.arange(users, dtype=np.int32), steps)[order],
        items=sequences.T.ravel().astype(np.int32)[order],
        ts_s=ts[order],
        weights=np.ones(users * steps, np.float32),
        sessions=np.zeros(users * steps, np.int32),
        purchases=np.zeros(users * steps, np.bool_),
        user_ids=[f"user-{k}" for k in range(users)],
        item_ids=[f"item-{k}" for k in range(n_items)],
    )


def orderly(users: int, steps: int, n_items: int, seed: int = 1) -> NDArray[np.int32]:
    """Everybody goes round: from item k to k + 1 nine times of ten, else anywhere."""
    rng = np.random.default_rng(seed)
    at = rng.integers(n_items, size=users)
    columns = []
    for _ in range(steps):
        columns.append(at)
        at = np.where(rng.random(users) < 0.9, (at + 1) % n_items, rng.integers(n_items, size=users))
    return np.stack(columns, axis=1).astype(np.int32)


def aimless(users: int, steps: int, n_items: int, seed: int = 2) -> NDArray[np.int32]:
    """Every step goes anywhere: nothing that is known helps to foresee the next."""
    return np.random.default_rng(seed).integers(n_items, size=(users, steps)).astype(np.int32)
