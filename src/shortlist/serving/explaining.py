"""Explanations: a trace found, put into words, made again, compared with today."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from typing import Any

from shortlist.catalog.past import CatalogPast
from shortlist.events.log import EventLog
from shortlist.features.store import FeatureStore
from shortlist.serving.effects import LeftOut, left_out, ranker_saw
from shortlist.serving.explained import Explained, explained
from shortlist.serving.remade import Remade
from shortlist.serving.replay import Replayer, settings_then
from shortlist.serving.serving import Serving
from shortlist.serving.snapshot import Snapshot
from shortlist.serving.today import Today, today
from shortlist.serving.trace import Trace, Traces, UserForgotten
from shortlist.serving.world import InputGone, Load, Worlds
from shortlist.settings import Settings


class Explainer:
    """Blocking; one thread at a time."""

    def __init__(
        self,
        traces: Traces,
        replayer: Replayer,
        now: Callable[[], Snapshot],
        settings: Settings,
        attributes: Callable[[str], Mapping[str, Any]],
        now_ms: Callable[[], int],
    ) -> None:
        """now, settings: what serves today. attributes: of a user, for today's rules."""
        self.traces, self.replayer = traces, replayer
        self._now, self._settings, self._attributes, self._now_ms = now, settings, attributes, now_ms

    def explain(
        self, trace: Trace, *, replays: bool = False, against_today: bool = False, is_shop: bool = True
    ) -> Explained:
        """See `Explaining`."""
        if self._is_forgotten(trace):
            raise UserForgotten(
                f"request {trace.slate.request_id!r} was of a user who was deleted since; what the log still "
                "holds of it is not told, and leaves it with log.retention_days"
            )
        replayer = self.replayer
        pasts = replayer.pasts([trace])
        remade = replayer.remade(trace, pasts)
        told = partial(explained, trace, self._now().table, is_shop=is_shop)
        if not isinstance(remade, Remade):
            return told(replay=replayer.replay(trace) if replays else None)
        user = None
        with suppress(InputGone):
            user = remade.past.features(trace.user_id, remade.pool.user_version, remade.pool.made_ms)
        is_now = self._today(trace, remade) if against_today else None
        if not replays:
            return told(user=user, today=is_now)
        features: dict[str, dict[str, float]] = {}
        out: list[LeftOut] = []
        with suppress(InputGone):
            features = ranker_saw(remade)
        with suppress(InputGone):
            out = left_out(remade)
        replay = replayer.replay(trace)
        return told(user=user, left_out=out, features=features, replay=replay, today=is_now)

    def _is_forgotten(self, trace: Trace) -> bool:
        """Whether its user was deleted after it was served. Versions tell, but for somebody without events:
        what was served to them since is in memory for a while, and not told after that."""
        user_id = trace.slate.user_id or trace.user_id
        deleted = self.replayer.deleted(user_id) if user_id else None
        version = trace.slate.cut.user if trace.slate.cut is not None else 0
        if trace.pool is not None:
            version = min(version, trace.pool.user_version)
        if deleted is None or version > deleted:
            return False
        return bool(version) or not self.traces.is_remembered(trace.slate.request_id)

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
                self._now(),
                self._settings,
                self._now_ms,
                self._attributes,
            )
        except InputGone:
            return None


class Explaining:
    """For the event loop; the work is done on a thread of its own, one explanation after the other."""

    def __init__(
        self,
        serving: Serving,
        events: EventLog,
        features: FeatureStore,
        load: Load,
        attributes: Callable[[str], Mapping[str, Any]] = lambda user_id: {},
    ) -> None:
        """load: the model of a version. attributes: of a user, for today's rules."""
        self._serving = serving
        worlds = Worlds(lambda: serving.snapshot, load, CatalogPast(events))
        self._explainer = Explainer(
            Traces(events, serving.trace),
            Replayer(worlds, events, features),
            lambda: serving.snapshot,
            serving.settings,
            attributes,
            serving.recommender.now_ms,
        )

    async def trace(self, request_id: str) -> Trace | None:
        """The trace of a request; None where it is not remembered."""
        return await self._serving.aside(partial(self._explainer.traces.find, request_id))

    async def explain(
        self, trace: Trace, *, replays: bool = False, against_today: bool = False, is_shop: bool = True
    ) -> Explained:
        """The whole of it. replays: make it again, too. against_today: compare it with what today's model,
        rules and settings make of it. is_shop: whether who asks may read the operator's rules.

        Raises UserForgotten."""
        work = partial(
            self._explainer.explain,
            trace,
            replays=replays,
            against_today=against_today,
            is_shop=is_shop,
        )
        return await self._serving.aside(work)
