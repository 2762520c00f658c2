"""Users' attributes as numbers, and what users with the same ones take."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shortlist.candidates.attributes import LEAST_USERS, MOST_VALUES, People, UserCodes
from shortlist.candidates.past import query_from
from shortlist.candidates.segment import Segment
from shortlist.candidates.source import Query
from shortlist.catalog.item import Item
from shortlist.catalog.table import ItemTable
from shortlist.events.interactions import Interactions
from shortlist.settings import TrainingSettings

USERS: list[dict[str, Any]] = [
    *({"plan": "free", "age": 20.5, "pro": False} for _ in range(9)),
    *({"plan": "pro", "age": 40, "pro": True} for _ in range(6)),
    *({"plan": "odd", "age": None, "pro": "yes"} for _ in range(LEAST_USERS - 1)),
]
NAMES = ("plan", "age", "pro", "size")
CODES = UserCodes.fit(NAMES, USERS)
PLAN, AGE, PRO = -1.0, 19.5, -1.0  # what stands for no value


@pytest.mark.parametrize(
    ("attributes", "row"),
    [
        ({"plan": "free", "age": 30, "pro": True}, [0, 30, 1]),
        ({"plan": "pro", "age": 7, "pro": False}, [1, 20.5, 0]),  # no younger than anybody in training
        ({"plan": "odd", "age": 99}, [PLAN, 40, PRO]),  # too few have it for a code of its own
        ({"plan": 3, "age": "30", "pro": True}, [PLAN, AGE, 1]),
        ({"plan": ["free"], "age": {"years": 3}, "pro": 1e300}, None),
        ({"age": 10**400}, None),
        ({"size": 4, "other": "x"}, None),
        ({}, None),
        (None, None),
    ],
)
def test_a_user_becomes_numbers(attributes: dict[str, Any] | None, row: list[float] | None) -> None:
    made = CODES.row(attributes)
    assert (made if made is None else made.tolist()) == row


def test_codes_are_few_and_go_to_what_most_have() -> None:
    users = [{"city": f"c{n % 150:03}"} for n in range(150 * LEAST_USERS)] + [{"city": "z"}] * 99
    (code,) = UserCodes.fit(("city",), users).codes
    assert len(code.values) == MOST_VALUES
    assert code.values[:3] == ("z", "c000", "c001")


def test_what_hardly_anybody_has_is_no_attribute() -> None:
    assert CODES.names == ("plan", "age", "pro")
    assert not len(UserCodes.fit(("plan",), [{"plan": "x"}, {}]))


def test_a_large_number_is_told_from_none() -> None:
    codes = UserCodes.fit(("born",), [{"born": 1_700_000_000_000 + 86_400_000 * n} for n in range(50)])
    lowest = codes.row({"born": 0})
    assert lowest is not None
    assert lowest[0] > codes.missing[0]
    assert len(codes.codes[0].starts) == 10


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)
PROFILES = st.dictionaries(st.sampled_from(NAMES), JSON)


@given(st.lists(PROFILES, max_size=20), PROFILES)
@settings(max_examples=60, deadline=None)
def test_whatever_users_have_rows_are_finite_and_never_below_missing(
    learned: list[dict[str, Any]], asked: dict[str, Any]
) -> None:
    codes = UserCodes.fit(NAMES, learned * LEAST_USERS)
    row = codes.row(asked)
    assert np.isfinite(codes.missing).all()
    if row is not None:
        assert np.isfinite(row).all()
        assert (row >= codes.missing).all()
        assert all(code.starts[0] > code.missing for code in codes.codes)


def taken() -> tuple[Interactions, ItemTable, People]:
    """Free users take item 0 (a lamp), pro ones 2 (a book), all but one 1 (a lamp), nobody 4 (a book); item 3
    has no category."""
    kinds = ["Lamps", "Lamps", "Books", "", "Books"]
    table = ItemTable([Item(item_id=str(n), categories=(k,) if k else ()) for n, k in enumerate(kinds)], 1)
    rows = [(user, 0 if user < 9 else 2) for user in range(15)] + [(user, 1) for user in range(14)]
    rows += [(3, 3), (9, 3)]
    n = len(rows)
    data = Interactions(
        users=np.array([user for user, _ in rows], np.int32),
        items=np.array([item for _, item in rows], np.int32),
        ts_s=1.7e9 + np.arange(n, dtype=np.float64),
        weights=np.ones(n, np.float32),
        sessions=np.zeros(n, np.int32),
        purchases=np.zeros(n, np.bool_),
        user_ids=[f"u{user}" for user in range(15)],
        item_ids=table.ids,
    )
    return data, table, People.fit(("plan",), data.user_ids, {f"u{n}": USERS[n] for n in range(15)})


def asking(people: People, *past: int, **attributes: Any) -> Query:
    n = len(past)
    row = people.codes.row(attributes)
    return query_from(past, np.arange(n), np.ones(n), np.zeros(n), now_s=9.0, attributes=row)


@pytest.mark.parametrize("past", [(), (3,)])
def test_people_get_what_their_like_take(past: tuple[int, ...]) -> None:
    data, table, people = taken()
    fitted = Segment.fit(data, table, TrainingSettings(), people=people)
    for source in (fitted, Segment.from_arrays(fitted.arrays())):
        every = np.arange(6, dtype=np.int32)  # the last came after training
        free, pro = asking(people, *past, plan="free"), asking(people, *past, plan="pro")
        assert source.signal_names == ("lift_plan",)
        lifts = source.signals(free, every)[:, 0]
        assert lifts[0] == lifts[1] > 0 > lifts[2] == lifts[4]
        assert lifts[3] == lifts[5] == 0
        assert source.score(pro, every)[2] > source.score(free, every)[2] > 0
        assert source.score(free, every)[4] == source.score(free, every)[5] == 0
        assert source.candidates(free, 2).positions.tolist() == [1, 0]
        unknown = asking(people, *past, plan="trial")
        assert not len(source.candidates(unknown, 9).positions)
        assert not source.signals(unknown, every).any()
