"""Metrics: the budget's rows are there, and the loop's own kinds read like the client's."""

import pytest

from shortlist.ops import telemetry
from shortlist.ops.telemetry import BOUNDS_S, LoneCounter, LoneHistogram, SourceHistograms


def sample(name: str, **labels: str) -> float:
    value = telemetry.REGISTRY.get_sample_value(name, labels)
    assert value is not None, name
    return value


ROWS = ["hit", "miss", "similar", "cold_start", "fallback", "event_accepted", "event_visible", "reaction"]


@pytest.mark.parametrize("row", ROWS)
def test_every_row_of_the_budget_has_a_histogram(row: str) -> None:
    assert f"shortlist_{row}_seconds_bucket" in telemetry.exposition().decode()


@pytest.mark.parametrize("budget_ms", [1, 2, 3, 5, 8, 10, 20, 35, 50, 100])
def test_every_budget_is_a_bound_so_that_it_can_be_alerted_on(budget_ms: int) -> None:
    assert budget_ms / 1000 in BOUNDS_S


def test_a_lone_histogram_counts_as_prometheus_does() -> None:
    histogram = LoneHistogram("test_loop_seconds", "A test.", bounds_s=(0.1, 1.0))
    for seconds in (0.05, 0.1, 0.5, 7.0):
        histogram.observe(seconds)
    assert sample("test_loop_seconds_bucket", le="0.1") == 2
    assert sample("test_loop_seconds_bucket", le="1.0") == 3
    assert sample("test_loop_seconds_bucket", le="+Inf") == sample("test_loop_seconds_count") == 4
    assert sample("test_loop_seconds_sum") == pytest.approx(7.65)


def test_sources_have_a_histogram_each() -> None:
    histograms = SourceHistograms("test_sources_seconds", "A test.", bounds_s=(0.1, 1.0))
    histograms.observe({"als": 0.05, "popular": 0.5})
    histograms.observe({"als": 7.0})
    assert sample("test_sources_seconds_bucket", source="als", le="0.1") == 1
    assert sample("test_sources_seconds_count", source="als") == 2
    assert sample("test_sources_seconds_sum", source="als") == pytest.approx(7.05)
    assert sample("test_sources_seconds_bucket", source="popular", le="1.0") == 1


def test_a_lone_counter_counts_by_label() -> None:
    counter = LoneCounter("test_loop", "A test.", "tier")
    counter.labels("cache").inc()
    counter.labels("cache").inc()
    counter.labels("cache", "another thread").inc()
    counter.labels("fresh")
    assert sample("test_loop_total", tier="cache") == 3
    assert sample("test_loop_total", tier="fresh") == 0
