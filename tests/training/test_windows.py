"""Cuts in time: what is asked about lies after everything that is known."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shortlist.events.interactions import Interactions
from shortlist.training.windows import NEW_SHARE, NEW_STEPS, Window, has_calendar, kept, windows
from tests.training.made import aimless, orderly, walks


def asked(data: Interactions, size: int | None = None) -> tuple[Window, Window]:
    """The newest window to learn from and the one to choose on."""
    learning, later = windows(data, seed=1, size=size)
    return learning[-1], later


def test_models_know_only_what_came_before_anything_asked() -> None:
    learn, later = asked(walks(orderly(40, 30, 20), n_items=20))
    assert learn.cases
    assert later.cases
    assert len(learn.known.users) < len(later.known.users)
    for window in (learn, later):
        assert window.now_s == window.known.ts_s.max()
        # A past may hold events of the window itself: the models do not know them, the user does.
        assert all(case.ts_s.max() < np.inf and len(case.relevant) for case in window.cases)
    assert max(case.ts_s.max() for case in learn.cases) <= later.known.ts_s.max() + 1


def test_the_answer_is_never_in_the_models_of_positions() -> None:
    data = walks(orderly(40, 30, 20), n_items=20, calendar=False)
    assert not has_calendar(data)
    learn, later = asked(data)
    assert learn.known is later.known  # one set of models serves both
    known = np.bincount(learn.known.users, minlength=40)
    assert (known < 30).all()
    assert max(len(case.items) for case in later.cases) == 29
    assert all(len(case.items) >= known.min() for case in learn.cases)


def test_a_basket_is_one_answer() -> None:
    data = walks(orderly(30, 20, 20), n_items=20)
    together = Interactions(
        data.users, data.items, np.floor(data.ts_s / 10_000) * 10_000, data.weights, data.sessions,
        data.purchases, data.user_ids, data.item_ids,
    )  # fmt: skip
    sizes = {len(case.relevant) for window in asked(together) for case in window.cases}
    assert max(sizes) > 1
    for window in asked(together):
        for case in window.cases:
            assert not np.intersect1d(case.relevant, case.later).size


@pytest.mark.parametrize("calendar", [True, False])
def test_little_data_gives_no_cases_and_no_error(calendar: bool) -> None:
    data = walks(orderly(3, 2, 5), n_items=5, calendar=calendar)
    for some in (data, kept(data, np.zeros(len(data.users), np.bool_)), kept(data, np.arange(6) == 0)):
        learn, later = asked(some)
        assert len(learn.cases) + len(later.cases) <= 6


@settings(max_examples=40, deadline=None)
@given(st.integers(2, 30), st.integers(2, 25), st.booleans(), st.integers(0, 99))
def test_no_case_holds_its_answer_in_its_past_positions(
    users: int, steps: int, calendar: bool, seed: int
) -> None:
    data = walks(aimless(users, steps, 10, seed), n_items=10, calendar=calendar)
    per_user = {
        (u, t): i
        for u, t, i in zip(data.users.tolist(), data.ts_s.tolist(), data.items.tolist(), strict=True)
    }
    for window in asked(data):
        for case in window.cases:
            times = case.ts_s
            assert (np.diff(times) >= 0).all()
            past = list(zip(times.tolist(), case.items.tolist(), strict=True))
            owners = [u for u in range(users) if all(per_user.get((u, t)) == i for t, i in past)]
            futures = [{i for (u, t), i in per_user.items() if u == own and t > times[-1]} for own in owners]
            said = set(case.relevant.tolist()) | set(case.later.tolist())
            assert any(said <= future for future in futures)


def test_where_times_are_positions_some_people_are_new_to_every_model() -> None:
    data = walks(orderly(100, 30, 20), n_items=20, calendar=False)
    learn, later = asked(data)
    unknown = np.flatnonzero(np.bincount(learn.known.users, minlength=100) == 0)
    assert len(unknown) == 100 * NEW_SHARE
    short = [case for case in learn.cases if len(case.items) <= max(NEW_STEPS)]
    assert len(short) == len(unknown) * len(NEW_STEPS)
    assert {len(case.items) for case in short} == set(NEW_STEPS)
    assert all(len(case.later) for case in short)
    assert min(len(case.items) for case in later.cases) == 29  # who chooses is asked as before


def test_where_cases_are_few_the_window_before_is_learned_from_too() -> None:
    data = walks(orderly(40, 30, 20), n_items=20)
    (before, newest), later = windows(data, seed=1)
    assert before.cases
    assert before.now_s < newest.now_s < later.now_s
    assert max(case.ts_s.max() for case in before.cases) <= newest.now_s
    again = windows(data, seed=1)[0]
    for one, other in zip((before, newest), again, strict=True):
        assert [case.items.tolist() for case in one.cases] == [case.items.tolist() for case in other.cases]


@pytest.mark.parametrize("calendar", [True, False])
def test_models_know_nothing_of_items_that_are_new_to_them(calendar: bool) -> None:
    data = walks(orderly(40, 30, 20), n_items=20, calendar=calendar)
    whole, part = windows(data, seed=1), windows(data, seed=1, size=17)
    for one, other in zip((*whole[0], whole[1]), (*part[0], part[1]), strict=True):
        assert other.known.items.max() < 17
        assert other.known.item_ids == data.item_ids[:17]
        assert len(other.known.items) == (one.known.items < 17).sum()
        # What is asked is the same: people had and take new items, too.
        assert [case.relevant.tolist() for case in one.cases] == [c.relevant.tolist() for c in other.cases]
        assert [case.items.tolist() for case in one.cases] == [case.items.tolist() for case in other.cases]
    assert any((case.relevant >= 17).any() for case in part[1].cases)
