"""The bound that judges a new item."""

from hypothesis import given
from hypothesis import strategies as st

from shortlist.coldstart.wilson import bounds


def test_the_flows_forty_of_a_thousand_promote_and_thirty_five_do_not_yet() -> None:
    assert bounds(40, 1_000)[0] > 0.03
    assert bounds(35, 1_000)[0] < 0.03 < bounds(35, 1_000)[1]


def test_without_tries_everything_is_possible() -> None:
    assert bounds(0, 0) == (0.0, 1.0)


@given(st.integers(1, 100_000), st.data(), st.floats(0.6, 0.999))
def test_the_share_lies_between_and_more_tries_narrow_it(n: int, data: st.DataObject, sure: float) -> None:
    hits = data.draw(st.integers(0, n))
    low, high = bounds(hits, n, sure)
    assert 0.0 <= low <= hits / n + 1e-12
    assert hits / n - 1e-12 <= high <= 1.0
    closer = bounds(hits * 4, n * 4, sure)
    assert low <= closer[0] + 1e-12
    assert closer[1] <= high + 1e-12


@given(st.integers(1, 5_000), st.data())
def test_the_bounds_solve_wilsons_equation(n: int, data: st.DataObject) -> None:
    """At a bound p, the share lies exactly z standard errors of p away."""
    hits = data.draw(st.integers(0, n))
    for p in bounds(hits, n, 0.95):
        assert abs((hits / n - p) ** 2 - 1.6448536**2 * p * (1 - p) / n) < 1e-6
