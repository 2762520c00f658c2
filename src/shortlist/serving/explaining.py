"""Explanations for the gateway: found, replayed and compared with today, off the event loop."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from typing import Any

from shortlist.catalog.past import CatalogPast
from shortlist.events.log import EventLog
from shortlist.features.store import FeatureStore
from shortlist.serving.effects import left_out, ranker_saw
from shortlist.serving.explained import Explained, explained
from shortlist.serving.remade import Remade
from shortlist.serving.replay import Replayer, settings_then
from shortlist.serving.serving import Serving
from shortlist.serving.today import Today, today
from shortlist.serving.trace import Trace, Traces
from shortlist.serving.world import InputGone, Load, Worlds


class Explaining:
    """For the event loop; the work is done on a thread of its own, one explanation after the other."""

    def __init__(
        self,
        serving: Serving,
        events: EventLog,
        features: FeatureStore,
        load: Load,
        attributes: Callable[[str], Mapping[str, Any]] = lambda user_id: {},
        now_ms: Callable[[], int] | None = None,
    ) -> None:
        """load: the model of a version. attributes: of a user, for today's rules."""
        self._serving, self._attributes = serving, attributes
        self._now_ms = now_ms or serving.recommender.now_ms
        self._traces = Traces(events, serving.trace)
        self._replayer = Replayer(
            Worlds(lambda: serving.snapshot, load, CatalogPast(events)), events, features
        )

    async def trace(self, request_id: str) -> Trace | None:
        """The trace of a request; None where it is not remembered."""
        return await self._serving.aside(partial(self._traces.find, request_id))

    async def explain(
        self, trace: Trace, *, replays: bool = False, against_today: bool = False, is_shop: bool = True
    ) -> Explained:
        """The whole of it. replays: make it again, too. against_today: compare it with what today's model,
        rules and settings make of it. is_shop: whether who asks may read the operator's rules."""
        work = partial(self._explained, trace, replays, against_today, is_shop)
        return await self._serving.aside(work)

    def _explained(self, trace: Trace, replays: bool, against_today: bool, is_shop: bool) -> Explained:
        table = self._serving.table
        pasts = self._replayer.pasts([trace])
        remade = self._replayer.remade(trace, pasts)
        told = partial(explained, trace, table, is_shop=is_shop)
        if not isinstance(remade, Remade):
            return told(replay=self._replayer.replay(trace) if replays else None)
        user = None
        with suppress(InputGone):
            user = remade.past.features(trace.user_id, remade.pool.user_version, remade.pool.made_ms)
        if not replays:
            return told(user=user, today=self._today(trace, remade) if against_today else None)
        features: dict[str, dict[str, float]] = {}
        out = []
        with suppress(InputGone):
            features = ranker_saw(remade)
        with suppress(InputGone):
            out = left_out(remade)
        return told(
            user=user,
            left_out=out,
            features=features,
            replay=self._replayer.replay(trace),
            today=self._today(trace, remade) if against_today else None,
        )

    def _today(self, trace: Trace, remade: Remade) -> Today | None:
        then = settings_then(trace)
        if then is None:
            return None
        try:
            return today(
                trace.slate,
                {item.item_id: item.score for item in remade.pool.items},
                remade.inputs,
                then,
                (remade.past, trace.user_id, remade.pool.user_version),
                self._serving.snapshot,
                self._serving.settings,
                self._now_ms,
                self._attributes,
            )
        except InputGone:
            return None
