"""What nobody touched yet is placed among what people take, by what is said of it."""

from collections.abc import Sequence

import numpy as np
import pytest

from shortlist.arrays import FloatArray
from shortlist.candidates.als import Als
from shortlist.candidates.cold import ColdMap, trust
from shortlist.candidates.content import Content
from shortlist.candidates.item_to_item import ItemToItem
from shortlist.candidates.past import query_from
from shortlist.candidates.trained import TrainedSource
from shortlist.candidates.vectors import VectorSource
from shortlist.catalog.encoder_tfidf import TfidfEncoder
from shortlist.catalog.item import Item
from shortlist.catalog.table import ItemTable
from shortlist.events.interactions import Interactions
from shortlist.settings import TrainingSettings

from .conftest import START_S, interactions

KINDS = ("kettle", "tent", "lamp", "bike")
COUNT, USERS = 160, 200
SETTINGS = TrainingSettings(factors=8, content_dim=16, threads=1)
UNTOUCHED = np.arange(150, COUNT)  # the last ten: nobody took them


def thing(number: int, **more: object) -> Item:
    kind = KINDS[number % 4]
    fields: dict[str, object] = {
        "item_id": f"item-{number}",
        "title": f"{kind} model{number}",
        "categories": (kind,),
        "brand": f"{kind} works {number % 3}",
    }
    return Item(**{**fields, **more})  # type: ignore[arg-type]  # a test's shorthand


@pytest.fixture(scope="module")
def items() -> ItemTable:
    return ItemTable([thing(number) for number in range(COUNT)], 1)


@pytest.fixture(scope="module")
def data() -> Interactions:
    """Everybody likes one kind, and takes some of it."""
    rng = np.random.default_rng(5)
    rows = []
    for user in range(USERS):
        kind = user % 4
        for step in range(12):
            number = kind + 4 * int(rng.integers(37)) if rng.random() < 0.9 else int(rng.integers(150))
            rows.append((user, number, START_S + user + 60.0 * step, user, False))
    return interactions(rows, users=USERS, items=COUNT)


@pytest.fixture(scope="module")
def encoder(items: ItemTable) -> TfidfEncoder:
    return TfidfEncoder.fit(items.items, 16, seed=7)


@pytest.fixture(scope="module")
def sources(data: Interactions, items: ItemTable, encoder: TfidfEncoder) -> dict[str, TrainedSource]:
    texts = encoder.encode(items.items)
    content = Content.fit(data, items, SETTINGS, texts=texts)
    als = Als.fit(data, items, SETTINGS, texts=texts)
    return {
        "content": content,
        "als": als,
        "item_to_item": ItemToItem.fit(data, items, SETTINGS, als=als, content=content),
    }


def placed(
    items: Sequence[Item | None], encoder: TfidfEncoder, sources: dict[str, TrainedSource]
) -> dict[str, FloatArray]:
    """By source, where items lie that come after training."""
    positions = np.arange(COUNT, COUNT + len(items), dtype=np.int32)
    texts = encoder.encode(items)
    found = {}
    for name, source in sources.items():
        assert isinstance(source, VectorSource)
        rows = source.placed(positions, items, texts)
        assert rows is not None
        found[name] = rows
    return found


def als_of(sources: dict[str, TrainedSource]) -> Als:
    als = sources["als"]
    assert isinstance(als, Als)
    return als


def liking(kind: str, among: FloatArray, als: Als) -> FloatArray:
    """How much somebody who took three of a kind likes each row."""
    first = KINDS.index(kind)
    past = [first, first + 4, first + 8]
    user = als.user(query_from(past, [0.0, 1.0, 2.0], np.ones(3), np.zeros(3), now_s=3.0))
    assert user is not None
    return among @ user


def test_people_of_tents_like_an_untouched_tent_better_than_a_touched_lamp(
    sources: dict[str, TrainedSource],
) -> None:
    als = als_of(sources)
    liked = liking("tent", als.factors, als)
    tents = UNTOUCHED[UNTOUCHED % 4 == 1]
    lamps = np.arange(2, 150, 4)
    assert liked[tents].min() > np.median(liked[lamps])


def test_a_new_item_competes_with_what_is_there(
    sources: dict[str, TrainedSource], encoder: TfidfEncoder
) -> None:
    als = als_of(sources)
    new = placed([thing(161)], encoder, sources)["als"]  # a tent
    liked = liking("tent", als.factors, als)
    assert liking("tent", new, als)[0] > np.sort(liked[:150])[-40]  # of about 37 tents
    assert liking("lamp", new, als)[0] < liking("tent", new, als)[0]


def test_a_new_item_lies_near_its_kind_in_every_space(
    sources: dict[str, TrainedSource], encoder: TfidfEncoder
) -> None:
    found = placed([thing(162), None, Item(item_id="x")], encoder, sources)
    for name, rows in found.items():
        source = sources[name]
        assert isinstance(source, VectorSource)
        assert rows.shape == (3, source.index.dim)
        nearest, _ = source.index.search(rows[0], 10)
        assert set((nearest % 4).tolist()) == {2}
        assert not rows[1:].any()


def test_of_what_is_there_the_own_factors_take_over(
    data: Interactions, items: ItemTable, sources: dict[str, TrainedSource], encoder: TfidfEncoder
) -> None:
    plain = Als.fit(data, items, SETTINGS).factors
    als = als_of(sources)
    expected = als.cold.expected(items.items, encoder.encode(items.items))
    counts = np.bincount(data.items, minlength=COUNT)
    own = trust(counts)[:, None]
    np.testing.assert_allclose(als.factors, own * plain + (1 - own) * expected, atol=1e-5)
    np.testing.assert_allclose(als.factors[UNTOUCHED], expected[UNTOUCHED], atol=1e-6)


def test_only_what_came_in_lately_is_stretched(
    data: Interactions, items: ItemTable, encoder: TfidfEncoder
) -> None:
    end_ms = int(data.ts_s[-1] * 1000)
    fresh = [thing(n, added_ms=end_ms if n % 2 else 1) for n in range(COUNT)]
    texts = encoder.encode(items.items)
    als = Als.fit(data, ItemTable(fresh, 1), SETTINGS, texts=texts)
    expected = als.cold.expected(items.items, texts)
    assert als.cold.scale != 1
    np.testing.assert_allclose(als.factors[151], als.cold.scale * expected[151], atol=1e-5)
    np.testing.assert_allclose(als.factors[152], expected[152], atol=1e-5)


def test_the_map_comes_back_from_its_arrays(sources: dict[str, TrainedSource], encoder: TfidfEncoder) -> None:
    cold = als_of(sources).cold
    again = ColdMap.from_arrays(cold.arrays())
    new = [thing(170), thing(171, brand="unheard of", categories=("a\nb",))]
    texts = encoder.encode(new)
    np.testing.assert_array_equal(again.factors(new, texts), cold.factors(new, texts))


def test_too_few_items_make_no_map(shop: Interactions, shop_items: ItemTable) -> None:
    texts = TfidfEncoder.fit(shop_items.items, 8, seed=7).encode(shop_items.items)
    als = Als.fit(shop, shop_items, SETTINGS, texts=texts)
    assert not als.factors[11].any()
    assert not als.cold.factors(shop_items.items, texts).any()
