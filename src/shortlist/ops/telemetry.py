"""Every metric, once: the histograms carry the names of the latency budget's rows.

Label values come from short fixed lists (tiers, sources, reasons), never from a request, so memory
stays bounded.
"""

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily
from prometheus_client.gc_collector import GCCollector
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

disable_created_metrics()  # type: ignore[no-untyped-call]  # a second series per counter that nobody reads
REGISTRY = CollectorRegistry()
ProcessCollector(registry=REGISTRY)
GCCollector(registry=REGISTRY)

CONTENT_TYPE = "text/plain; version=0.0.4"  # the charset is the framework's to add

# From a tenth of the hit's budget (2 ms) to the spec's slowest promise (a 5 s timeout), about doubling;
# every budget of the design (1, 2, 3, 5, 8, 10, 20, 50, 100 ms) is a bound, so that it can be alerted on.
BOUNDS_S = (
    0.0002,
    0.0005,
    0.001,
    0.002,
    0.003,
    0.005,
    0.008,
    0.010,
    0.015,
    0.020,
    0.035,
    0.050,
    0.100,
    0.250,
    0.500,
    1.0,
    5.0,
)


def _cumulated(bounds_s: Sequence[float], counts: Sequence[int]) -> list[tuple[str, float]]:
    """Buckets as Prometheus has them: each with all that is below."""
    names = (*map(str, bounds_s), "+Inf")
    return [(name, float(total)) for name, total in zip(names, accumulate(counts), strict=True)]


class LoneHistogram(Collector):
    """A histogram that one thread alone observes, without a lock or a call into the client.

    The hit's whole budget beside bare ASGI is about 14 µs; `Histogram.observe` takes 2 µs of them, this 0.2.
    """

    def __init__(self, name: str, documentation: str, bounds_s: tuple[float, ...] = BOUNDS_S) -> None:
        self.name, self.documentation, self.bounds_s = name, documentation, bounds_s
        self.counts = [0] * (len(bounds_s) + 1)
        self.sum_s = 0.0
        REGISTRY.register(self)

    def observe(self, seconds: float) -> None:
        """Count one duration."""
        self.counts[bisect_left(self.bounds_s, seconds)] += 1
        self.sum_s += seconds

    def collect(self) -> Iterable[HistogramMetricFamily]:
        """What a scrape sees."""
        family = HistogramMetricFamily(self.name, self.documentation)
        family.add_metric([], _cumulated(self.bounds_s, self.counts), self.sum_s)
        yield family


class SourceHistograms(Collector):
    """One histogram per candidate source, all of a slate's observed together; whoever observes holds a lock.

    The client's own took 3 µs for each of a slate's twenty calls.
    """

    def __init__(self, name: str, documentation: str, bounds_s: tuple[float, ...] = BOUNDS_S) -> None:
        self.name, self.documentation, self.bounds_s = name, documentation, bounds_s
        self.counts: dict[str, list[int]] = {}
        self.sum_s: dict[str, float] = {}
        REGISTRY.register(self)

    def observe(self, took_s: Mapping[str, float]) -> None:
        """Count a duration per source."""
        for source, seconds in took_s.items():
            counts = self.counts.get(source)
            if counts is None:
                self.sum_s[source] = 0.0
                counts = self.counts[source] = [0] * (len(self.bounds_s) + 1)
            counts[bisect_left(self.bounds_s, seconds)] += 1
            self.sum_s[source] += seconds

    def collect(self) -> Iterable[HistogramMetricFamily]:
        """What a scrape sees."""
        family = HistogramMetricFamily(self.name, self.documentation, labels=["source"])
        for source, counts in list(self.counts.items()):
            family.add_metric([source], _cumulated(self.bounds_s, counts), self.sum_s[source])
        yield family


class LoneCounter(Collector):
    """A counter by one label, each child moved by one thread alone: 0.05 µs, the client's own takes 0.35."""

    class Child:
        """The count under one label value, of one thread."""

        __slots__ = ("count",)

        def __init__(self) -> None:
            self.count = 0

        def inc(self) -> None:
            """Count one more."""
            self.count += 1

    def __init__(self, name: str, documentation: str, label: str) -> None:
        self.name, self.documentation, self.label = name, documentation, label
        self._children: dict[tuple[str, str], LoneCounter.Child] = {}
        REGISTRY.register(self)

    def labels(self, value: str, mover: str = "loop") -> "LoneCounter.Child":
        """The child of a label value for the thread that is called `mover` here; keep it, where it is moved
        often."""
        return self._children.setdefault((value, mover), LoneCounter.Child())

    def collect(self) -> Iterable[CounterMetricFamily]:
        """What a scrape sees."""
        counts: dict[str, int] = {}
        for (value, _), child in list(self._children.items()):
            counts[value] = counts.get(value, 0) + child.count
        family = CounterMetricFamily(self.name, self.documentation, labels=[self.label])
        for value, count in counts.items():
            family.add_metric([value], count)
        yield family


