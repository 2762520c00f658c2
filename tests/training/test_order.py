"""Items in the order in which people take them, and nothing else changed."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from shortlist.catalog.item import Item
from shortlist.catalog.table import ItemTable
from shortlist.events.interactions import Against, Interactions
from shortlist.training.order import most_taken_first

IDS = ["a", "b", "c", "d"]


def data_of(taken: list[int], turned_down: list[int]) -> Interactions:
    n = len(taken)
    return Interactions(
        users=np.zeros(n, np.int32),
        items=np.array(taken, np.int32),
        ts_s=np.arange(n, dtype=np.float64),
        weights=np.ones(n, np.float32),
        sessions=np.zeros(n, np.int32),
        purchases=np.zeros(n, np.bool_),
        user_ids=["u"],
        item_ids=IDS,
        against=Against(
            np.zeros(len(turned_down), np.int32),
            np.array(turned_down, np.int32),
            -np.ones(len(turned_down), np.float32),
        ),
    )


@given(st.lists(st.integers(0, 3), max_size=12), st.lists(st.integers(0, 3), max_size=4))
def test_every_event_keeps_its_item_and_the_most_taken_comes_first(
    taken: list[int], turned_down: list[int]
) -> None:
    # "d" was deleted from the catalog: a place without an item.
    table = ItemTable([Item(item_id=item_id, title=item_id.upper()) for item_id in "abc"], 7, order=IDS)

    data, items = most_taken_first(data_of(taken, turned_down), table)

    assert [data.item_ids[at] for at in data.items.tolist()] == [IDS[at] for at in taken]
    assert [data.item_ids[at] for at in data.against.items.tolist()] == [IDS[at] for at in turned_down]
    assert data.item_ids == sorted(IDS, key=lambda item_id: (-taken.count(IDS.index(item_id)), item_id))
    assert items.ids == data.item_ids
    assert items.version == 7
    titles = {item.item_id: item.title for item in items.items if item is not None}
    assert titles == {"a": "A", "b": "B", "c": "C"}
