import numpy as np
from numpy.typing import NDArray

from shortlist.arrays import IntArray
from shortlist.catalog.item import Item
from shortlist.catalog.store import Change
from shortlist.catalog.table import ItemTable
from shortlist.catalog.variants import barred, firsts


def ids(table: ItemTable, positions: IntArray | NDArray[np.intp]) -> list[str]:
    return [table.ids[at] for at in positions.tolist()]


def shop() -> ItemTable:
    """A shirt with two sizes, a mug of which only colours are sold, and a lamp."""
    return ItemTable(
        [
            Item(item_id="red mug", variant_of="mug"),
            Item(item_id="shirt L", variant_of="shirt"),
            Item(item_id="lamp"),
            Item(item_id="shirt"),
            Item(item_id="blue mug", variant_of="mug"),
            Item(item_id="shirt M", variant_of="shirt"),
        ],
        1,
    )


def test_items_that_come_meanwhile_are_passed_over() -> None:
    table = shop()
    mask = table.servable.copy()
    table.apply([Change(2, "shirt S", Item(item_id="shirt S", variant_of="shirt"))])
    barred(mask, table.positions(["shirt S", "shirt M"]), table.columns)
    assert set(ids(table, np.flatnonzero(mask).astype(np.int32))) == {"red mug", "blue mug", "lamp"}


def test_who_bought_one_has_bought_them_all() -> None:
    table = shop()
    for bought, gone in (
        ("shirt M", {"shirt", "shirt M", "shirt L"}),
        ("shirt", {"shirt", "shirt M", "shirt L"}),
        ("blue mug", {"red mug", "blue mug"}),
        ("lamp", {"lamp"}),
    ):
        mask = table.servable.copy()
        barred(mask, table.positions([bought]), table.columns)
        assert set(ids(table, np.flatnonzero(table.servable & ~mask).astype(np.int32))) == gone


def test_a_list_keeps_the_first_of_each() -> None:
    table = shop()
    ranked = table.positions(["shirt M", "blue mug", "shirt", "lamp", "red mug", "shirt L"])
    assert ids(table, ranked[firsts(ranked, table.columns)]) == ["shirt M", "blue mug", "lamp"]


def test_the_name_of_a_group_is_no_item() -> None:
    table = shop()
    assert not table.servable[table.position("mug")]
    table.apply([Change(2, "cup 1", Item(item_id="cup 1", variant_of="cup"))])
    assert not table.servable[table.position("cup")]
    assert table.servable[table.position("cup 1")]
    table.apply([Change(3, "cup", Item(item_id="cup", title="Cup"))])  # and becomes one when it is added
    assert table.servable[table.position("cup")]
    assert b'"title":"Cup"' in table.fragments[table.position("cup")]


def test_without_variants_nothing_is_kept_of_groups() -> None:
    table = ItemTable([Item(item_id="a"), Item(item_id="b")], 1)
    assert table.group is None
    assert firsts(table.positions(["b", "a"]), table.columns).tolist() == [0, 1]
    table.apply([Change(2, "a", Item(item_id="a", variant_of="b"))])
    assert table.group is not None
    table.apply([Change(3, "a", Item(item_id="a"))])
    assert table.group is None