def _budget(row: str, documentation: str) -> Histogram:
    return Histogram(f"shortlist_{row}_seconds", documentation, buckets=BOUNDS_S, registry=REGISTRY)


# The rows of the latency budget.
HIT = LoneHistogram("shortlist_hit_seconds", "Hit: /recommendations answered from a cached pool.")
MISS = _budget("miss", "Miss: /recommendations computed.")
SIMILAR = _budget("similar", "Item-to-item: /similar.")
COLD_START = _budget("cold_start", "Slate of a user without history.")
FALLBACK = _budget("fallback", "Slate answered by a fallback tier.")
EVENT_ACCEPTED = _budget("event_accepted", "Event accepted: request of /events until it was durable.")
EVENT_VISIBLE = _budget("event_visible", "Event to feature visible: append until folded.")
NEW_ITEM = _budget("new_item", "Item changed to item searchable: encoded and in the indexes.")
REACTION = _budget("reaction", "Click to changed slate: append until the user's pool was recomputed.")

SOURCE = SourceHistograms("shortlist_source_seconds", "Candidate sources.")

# Slates by what answered: cache, fresh, stale, popular_category, popular.
SLATES = LoneCounter("shortlist_slates", "Slates served, by tier.", "tier")
SOURCE_MISSING = Counter(
    "shortlist_source_missing",
    "Slates that a source brought nothing to, by why (late, failed, busy).",
    ["source", "why"],
    registry=REGISTRY,
)
RECOMPUTES = Counter(
    "shortlist_recomputes", "Pools computed, by cause (miss, taste, refresh).", ["cause"], registry=REGISTRY
)

EVENTS_ACCEPTED = Counter("shortlist_events_accepted", "Events accepted and durable.", registry=REGISTRY)
EVENTS_REFUSED = Counter(
    "shortlist_events_refused", "Events refused, by field at fault.", ["field"], registry=REGISTRY
)
SERVED_DROPPED = Counter(
    "shortlist_served_dropped", "Served records dropped because the log's queue was full.", registry=REGISTRY
)
LOG_QUEUE = Gauge("shortlist_log_queue", "Records waiting for the disk.", registry=REGISTRY)
LOG_BATCH = Histogram(
    "shortlist_log_batch_records",
    "Records that share one fsync.",
    buckets=(1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 5000),
    registry=REGISTRY,
)

EVENTS_FOLDED = Counter("shortlist_events_folded", "Events folded into features.", registry=REGISTRY)
EVENTS_DUPLICATE = Counter(
    "shortlist_events_duplicate", "Events not counted again by the fold.", registry=REGISTRY
)
EVENTS_UNREADABLE = Counter(
    "shortlist_events_unreadable",
    "Records that are no event, passed over.",
    registry=REGISTRY,
)
LAG = Gauge("shortlist_lag_events", "Events in the log that are not folded yet.", registry=REGISTRY)

CACHE_ENTRIES = Gauge("shortlist_cache_entries", "Pools in the slate cache.", registry=REGISTRY)
CATALOG_ITEMS = Gauge("shortlist_catalog_items", "Items that may be served.", registry=REGISTRY)
MODEL_AGE = Gauge("shortlist_model_age_seconds", "Age of the model that serves.", registry=REGISTRY)
MODEL_SWAPS = Counter("shortlist_model_swaps", "Models taken into service.", registry=REGISTRY)

# Requests by route name and status class; the name is one of the app's own routes, or "unknown".
REQUESTS = Counter(
    "shortlist_requests", "Requests, by route and status.", ["route", "status"], registry=REGISTRY
)
LIMITED = Counter("shortlist_limited", "Requests over a rate limit, by limit.", ["limit"], registry=REGISTRY)
TOKENS_REFUSED = Counter(
    "shortlist_tokens_refused", "Requests with a token that was refused.", registry=REGISTRY
)
FAILURES = Counter(
    "shortlist_failures", "Unexpected failures caught at an edge, by where.", ["where"], registry=REGISTRY
)


def exposition() -> bytes:
    """The text that /metrics answers."""
    return generate_latest(REGISTRY)
