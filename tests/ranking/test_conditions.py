"""The language of rules and filters: what it says of items, and how it refuses."""

import threading
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shortlist.catalog.item import Item
from shortlist.catalog.store import Change
from shortlist.catalog.table import ItemTable
from shortlist.ranking.conditions import ConditionInvalid, holds, parse
from shortlist.ranking.facts import Facts

NOW = 1_764_000_000_000
DAY = 86_400_000

ITEMS = [
    Item(
        item_id="1",
        title="Pot",
        categories=("Tea", "Gifts"),
        brand="Oro",
        price=19.99,
        margin=0.3,
        stock=4,
        added_ms=NOW - 2 * DAY,
        attributes={"colour": "red", "tags": ["new", "eco"], "size": 12, "organic": True, "a b": "x"},
    ),
    Item(item_id="2", categories=("Coffee",), brand="Nord & Co", price=80, attributes={"size": "12"}),
    Item(item_id="3", attributes={"organic": 1, "price": 5, "deep": {"er": 1}, "rows": [[1], 2]}),
]


def found(text: str, items: list[Item] = ITEMS) -> str:
    """Ids of the items that a condition holds for."""
    table = ItemTable(items, 1)
    mask = Facts(table).mask(parse(text), table.columns, NOW)
    return "".join(table.ids[position] for position in np.flatnonzero(mask))


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("price < 50", "1"),
        ("price <= 19.99", "1"),
        ("price=19.99", "1"),
        ("price > 19.99 and price >= 80", "2"),
        ("price = null", "3"),
        ("price != null", "12"),
        ("brand = Oro", "1"),
        ('brand = "Nord & Co"', "2"),
        ("brand != Oro", "23"),
        ("brand = null", "3"),
        ("brand in (Oro, 'Nord & Co')", "12"),
        ("brand not in (Oro)", "23"),
        ("category = Gifts", ""),
        ("categories = Gifts", "1"),
        ("category in (Coffee, Tea) and not (price > 50 or stock < 1)", "1"),
        ("item_id in (1, 3, 9)", "13"),
        ("item_id != 1", "23"),
        ("stock >= 4", "1"),
        ("stock = null", "23"),
        ("margin < 0.5", "1"),
        ("added >= 2025-01-01", "1"),
        ("added < 2025-01-01T10:00:00+02:00", ""),
        ("age_days < 3", "1"),
        ("age_days < 2", ""),
        ("colour = red", "1"),
        ("attributes.colour = red", "1"),
        ("attributes.price = 5", "3"),
        ("tags = eco", "1"),
        ("tags in (old, new)", "1"),
        ("size = 12", "12"),
        ("size > 10", "1"),  # "12" is a text
        ("organic = true", "1"),
        ("organic = 1", "3"),
        ("`a b` = x", "1"),
        ("rows = 2", "3"),
        ("deep = null", "123"),
        ("nothing_has_this = 1", ""),
        ("price < 50 or brand = 'Nord & Co' and size = 12", "12"),
        ("NOT price < 50 AND item_id != 3", "2"),
    ],
)
def test_a_condition_holds_for(text: str, ids: str) -> None:
    assert found(text) == ids


@pytest.mark.parametrize(
    ("text", "position", "said"),
    [
        ("", 0, "expected a name"),
        ("price", 5, "after price comes"),
        ("price <", 7, "expected a value"),
        ("price < cheap", 8, "a number"),
        ("price < null", 8, "null"),
        ("price < 5 brand = x", 10, "one word too many"),
        ("(price < 5", 10, "expected ')'"),
        ("brand < Oro", 8, "is a text"),
        ("added > yesterday", 8, "a date"),
        ("brand in Oro", 9, "expected '('"),
        ("brand = 'Oro", 8, "a quote that does not end"),
        ("and = 5", 0, "expected a name"),
        ("a$b = 5", 0, "expected a name"),
        ("(" * 60 + "a = 1" + ")" * 60, 33, "deep"),
        ("not " * 1_000 + "a = 1", 4 * 33, "deep"),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_position(text: str, position: int, said: str) -> None:
    with pytest.raises(ConditionInvalid, match=f"at character {position}: ") as refused:
        parse(text)
    assert refused.value.position == position
    assert said in str(refused.value)


def test_conditions_on_users_know_no_fields() -> None:
    user = {"price": "high", "plan": "pro", "langs": ["de", "en"]}
    assert holds(parse("price = high and langs = en", of_items=False), user)
    assert holds(parse("attributes.plan != free and age = null", of_items=False), user)
    assert not holds(parse("age > 3 or plan in (free, none)", of_items=False), user)


values = st.sampled_from([None, True, False, 0, 1, 2.5, "a", "1", "", ["a", 1], [], {"x": 1}])
texts = st.recursive(
    st.sampled_from(
        ["k = a", "k = 1", "k != true", "k < 2", "k >= a", "k = null", "k in (a, 1, 'x')", "k = '1'"]
    ),
    lambda inner: st.one_of(
        inner.map("not ({})".format),
        st.tuples(inner, inner).map(lambda two: f"({two[0]}) and ({two[1]})"),
        st.tuples(inner, inner).map(lambda two: f"({two[0]}) or {two[1]}"),
    ),
    max_leaves=5,
)


@given(st.lists(values, min_size=1, max_size=8), texts, st.lists(st.tuples(st.integers(0, 9), values)))
@settings(max_examples=60, deadline=None)
def test_columns_say_what_each_item_alone_would_also_after_changes(
    given_values: list[Any], text: str, later: list[tuple[int, Any]]
) -> None:
    def item(at: int, value: Any) -> Item:
        return Item(item_id=str(at), attributes={} if value is None else {"k": value})

    table = ItemTable([item(at, value) for at, value in enumerate(given_values)], 1)
    facts, condition = Facts(table), parse(text)
    truth = dict(enumerate(given_values))

    def check() -> None:
        said = facts.mask(condition, table.columns, NOW)
        assert said.tolist() == [holds(condition, {"k": truth[int(i)]}) for i in table.ids]

    check()
    for version, (at, value) in enumerate(later, 2):
        truth[at] = value
        table.apply([Change(version, str(at), item(at, value))])
        check()


def test_a_filters_mask_that_is_ready_waits_for_nobody() -> None:
    table = ItemTable(ITEMS, 1)
    facts, condition = Facts(table), parse("price < 50")
    expected = facts.kept_mask(condition, table.columns, NOW)
    found: list[object] = []
    with facts._lock:  # as whoever makes another mask has it
        asking = threading.Thread(
            target=lambda: found.append(facts.kept_mask(condition, table.columns, NOW)), daemon=True
        )
        asking.start()
        asking.join(10)
        assert [id(mask) for mask in found] == [id(expected)]


def test_whoever_took_columns_before_a_change_gets_masks_of_their_size() -> None:
    table = ItemTable(ITEMS, 1)
    facts, before = Facts(table), table.columns
    mask = facts.mask(parse("colour = red"), before, NOW)
    table.apply([Change(2, "4", Item(item_id="4", price=1, attributes={"colour": "red"}))], facts.refresh)
    for text in ("colour = red", "colour = red and price < 50", "stock = 4", "brand = Oro", "item_id = 4"):
        late = facts.mask(parse(text), before, NOW)
        assert late.shape == mask.shape
        assert facts.mask(parse(text), table.columns, NOW)[: len(mask)].tolist() == late.tolist()
    assert facts.mask(parse("colour = red"), table.columns, NOW).tolist() == [*mask.tolist(), True]
