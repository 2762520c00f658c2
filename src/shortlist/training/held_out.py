"""Items that models must not know: so that it can be learned, and measured, how new ones fare."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from shortlist.arrays import BoolArray, FloatArray, IntArray
from shortlist.candidates.trained import TrainedSource
from shortlist.candidates.vectors import VectorSource
from shortlist.catalog.table import ItemTable
from shortlist.events.interactions import Interactions


@dataclass(frozen=True, slots=True)
class HeldOut:
    """A log and its catalog with some items moved to the end, as new ones come into a catalog.

    data, items: all of both. size: how many items come first, which models may know. order: (n,) where each
    item stood before.
    """

    data: Interactions
    items: ItemTable
    size: int
    order: IntArray


def held_out(data: Interactions, items: ItemTable, mask: BoolArray) -> HeldOut:
    """Move some items to the end. mask: (n,) which, by item code, which is a position of `items`."""
    n = len(mask)
    if not mask.any():
        return HeldOut(data, items, n, np.arange(n, dtype=np.int32))
    order = np.concatenate([np.flatnonzero(~mask), np.flatnonzero(mask)]).astype(np.int32)
    place = np.argsort(order).astype(np.int32)
    ids = [items.ids[at] for at in order]
    moved = replace(
        data,
        items=place[data.items],
        item_ids=ids,
        against=replace(data.against, items=place[data.against.items]),
    )
    whole = ItemTable([item for item in items.items[:n] if item is not None], 1, ids)
    return HeldOut(moved, whole, n - int(mask.sum()), order)


def with_new(
    sources: Mapping[str, TrainedSource], items: ItemTable, texts: FloatArray, size: int
) -> dict[str, TrainedSource]:
    """Sources that know the first `size` of `items`, as a server has them once it took in the others.

    texts: (the others, d) what the encoder says of them.
    """
    positions = np.arange(size, len(items), dtype=np.int32)
    taken = dict(sources)
    for name, source in sources.items():
        if isinstance(source, VectorSource) and len(positions):
            live = source.live(items)
            rows = live.placed(positions, items.items[size:], texts)
            if rows is not None:
                live.index.put(positions, rows)  # type: ignore[attr-defined]  # a live one
            taken[name] = live
    return taken
