"""The compiled loops against the plainest Python that says what they mean."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shortlist.kernels.sums import Rows, SumsById, summed

IDS = st.integers(-2, 14)  # some are none, some beyond the size that is asked for
SIZE = 12


@st.composite
def rows(draw: st.DrawFn) -> Rows:
    n, width = draw(st.integers(1, 6)), draw(st.integers(1, 5))
    ids = draw(st.lists(IDS, min_size=n * width, max_size=n * width))
    weights = draw(st.lists(st.sampled_from([0.0, 0.5, 1.0, 3.0]), min_size=n * width, max_size=n * width))
    shape = (n, width)
    has_weights = draw(st.booleans())
    return Rows(
        np.array(ids, np.int32).reshape(shape),
        np.array(weights, np.float32).reshape(shape) if has_weights else None,
    )


def weight(of: Rows, row: int, at: int) -> float:
    return 1.0 if of.weights is None else float(of.weights[row, at])


@given(rows(), st.lists(st.integers(-1, 7), max_size=8), st.integers(1, 2))
def test_sums_are_those_of_the_rows(of: Rows, asked: list[int], kinds: int) -> None:
    lent = np.arange(1.0, 1 + kinds * len(asked)).reshape(kinds, len(asked))
    expected: dict[int, list[float]] = {}
    for place, row in enumerate(asked):
        if not 0 <= row < len(of.ids):
            continue
        for at, item in enumerate(of.ids[row].tolist()):
            if 0 <= item < SIZE and weight(of, row, at):
                total = expected.setdefault(item, [0.0] * kinds)
                for kind in range(kinds):
                    total[kind] += lent[kind, place] * weight(of, row, at)
    found = of.sums(np.array(asked, np.int32), lent, SIZE)
    assert dict(zip(found.ids.tolist(), found.values.T.tolist(), strict=True)) == expected


@given(
    st.dictionaries(st.integers(0, SIZE - 1), st.sampled_from([-1.0, 0.0, 1.0, 2.0, 2.5])),
    st.integers(0, 15),
    st.one_of(st.none(), st.lists(st.booleans(), max_size=SIZE + 3)),
)
def test_the_best_come_first_and_ties_by_id(values: dict[int, float], limit: int, may: list[bool]) -> None:
    sums = SumsById(np.array(list(values), np.int32), np.array([list(values.values())]), SIZE)
    allowed = None if may is None else np.array(may, np.bool_)
    ids, found = sums.best(limit, allowed)
    good = [i for i, v in values.items() if v > 0 and (may is None or (i < len(may) and may[i]))]
    expected = sorted(good, key=lambda i: (-values[i], i))[:limit]
    assert ids.tolist() == expected
    assert found.tolist() == [values[i] for i in expected]


@given(st.dictionaries(st.integers(0, SIZE - 1), st.floats(-4, 4, width=32)), st.lists(IDS, max_size=20))
def test_each_position_gets_its_value_even_twice(values: dict[int, float], positions: list[int]) -> None:
    sums = SumsById(np.array(list(values), np.int32), np.array([list(values.values())]), SIZE)
    expected = [values.get(position, 0.0) for position in positions]
    assert sums.at(np.array(positions, np.int32)).tolist() == expected


@given(rows(), st.lists(st.integers(-1, 7), max_size=8), st.lists(IDS, max_size=10, unique=True))
def test_links_are_the_weights(of: Rows, asked: list[int], positions: list[int]) -> None:
    if of.weights is None:
        of = Rows(of.ids, np.ones(of.ids.shape, np.float32))
    found = of.links(np.array(asked, np.int32), np.array(positions, np.int32), SIZE)
    expected = np.zeros((len(asked), len(positions)))
    for place, row in enumerate(asked):
        for at, item in enumerate(of.ids[row].tolist() if 0 <= row < len(of.ids) else ()):
            if item in positions and 0 <= item < SIZE and weight(of, row, at):
                expected[place, positions.index(item)] = weight(of, row, at)
    assert found.tolist() == expected.tolist()


@given(
    rows(), st.lists(st.integers(-1, 7), max_size=8), st.lists(st.integers(0, 11), max_size=4, unique=True)
)
def test_what_is_near_the_newest_match_is_lent_most(of: Rows, asked: list[int], current: list[int]) -> None:
    matched, by_steps = 1 - np.arange(len(current)) / 10, 1 / (1 + np.arange(of.ids.shape[1]))
    lent = np.arange(1.0, 1 + len(asked))
    expected: dict[int, float] = {}
    for place, row in enumerate(asked):
        items = of.ids[row].tolist() if 0 <= row < len(of.ids) else []
        shared = [item for item in current if item in items]
        if not shared:
            continue
        at_match = items.index(shared[0])
        for at, item in enumerate(items):
            if 0 <= item < SIZE:
                share = lent[place] * matched[current.index(shared[0])] * by_steps[abs(at - at_match)]
                expected[item] = expected.get(item, 0.0) + share
    found = of.near(np.array(asked, np.int32), lent, np.array(current, np.int32), matched, by_steps, SIZE)
    assert dict(zip(found.ids.tolist(), found.values[0].tolist(), strict=True)) == pytest.approx(expected)


def test_nothing_of_one_call_is_left_for_the_next() -> None:
    ids = np.array([[1, 2], [2, 3]], np.int32)
    first = Rows(ids).sums(np.array([0, 1], np.int32), np.ones((1, 2)), 4)
    Rows(ids, np.ones((2, 2), np.float32)).links(np.array([0], np.int32), np.array([3, 1], np.int32), 4)
    first.at(np.array([1, 1, 3], np.int32))
    again = Rows(ids).sums(np.array([0, 1], np.int32), np.ones((1, 2)), 4)
    assert again.values.tolist() == first.values.tolist() == [[1.0, 2.0, 1.0]]


def test_many_of_one_id_are_one() -> None:
    found = summed(np.zeros(10_000, np.int32), np.ones(10_000), 1)
    assert (found.ids.tolist(), found.values.tolist()) == ([0], [[10_000.0]])


def test_a_package_that_was_not_built_says_so_in_one_line(tmp_path: Path) -> None:
    code = (
        "from pathlib import Path\n"
        "path = Path.with_name; Path.with_name = lambda self, name: path(self, 'un' + name)\n"
        "from shortlist.cli import main; main(['recommend', '--users', 'all', '--out', 'x.csv'])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], check=False, capture_output=True, text=True, cwd=tmp_path
    )
    assert done.returncode == 1
    assert done.stderr.startswith("shortlist: ")
    assert "install shortlist, by pip install" in done.stderr
    assert len(done.stderr.splitlines()) == 1
