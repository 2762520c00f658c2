"""What explores: varied, little known, in its share, and nothing that may not come."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from shortlist.catalog.item import Item
from shortlist.catalog.table import ItemTable
from shortlist.coldstart.first_slates import Woven, woven
from shortlist.coldstart.long_tail import long_tail
from shortlist.settings import RuleSettings

# 14 categories of 20 items, popular in the order of their numbers; 9 brands.
TABLE = ItemTable(
    [
        Item(
            item_id=f"{c}-{n}", categories=(f"c{c}",), brand=f"b{(c + n) % 9}", price=float(5 + (7 * n) % 20)
        )
        for c in range(14)
        for n in range(20)
    ],
    1,
)
NUMBER = np.arange(len(TABLE)) % 20
POPULARITY = (100.0 / (1 + NUMBER)).astype(np.float32)
TAIL = long_tail(TABLE, POPULARITY)
BASE = [c * 20 + n for n in range(4) for c in (1, 2, 3)]  # popular in three categories, in turn


def made(base: list[int] = BASE, *, allowed: np.ndarray | None = None, **changes: object) -> list[Woven]:
    options: dict[str, object] = {
        "share": 0.7, "limit": 10, "size": 100, "rules": RuleSettings(), "seed": "u", "chosen": (1, 2, 3),
    }  # fmt: skip
    mask = TABLE.servable.copy() if allowed is None else allowed
    return woven(base, TAIL, allowed=mask, columns=TABLE.columns, **{**options, **changes})  # type: ignore[arg-type]


def test_each_ten_are_three_popular_and_seven_that_explore() -> None:
    places = made(BASE * 1)
    assert [sum(w.explores for w in places[at : at + 10]) for at in (0, 10, 20)] == [7, 7, 7]
    assert [w.position for w in places if not w.explores][: len(BASE)] == BASE  # in their order


def test_ten_categories_varied_brands_and_prices_and_nothing_popular() -> None:
    explored = [w.position for w in made() if w.explores]
    first = explored[:7]
    assert len(set(TABLE.category[explored[:10]].tolist())) == 10
    assert len(set(TABLE.category[first].tolist())) == 7
    assert not set(TABLE.category[first].tolist()) & {1, 2, 3}  # what was chosen comes last
    assert len(set(TABLE.brand[first].tolist())) >= 4
    assert len(set(TAIL.bands[first].tolist())) == 3
    assert NUMBER[explored].min() >= 4  # the most popular fifth of 20


def test_the_same_seed_gives_the_same_list_and_another_another() -> None:
    assert made() == made()
    assert made() != made(seed="v")
    order = [w.explores for w in made()[:10]]
    assert any([w.explores for w in made(seed=f"u{n}")[:10]] != order for n in range(9))


def test_one_runs_out_and_the_other_fills_up() -> None:
    assert len(made([], size=60)) == 60
    nothing = np.zeros(len(TABLE), bool)
    assert [w.position for w in made(allowed=nothing)] == BASE  # they passed elsewhere
    assert made([], allowed=nothing) == []


def test_caps_give_way_in_a_shop_of_one_brand() -> None:
    table = ItemTable([Item(item_id=str(n), categories=(f"c{n % 12}",), brand="b") for n in range(240)], 1)
    places = woven(
        [], long_tail(table, np.zeros(0, np.float32)), share=0.7, limit=10, size=100, seed="u",
        allowed=table.servable, columns=table.columns, rules=RuleSettings(),
    )  # fmt: skip
    assert len({w.position for w in places}) == len(places) == 100


@settings(max_examples=60, deadline=None)
@given(
    st.sets(st.integers(0, len(TABLE) - 1), max_size=250),
    st.lists(st.integers(0, len(TABLE) - 1), max_size=40, unique=True),
    st.sampled_from([0.0, 0.3, 0.7, 1.0]),
    st.integers(1, 30),
    st.text(max_size=5),
)
def test_nothing_twice_and_nothing_that_may_not_come(
    banned: set[int], base: list[int], share: float, limit: int, seed: str
) -> None:
    allowed = TABLE.servable.copy()
    allowed[list(banned)] = False
    base = [position for position in base if position not in banned]
    found = made(base, allowed=allowed, share=share, limit=limit, seed=seed)
    positions = [w.position for w in found]
    assert len(set(positions)) == len(positions) <= 100
    assert not set(positions) & banned
    assert {w.position for w in found if not w.explores} <= set(base)


def test_a_catalog_without_categories_prices_or_brands_has_a_tail_too() -> None:
    table = ItemTable([Item(item_id=str(n)) for n in range(50)], 1)
    tail = long_tail(table, np.arange(50, 0, -1).astype(np.float32))
    assert tail.categories == (-1,)
    assert sorted(tail.items[0].tolist()) == list(range(10, 50))
    assert long_tail(ItemTable([], 1), np.zeros(0, np.float32)).categories == ()
