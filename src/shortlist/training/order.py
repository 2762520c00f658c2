"""Where items stand in a model: the ones that people take most come first."""

from dataclasses import replace

import numpy as np

from shortlist.catalog.table import ItemTable
from shortlist.events.interactions import Interactions


def most_taken_first(data: Interactions, items: ItemTable) -> tuple[Interactions, ItemTable]:
    """The same, with items at positions in the order of their interactions; equal ones keep their order.

    What is read together lies together in memory then, and what sources add up ends at the last item that
    anybody took, however long the tail behind it is. items: the table that `data` has its positions of.
    """
    counts = np.bincount(data.items, minlength=len(data.item_ids))
    order = np.argsort(-counts, kind="stable")
    place = np.empty(len(order), np.int32)
    place[order] = np.arange(len(order), dtype=np.int32)
    item_ids = [data.item_ids[position] for position in order.tolist()]
    against = replace(data.against, items=place[data.against.items])
    table = ItemTable((item for item in items.items if item is not None), items.version, order=item_ids)
    return replace(data, items=place[data.items], item_ids=item_ids, against=against), table
