"""The survey asks what tells tastes apart."""

import numpy as np

from shortlist.catalog.item import Item
from shortlist.catalog.table import ItemTable
from shortlist.coldstart.prepared import Prepared
from shortlist.coldstart.survey import SAMPLES, survey

# Five tastes of 60 items each, of which one has most of what is popular.
N, TASTES = 300, 5
TASTE = np.arange(N) % TASTES
rng = np.random.default_rng(3)
CENTRES = np.linalg.qr(rng.normal(size=(16, TASTES)))[0].T
VECTORS = (CENTRES[TASTE] + 0.15 * rng.normal(size=(N, 16))).astype(np.float32)
POPULARITY = (1000.0 / (1 + np.arange(N)) * np.where(TASTE == 2, 5, 1)).astype(np.float32)
TABLE = ItemTable([Item(item_id=str(n), categories=(f"c{n % 3}",)) for n in range(N)], 1)
EVERYTHING = TABLE.servable


def test_five_items_are_of_five_tastes_and_none_of_the_five_most_popular() -> None:
    asked = survey(TABLE, POPULARITY, VECTORS).samples(EVERYTHING)
    top = np.argsort(-POPULARITY)[:5].tolist()
    assert sorted(TASTE[asked].tolist()) == [0, 1, 2, 3, 4]
    assert not set(asked) & set(top)
    assert len(set(TASTE[top].tolist())) < TASTES  # those would not have told


def test_what_may_not_be_shown_is_replaced_by_another_of_its_taste() -> None:
    questions = survey(TABLE, POPULARITY, VECTORS)
    allowed = EVERYTHING.copy()
    for _ in range(4):
        asked = questions.samples(allowed)
        assert allowed[asked].all()
        assert sorted(TASTE[asked].tolist()) == [0, 1, 2, 3, 4]
        allowed[asked] = False


def test_without_tastes_the_largest_categories_stand_for_them() -> None:
    asked = survey(TABLE, POPULARITY, None).samples(EVERYTHING)
    assert len(set(asked)) == SAMPLES
    assert set(TABLE.category[asked].tolist()) == {0, 1, 2}


def test_a_small_or_empty_catalog_asks_what_there_is() -> None:
    few = ItemTable([Item(item_id=str(n)) for n in range(3)], 1)
    assert sorted(survey(few, np.zeros(0, np.float32), None).samples(few.servable)) == [0, 1, 2]
    none = ItemTable([], 1)
    assert survey(none, np.zeros(0, np.float32), None).samples(none.servable) == []


def test_all_is_made_once_and_again_when_the_catalog_has_grown() -> None:
    from shortlist.catalog.store import Change

    table = ItemTable([Item(item_id=str(n)) for n in range(10)], 1)
    prepared = Prepared(table)
    before = prepared.long_tail()
    assert prepared.long_tail() is before
    table.apply([Change(2 + n, f"new{n}", Item(item_id=f"new{n}")) for n in range(9)])
    assert sum(map(len, prepared.long_tail().items)) == 19
