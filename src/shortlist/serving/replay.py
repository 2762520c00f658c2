"""Replaying slates: made again from what they were made from, and compared bit for bit.

Two steps, as when they were made: the pool (candidates, scores, rules' factors, order), and the slate cut
from it (filters, caps, pins, places of new items). Both run the code that serves, in the world of then. What
is not equal is either explained by an input that is named as gone, or it is a fault. See `remade`, `world`.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from time import perf_counter

import msgspec

from shortlist.events.log import EVENTS, EventLog
from shortlist.events.partition import partition_of
from shortlist.features.past import Asked, PastGone, as_of
from shortlist.features.store import Features, FeatureStore
from shortlist.features.view import FeatureView, user_view
from shortlist.serving.inputs import settings_of
from shortlist.serving.remade import NAMED, Missing, Part, Past, Remade, Replay
from shortlist.serving.trace import Trace
from shortlist.serving.world import Worlds
from shortlist.settings import Settings


class Replayer:
    """Replays traces. Blocking; one thread at a time."""

    def __init__(self, worlds: Worlds, events: EventLog, store: FeatureStore) -> None:
        self._worlds, self._events, self._store = worlds, events, store

    def replay(self, trace: Trace, settings: Settings | None = None) -> Replay:
        """Replay one. settings: others than those of then, to see what they change."""
        return next(self.replays([trace], settings))

    def replays(self, traces: Sequence[Trace], settings: Settings | None = None) -> Iterator[Replay]:
        """Replay many, in the order given; the log is read once for all of them."""
        pasts = self.pasts(traces)
        for trace in traces:
            began = perf_counter()
            remade = self.remade(trace, pasts, settings)
            found = remade.replay() if isinstance(remade, Remade) else _named(trace, remade)
            yield msgspec.structs.replace(found, took_ms=round((perf_counter() - began) * 1e3, 3))

    def deleted(self, user_id: str) -> int | None:
        """The version up to which what was known of a user was deleted; None: they never were."""
        partition = partition_of(user_id, self._events.partitions(EVENTS))
        return self._store.forgotten(partition).get(user_id)

    def pasts(self, traces: Iterable[Trace]) -> dict[Asked, Features | PastGone]:
        """The features that these traces were made from."""
        asked: dict[str, set[Asked]] = {}
        views: dict[str, tuple[FeatureView, int]] = {}
        for trace in traces:
            pool, read, then = trace.pool, trace.slate.cut, settings_then(trace)
            if pool is None or pool.inputs is None or then is None:
                continue
            name = pool.inputs.settings
            if name not in views:
                views[name] = user_view(then), then.log.dedup_window
            of = asked.setdefault(name, set())
            of.add((trace.user_id, pool.user_version))
            if read is not None:
                of.add((trace.user_id, read.user))
        found: dict[Asked, Features | PastGone] = {}
        for name, wanted in asked.items():
            found |= as_of(self._events, self._store, *views[name], wanted)
        return found

    def remade(
        self, trace: Trace, pasts: Mapping[Asked, Features | PastGone], settings: Settings | None = None
    ) -> Remade | Missing:
        """What a replay runs on; or what keeps the trace from being replayed at all. pasts: see `pasts`."""
        slate, pool, then = trace.slate, trace.pool, settings_then(trace)
        gone = _missing(trace, then)
        if gone is not None or pool is None or pool.inputs is None or slate.cut is None or then is None:
            return gone or Missing("inputs", "its record is not whole")
        past = Past(pasts, user_view(then))
        own = settings or then
        return Remade(self._worlds, trace.user_id, slate, pool, pool.inputs, slate.cut, own, past)


def settings_then(trace: Trace) -> Settings | None:
    """The settings of then; None where they were not kept, or today's shortlist cannot read them."""
    try:
        return settings_of(trace.settings) if trace.settings else None
    except msgspec.ValidationError:
        return None


def _missing(trace: Trace, settings: Settings | None) -> Missing | None:
    """What keeps a trace from being replayed at all."""
    slate, pool = trace.slate, trace.pool
    if slate.route:
        return Missing("route", f"lists of /{slate.route} are explained, not replayed")
    if pool is None:
        return Missing("pool", f"the record of pool {slate.trace_id} is not in the log any more")
    if pool.inputs is None or slate.cut is None:
        return Missing("inputs", "it was served by a shortlist that did not keep what it was made from")
    if settings is None:
        return Missing("settings", "the settings of then are not those that this shortlist reads")
    return None


def _named(trace: Trace, missing: Missing) -> Replay:
    part = Part(NAMED, missing=[missing])
    return Replay(trace.slate.request_id, NAMED, part, part)
