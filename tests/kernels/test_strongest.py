"""What speaks most for each item, against the plainest Python that says what it means."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from shortlist.kernels.strongest import nearest_rows, strongest

VALUES = st.sampled_from([-1.0, 0.0, 0.25, 0.5, 1.0, 2.0])


@st.composite
def tables(draw: st.DrawFn) -> np.ndarray:
    rows, columns = draw(st.integers(1, 6)), draw(st.integers(0, 5))
    values = draw(st.lists(VALUES, min_size=rows * columns, max_size=rows * columns))
    return np.array(values, np.float32).reshape(rows, columns)


@given(tables(), st.data())
def test_sources_by_how_much_they_speak_for_an_item(scores: np.ndarray, data: st.DataObject) -> None:
    sources, n = scores.shape
    given_shares = data.draw(st.lists(st.sampled_from([0.5, 1.0, 2.0]), min_size=sources, max_size=sources))
    shares, most = np.array(given_shares, np.float32), data.draw(st.integers(1, sources))
    ranks, values, counts = strongest(scores, shares, most, 0.5)
    for item in range(n):
        parts = [float(scores[source, item] * shares[source]) for source in range(sources)]
        expected = sorted(range(sources), key=lambda source: (-parts[source], source))[:most]
        assert ranks[item].tolist() == expected
        assert values[item].tolist() == [float(scores[source, item]) for source in expected]
        bar = 0.5 * parts[expected[0]]
        assert counts[item] == sum(parts[source] > 0 and parts[source] >= bar for source in expected)


@given(tables(), st.data())
def test_the_nearest_row_that_is_not_the_item_itself(near: np.ndarray, data: st.DataObject) -> None:
    ids = st.integers(0, 3)
    of, positions = (
        np.array(data.draw(st.lists(ids, min_size=size, max_size=size)), np.int32) for size in near.shape
    )
    found = nearest_rows(near, of, positions)
    for item, position in enumerate(positions.tolist()):
        able = [row for row in range(len(of)) if near[row, item] > 0 and of[row] != position]
        best = max(able, key=lambda row: (near[row, item], -row), default=-1)
        assert found[item] == best
