"""Operator rules: when they apply, what they come to, and that they follow the catalog."""

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shortlist.catalog.item import Item
from shortlist.catalog.rule import Rule, RuleInvalid
from shortlist.catalog.store import Change
from shortlist.catalog.table import ItemTable
from shortlist.ranking.rules import ALWAYS_MS, Applied, Rulebook, compiled

NOW = datetime(2026, 1, 5, 10, 30, tzinfo=UTC)
NOW_MS = int(NOW.timestamp() * 1000)
HOUR_MS = 3_600_000


def table() -> ItemTable:
    """Items a0 … a4 of brand A, b5 … b6 of brand B; prices count up."""
    return ItemTable(
        [Item(item_id=f"{'a' if n < 5 else 'b'}{n}", brand="A" if n < 5 else "B", price=n) for n in range(7)],
        1,
    )


def rule(action: Any, where: str, **more: Any) -> Rule:
    return Rule(id=more.pop("id", action), action=action, where=where, **more)


class Book(Rulebook):
    """With a clock that a test sets."""

    def __init__(self, *rules: Rule, over: ItemTable | None = None) -> None:
        self.at = NOW_MS
        super().__init__(over or table(), rules, lambda: self.at)

    def ask(self, context: str = "browsing", category: str = "", **user: Any) -> Applied:
        return self.applied(self.table.columns, context, category, user)

    def allowed(self, **more: Any) -> list[str]:
        mask = self.ask(**more).allowed
        return [i for at, i in enumerate(self.table.ids) if mask is None or mask[at]]


def test_hide_takes_out_and_filter_leaves_only() -> None:
    assert Book(rule("hide", "brand = A")).allowed() == ["b5", "b6"]
    assert Book(rule("filter", "brand = A")).allowed() == ["a0", "a1", "a2", "a3", "a4"]
    both = Book(rule("filter", "brand = A"), rule("hide", "price < 3"))
    assert both.allowed() == ["a3", "a4"]


def test_factors_multiply_within_bounds() -> None:
    book = Book(
        rule("boost", "brand = A", factor=3),
        rule("bury", "price > 3"),
        rule("boost", "item_id = a0", factor=1_000, id="much"),
    )
    factors = book.ask().factors
    assert factors is not None
    assert factors.tolist() == [1000, 3, 3, 3, 1.5, 0.5, 0.5]


def test_pins_come_by_priority() -> None:
    book = Book(
        rule("pin", "item_id = a1", id="low", position=2), rule("pin", "brand = B", id="high", priority=5)
    )
    assert [(pin.rule_id, pin.position, int(pin.mask.sum())) for pin in book.ask().pins] == [
        ("high", 0, 2),
        ("low", 2, 1),
    ]


def test_a_rule_may_ask_for_context_category_and_user() -> None:
    book = Book(rule("hide", "brand = A", contexts=("cart",), categories=("Tea", "Gin"), users="plan = pro"))
    assert book.allowed(context="cart", category="Gin", plan="pro") == ["b5", "b6"]
    for other in ({"context": "home"}, {"category": ""}, {"plan": "free"}, {}):
        asked = {"context": "cart", "category": "Gin", "plan": "pro"} | other if other else {}
        assert len(book.allowed(**asked)) == 7


def test_windows_open_and_close_by_the_clock_and_change_the_version() -> None:
    start, end = NOW + timedelta(hours=1), NOW + timedelta(hours=3)
    book = Book(rule("hide", "brand = A", start=start, end=end))
    assert len(book.allowed()) == 7
    assert book.until_ms() == NOW_MS + HOUR_MS
    before = book.ask().version
    book.at = NOW_MS + HOUR_MS
    assert book.allowed() == ["b5", "b6"]
    assert book.ask().version != before
    assert book.until_ms() == NOW_MS + 3 * HOUR_MS
    book.at = NOW_MS + 3 * HOUR_MS
    assert len(book.allowed()) == 7
    assert book.ask().version == before
    assert book.until_ms() == ALWAYS_MS


def test_age_is_counted_to_the_full_hour() -> None:
    items = ItemTable([Item(item_id="x", added_ms=NOW_MS - 24 * HOUR_MS)], 1)
    book = Book(rule("hide", "age_days < 1"), over=items)
    assert book.allowed() == []  # at 10:00 it was not a day old
    assert book.until_ms() == NOW_MS + HOUR_MS // 2
    book.at += HOUR_MS
    assert book.allowed() == ["x"]


def test_a_disabled_rule_does_nothing_and_versions_name_effects() -> None:
    off = rule("hide", "brand = A", enabled=False)
    assert Book(off).ask() == Applied()
    one, same = Book(rule("hide", "brand = A")), Book(rule("hide", "brand = A"), off)
    assert one.ask().version == same.ask().version != Book(rule("hide", "brand = B")).ask().version


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (rule("hide", "brand ="), "^where, at character 7: expected a value"),
        (rule("hide", "a = 1", users="x >"), "users, at character 3"),
        (rule("boost", "a = 1", factor=0.5), "factor of a boost is more than 1"),
        (rule("bury", "a = 1", factor=2), "between 0 and 1"),
        (rule("hide", "a = 1", factor=2), "factor goes with boost and bury"),
        (rule("hide", "a = 1", position=2), "position goes with pin"),
        (rule("hide", "a = 1", start=NOW, end=NOW), "end must lie after start"),
    ],
)
def test_what_cannot_be_is_refused_naming_the_field(wrong: Rule, said: str) -> None:
    with pytest.raises(RuleInvalid, match=said):
        compiled(wrong)


RULES = [
    rule("hide", "brand = A and price > 2"),
    rule("filter", "price < 6 or brand = null"),
    rule("hide", "item_id in (a1, b5, n1)", id="named"),
    rule("boost", "stock >= 1 or colour = red"),
    rule("hide", "age_days < 1", id="young"),
]
changes = st.tuples(
    st.sampled_from(["a0", "a1", "a4", "b5", "b6", "n1", "n2"]),
    st.one_of(
        st.none(),
        st.fixed_dictionaries(
            {
                "brand": st.sampled_from(["A", "B", None]),
                "price": st.sampled_from([None, 1.0, 7.0]),
                "stock": st.sampled_from([None, 0, 3]),
                "attributes": st.sampled_from([{}, {"colour": "red"}]),
                "added_ms": st.sampled_from([0, NOW_MS - 1, NOW_MS - 48 * HOUR_MS]),
            }
        ),
    ),
)


@given(st.lists(st.lists(changes, min_size=1, max_size=3), max_size=5))
@settings(max_examples=60, deadline=None)
def test_masks_that_follow_changes_are_those_compiled_anew(plan: list[list[tuple[str, Any]]]) -> None:
    items = table()
    book = Book(*RULES, over=items)
    version = 1
    for batch in plan:
        version += len(batch)
        items.apply(
            [
                Change(version, item_id, None if fields is None else Item(item_id=item_id, **fields))
                for item_id, fields in batch
            ],
            book.follow,
        )
        followed, anew = book.ask(), Book(*RULES, over=items).ask()
        for now, then in ((followed.allowed, anew.allowed), (followed.factors, anew.factors)):
            assert now is not None
            assert then is not None
            assert np.array_equal(now, then)
