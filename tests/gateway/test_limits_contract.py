"""What every rate limiter must do; adapters are found by listing them."""

import asyncio
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shortlist.gateway.limits import Limit, RateLimiter
from shortlist.gateway.limits_memory import MemoryRateLimiter

LIMITERS: list[Callable[[], RateLimiter]] = [MemoryRateLimiter]
HUNDRED = Limit("recommendations", 100)


@pytest.fixture(params=LIMITERS, ids=lambda made: getattr(made, "__name__", "limiter"))
def limiter(request: pytest.FixtureRequest) -> RateLimiter:
    made: RateLimiter = request.param()
    return made


def take(limiter: RateLimiter, now_s: float, key: str = "ann", limit: Limit = HUNDRED) -> float:
    return asyncio.run(limiter.take(limit, key, now_s))


def test_a_minutes_worth_may_come_at_once_and_no_more(limiter: RateLimiter) -> None:
    assert [take(limiter, 1000.0) for _ in range(100)] == [0.0] * 100
    assert take(limiter, 1000.0) == pytest.approx(0.6)


def test_waiting_as_long_as_told_is_enough_and_less_is_not(limiter: RateLimiter) -> None:
    for _ in range(100):
        take(limiter, 0.0)
    wait = take(limiter, 0.0)
    assert take(limiter, wait * 0.99) > 0.0
    assert take(limiter, wait) == 0.0


def test_a_refusal_costs_nothing(limiter: RateLimiter) -> None:
    for _ in range(100):
        take(limiter, 0.0)
    waits = [take(limiter, 0.0) for _ in range(50)]
    assert waits == [waits[0]] * 50


def test_after_a_quiet_minute_the_whole_burst_is_back_and_not_two(limiter: RateLimiter) -> None:
    for now_s in (0.0, 86_400.0):
        assert sum(take(limiter, now_s) == 0.0 for _ in range(250)) == 100


def test_callers_and_limits_do_not_meet(limiter: RateLimiter) -> None:
    one = Limit("events", 1)
    assert take(limiter, 0.0, "ann", one) == 0.0
    assert take(limiter, 0.0, "ann", one) == pytest.approx(60.0)
    assert take(limiter, 0.0, "bob", one) == 0.0
    assert take(limiter, 0.0, "ann", HUNDRED) == 0.0


@pytest.mark.parametrize("key", ["", "{a}", "a\nb", "☕" * 500, "*"])
def test_any_key_is_a_key(limiter: RateLimiter, key: str) -> None:
    one = Limit("x", 1)
    assert take(limiter, 0.0, key, one) == 0.0
    assert take(limiter, 0.0, key, one) > 0.0
    assert take(limiter, 0.0, key + "'", one) == 0.0


@pytest.mark.parametrize("made", LIMITERS)
@settings(max_examples=60, deadline=None)
@given(st.integers(1, 50), st.lists(st.floats(0.0, 20.0), max_size=150))
def test_no_minute_has_more_than_its_burst_and_its_rate(
    made: Callable[[], RateLimiter], per_min: int, gaps: list[float]
) -> None:
    limiter, limit, now_s = made(), Limit("x", per_min), 0.0
    admitted: list[float] = []
    for gap in gaps:
        now_s += gap
        if take(limiter, now_s, limit=limit) == 0.0:
            admitted.append(now_s)
    for start in admitted:
        assert sum(start <= t < start + 60.0 for t in admitted) <= 2 * per_min


def test_at_once_is_the_same_or_says_that_it_cannot(limiter: RateLimiter) -> None:
    answers = [limiter.take_at_once(HUNDRED, "ann", 0.0) for _ in range(101)]
    assert answers[0] is None or (answers[:100] == [0.0] * 100 and answers[100] == pytest.approx(0.6))


def test_memory_is_bounded_whoever_comes() -> None:
    limiter = MemoryRateLimiter(max_keys=100)
    for number in range(1000):
        limiter.take_at_once(HUNDRED, f"user {number}", number * 0.001)
    assert len(limiter.arrivals["recommendations"]) <= 100
