"""The small shop's model with the sources that know items by vectors, and an encoder that can be watched."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from tests.serving.conftest import catalog, fitted

from shortlist.arrays import Arrays, FloatArray
from shortlist.candidates.content import Content
from shortlist.candidates.item_to_item import ItemToItem
from shortlist.catalog.encoder import Encoder
from shortlist.catalog.encoder_tfidf import TfidfEncoder
from shortlist.catalog.item import Item
from shortlist.catalog.table import ItemTable
from shortlist.events.interactions import Interactions
from shortlist.models.model import Model
from shortlist.settings import Settings


class Counting(Encoder):
    """The real encoder, which also remembers what it was asked."""

    def __init__(self, inner: TfidfEncoder) -> None:
        self.inner, self.name, self.dim = inner, inner.name, inner.dim
        self.encoded: list[str] = []

    def encode(self, items: Sequence[Item | None]) -> FloatArray:
        self.encoded += [item.item_id for item in items if item is not None]
        return self.inner.encode(items)

    def arrays(self) -> Arrays:
        return self.inner.arrays()


def with_vectors(version: str = "1", items: Sequence[Item] | None = None, dim: int = 12) -> Model:
    """The model of conftest with the sources that know items by vectors."""
    items = list(items or catalog())
    model, table = fitted(version, items), ItemTable(items, 1)
    training = Settings().training
    n = len(items)
    taken = np.array([table.position(i) for i in ("k0", "k1", "k2", "l0", "l1", "c0", "b0") * 2], np.int32)
    data = Interactions(
        users=np.repeat(np.arange(7, dtype=np.int32), 2),
        items=taken,
        ts_s=np.arange(len(taken), dtype=np.float64),
        weights=np.ones(len(taken), np.float32),
        sessions=np.zeros(len(taken), np.int32),
        purchases=np.zeros(len(taken), bool),
        user_ids=[f"u{u}" for u in range(7)],
        item_ids=model.item_ids,
    )
    encoder = TfidfEncoder.fit(table.items, dim, seed=1)
    content = Content.fit(data, table, training, texts=encoder.encode(table.items[:n]))
    near = ItemToItem.fit(data, table, training, content=content)
    sources = {**model.sources, content.name: content, near.name: near}
    return replace(model, sources=sources, encoder=Counting(encoder))
