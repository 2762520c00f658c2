"""A repeat is decided by offsets alone."""

from hypothesis import given
from hypothesis import strategies as st

from shortlist.features.dedup import Window, identity
from tests.features.made import event


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(1, 4)), max_size=200), st.integers(0, 10))
def test_a_repeat_lies_within_the_window_before(steps: list[tuple[int, int]], size: int) -> None:
    window, offset = Window(size), 0
    past: list[tuple[str, int]] = []
    for number, step in steps:
        offset += step
        expected = any(name == f"e{number}" and offset - size <= at < offset for name, at in past)
        assert window.is_duplicate(f"e{number}", offset) == expected
        past.append((f"e{number}", offset))


def test_a_window_forgets_what_no_longer_matters() -> None:
    window = Window(10)
    for offset in range(50_000):
        window.is_duplicate(f"e{offset}", offset)
    assert len(window._seen) <= 2 * 10 + 1_000


def test_nobody_makes_anothers_event_a_repeat() -> None:
    assert identity(event(user_id="u1", event_id="e")) != identity(event(user_id="u2", event_id="e"))
    assert identity(event(user_id="u", event_id="1e")) != identity(event(user_id="u1", event_id="e"))
