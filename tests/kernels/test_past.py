"""What a user did with candidates before, against the plainest Python that says what it means."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from shortlist.kernels.past import ROWS, own_past

IDS, SIZE = st.integers(-2, 14), 12


@given(
    st.lists(st.tuples(IDS, st.booleans(), st.sampled_from([0.0, 0.5, 7.0])), max_size=12),
    st.lists(IDS, max_size=4),
    st.lists(IDS, max_size=8),
)
def test_what_was_done_with_each(
    past: list[tuple[int, bool, float]], bought: list[int], positions: list[int]
) -> None:
    found = np.full((ROWS, len(positions)), np.nan, np.float32)
    own_past(
        np.array([item for item, _, _ in past], np.int32),
        np.array([now for _, now, _ in past], np.bool_),
        np.array([age for _, _, age in past], np.float32),
        np.array(bought, np.int32),
        np.array(positions, np.int32),
        far=100,
        old=50,
        size=SIZE,
        found=found,
    )
    for at, position in enumerate(positions):
        counts = 0 <= position < SIZE
        times = [n for n, (item, _, _) in enumerate(past) if item == position and counts]
        assert found[:, at].tolist() == [
            len(times),
            len(past) - 1 - times[-1] if times else 100,
            past[times[-1]][2] if times else 50,
            sum(past[n][1] for n in times),
            float(counts and position in bought),
            np.float32(len(times) / len(past)) if past else 0,
        ]


def test_a_later_call_remembers_nothing() -> None:
    nothing, one = np.empty(0, np.int32), np.array([3], np.int32)
    found = np.empty((ROWS, 1), np.float32)
    for items in (one, nothing):
        own_past(
            items, np.ones(len(items), np.bool_), np.zeros(len(items), np.float32), nothing, one,
            far=9, old=9, size=4, found=found,
        )  # fmt: skip
    assert found[:, 0].tolist() == [0, 9, 9, 0, 0, 0]
