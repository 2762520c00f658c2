"""Words become vectors, in any process the same ones."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from shortlist.catalog.encoder import Encoder
from shortlist.catalog.encoder_tfidf import TfidfEncoder
from shortlist.catalog.item import Item

KINDS = ("kettle", "teapot", "tent", "stove", "lamp")
COLOURS = ("red", "blue", "green", "black")


def catalog() -> list[Item | None]:
    """60 items and a gap."""
    items: list[Item | None] = [
        Item(
            item_id=f"i{n}",
            title=f"{COLOURS[n % 4]} {KINDS[n % 5]} {n}",
            description=f"A {KINDS[n % 5]} for every day",
            categories=(KINDS[n % 5],),
        )
        for n in range(60)
    ]
    return [*items, None, Item(item_id="bare")]


@pytest.fixture(scope="module")
def encoder() -> TfidfEncoder:
    return TfidfEncoder.fit(catalog(), 8, seed=7)


def test_rows_have_length_one_or_are_zeros_where_nothing_is_said(encoder: Encoder) -> None:
    lengths = np.linalg.norm(encoder.encode(catalog()), axis=1)
    np.testing.assert_allclose(lengths[:60], 1, atol=1e-5)
    assert lengths[60:].tolist() == [0, 0]
    assert not encoder.encode([Item(item_id="x", title="unheard of")]).any()
    assert encoder.encode([]).shape == (0, encoder.dim)


def test_a_new_item_lies_among_its_kind(encoder: Encoder) -> None:
    new = encoder.encode([Item(item_id="new", title="yellow tent", categories=("tent",))])[0]
    near = np.argsort(-(encoder.encode(catalog()) @ new))[:12]
    assert {int(n) % 5 for n in near} == {KINDS.index("tent")}


def test_an_item_is_encoded_alike_alone_and_among_others(encoder: Encoder) -> None:
    together = encoder.encode(catalog())
    alone = np.concatenate([encoder.encode([item]) for item in catalog()])
    np.testing.assert_allclose(alone, together, atol=1e-6)


def test_its_arrays_are_the_whole_of_it(encoder: Encoder) -> None:
    arrays = encoder.arrays()
    assert all(array.dtype != object for array in arrays.values())
    again = TfidfEncoder.from_arrays(arrays)
    assert (again.name, again.dim) == (encoder.name, encoder.dim)
    np.testing.assert_array_equal(again.encode(catalog()), encoder.encode(catalog()))
    for name in ("words", "idf", "components"):
        with pytest.raises(KeyError, match=name):
            TfidfEncoder.from_arrays({other: a for other, a in arrays.items() if other != name})


def test_other_vectors_have_another_name(encoder: Encoder) -> None:
    assert TfidfEncoder.fit(catalog(), 8, seed=7).name == encoder.name
    assert TfidfEncoder.fit(catalog()[:30], 8, seed=7).name != encoder.name


@pytest.mark.parametrize(
    "items", [[], [None], [Item(item_id="a")], [Item(item_id="a", title="one")]], ids=len
)
def test_a_catalog_that_says_nothing_gives_zeros(items: list[Item | None]) -> None:
    encoder = TfidfEncoder.fit(items, 8, seed=7)
    again = TfidfEncoder.from_arrays(encoder.arrays())
    assert not again.encode([*items, Item(item_id="b", title="another")]).any()


def test_the_vectors_are_those_of_scikit_learn() -> None:
    from sklearn.decomposition import TruncatedSVD
    from sklearn.feature_extraction.text import TfidfVectorizer

    from shortlist.catalog.encoder_tfidf import words

    items = catalog()[:60]
    table = TfidfVectorizer(sublinear_tf=True).fit_transform([words(item) for item in items])
    theirs = TruncatedSVD(8, random_state=7).fit_transform(table)
    theirs /= np.linalg.norm(theirs, axis=1, keepdims=True)
    ours = TfidfEncoder.fit(items, 8, seed=7).encode(items)
    np.testing.assert_allclose(ours @ ours.T, theirs @ theirs.T, atol=1e-3)


def test_threads_do_not_disturb_each_other(encoder: Encoder) -> None:
    alone = encoder.encode(catalog())
    with ThreadPoolExecutor(4) as threads:
        for found in threads.map(lambda _: encoder.encode(catalog()), range(20)):
            np.testing.assert_array_equal(found, alone)
