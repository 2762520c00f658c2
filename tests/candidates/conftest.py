"""A lopsided shop whose right answers are plain to see, and a larger one at random."""

from collections.abc import Sequence

import numpy as np
import pytest

from shortlist.catalog.item import Item
from shortlist.catalog.table import ItemTable
from shortlist.events.interactions import Interactions

DAY_S = 86_400.0
START_S = 1_700_000_000.0


def interactions(rows: Sequence[tuple[int, int, float, int, bool]], users: int, items: int) -> Interactions:
    """From (user, item, time in s, session, is a purchase), any order."""
    ordered = sorted(rows, key=lambda row: row[2])
    columns = list(zip(*ordered, strict=True)) if ordered else [(), (), (), (), ()]
    return Interactions(
        users=np.array(columns[0], np.int32),
        items=np.array(columns[1], np.int32),
        ts_s=np.array(columns[2], np.float64),
        weights=np.array([3.0 if bought else 1.0 for bought in columns[4]], np.float32),
        sessions=np.array(columns[3], np.int32),
        purchases=np.array(columns[4], np.bool_),
        user_ids=[f"user-{n}" for n in range(users)],
        item_ids=[f"item-{n}" for n in range(items)],
    )


KINDS = ["kettle"] * 4 + ["teapot"] * 3 + ["tent"] * 5


@pytest.fixture(scope="session")
def shop_items() -> ItemTable:
    """12 items: four kettles, three teapots, five tents."""
    return ItemTable(
        [
            Item(item_id=f"item-{n}", title=f"{kind} number{n}", categories=(kind,), brand=f"brand{n % 2}")
            for n, kind in enumerate(KINDS)
        ],
        version=1,
    )


@pytest.fixture(scope="session")
def shop() -> Interactions:
    """7 users: after kettle 0 comes teapot 4; tents go with tents; nobody touched 11; 3 is the hit."""
    rows: list[tuple[int, int, float, int, bool]] = []
    for user in range(5):
        at = START_S + user * DAY_S
        rows += [(user, 0, at, user, True), (user, 4, at + 60, user, True), (user, 3, at + 120, user, True)]
    for user in (5, 6):
        at = START_S + user * DAY_S
        rows += [(user, tent, at + 60 * n, user, True) for n, tent in enumerate((7, 8, 9))]
        rows += [(user, 3, at + 600, user, True)]
    rows += [(6, 10, START_S + 20 * DAY_S, 100, True), (6, 7, START_S + 30 * DAY_S, 101, True)]
    return interactions(rows, users=7, items=12)


@pytest.fixture(scope="session")
def crowd() -> Interactions:
    """80 users, 40 items, 1,200 events at random, some of them purchases."""
    rng = np.random.default_rng(3)
    rows = [
        (
            int(rng.integers(80)),
            int(rng.zipf(1.4) % 39),
            START_S + float(rng.integers(90)) * DAY_S + n,
            int(n // 4),
            bool(rng.random() < 0.4),
        )
        for n in range(1_200)
    ]
    return interactions(rows, users=80, items=40)


@pytest.fixture(scope="session")
def crowd_items() -> ItemTable:
    """40 items with words."""
    words = ["red", "blue", "small", "large", "old", "new"]
    return ItemTable(
        [
            Item(
                item_id=f"item-{n}",
                title=f"{words[n % 6]} {words[(n * 5) % 6]} thing",
                categories=(f"c{n % 4}",),
            )
            for n in range(40)
        ],
        version=1,
    )
