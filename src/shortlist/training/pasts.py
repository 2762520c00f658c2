"""Each user's past out of a history: what batch jobs ask with, and what they must leave out."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shortlist.arrays import FloatArray, IntArray
from shortlist.events.event import Event, EventType
from shortlist.features.store import Features
from shortlist.features.view import Disliked
from shortlist.settings import Settings
from shortlist.training.clean import kept_quantities, weights_of
from shortlist.training.history import CODES, TYPES, History
from shortlist.training.sessions import IS_INTERACTION, session_numbers

_IS_ACTION = np.array([kind is not EventType.IMPRESSION for kind in TYPES])
_TURNS = [CODES[kind] for kind in (EventType.DISLIKE, EventType.LIKE, EventType.PURCHASE)]


@dataclass(frozen=True, slots=True)
class Past:
    """What one user did, in item positions (-1 where the catalog has no such item).

    items, types, ts_s, weights, sessions: (n,) the last interactions by time, as many as the feature store
    keeps. last_ts_s: of anything they did. bought, counts: (m,) what they bought and kept. consumed: rated.
    disliked: and not taken back. seen: every item they ever interacted with.
    """

    items: IntArray
    types: tuple[str, ...]
    ts_s: NDArray[np.float64]
    weights: FloatArray
    sessions: IntArray
    last_ts_s: float
    bought: IntArray
    counts: FloatArray
    consumed: IntArray
    disliked: IntArray
    seen: IntArray


class Pasts:
    """The pasts of all users of a history, by user id."""

    def __init__(self, history: History, settings: Settings) -> None:
        self._history = history
        self._keep = settings.features.history
        self._weights = weights_of(settings.weights)[history.types]
        self._sessions = session_numbers(history, settings.features)
        self._kept = kept_quantities(history)
        # A user's rows stand together: where they begin and end, by user code.
        firsts = np.flatnonzero(np.diff(history.users, prepend=-1))
        ends = np.append(firsts[1:], len(history))
        self._rows = {
            code: (start, end)
            for code, start, end in zip(
                history.users[firsts].tolist(), firsts.tolist(), ends.tolist(), strict=True
            )
        }
        self._code = {user_id: code for code, user_id in enumerate(history.user_ids)}

    @property
    def user_ids(self) -> list[str]:
        """Everybody who ever did something."""
        return [user_id for user_id, code in self._code.items() if code in self._rows]

    def of(self, user_id: str) -> Past | None:
        """One user's past; None for somebody the log does not know."""
        code = self._code.get(user_id)
        if code is None or code not in self._rows:
            return None
        history = self._history
        rows = np.arange(*self._rows[code])
        types, items, ts_ms = history.types[rows], history.items[rows], history.ts_ms[rows]
        interactions = np.flatnonzero(IS_INTERACTION[types])
        last = interactions[np.argsort(ts_ms[interactions], kind="stable")][-self._keep :]
        kept = np.flatnonzero((self._kept[rows] > 0) & (items >= 0))
        bought, at = np.unique(items[kept], return_inverse=True)
        done = ts_ms[_IS_ACTION[types]]
        return Past(
            items=items[last],
            types=tuple(TYPES[code].value for code in types[last].tolist()),
            ts_s=ts_ms[last] / 1000,
            weights=self._weights[rows][last],
            sessions=self._sessions[rows][last],
            last_ts_s=float(done.max()) / 1000 if len(done) else 0.0,
            bought=bought,
            counts=np.bincount(at, self._kept[rows][kept], len(bought)).astype(np.float32),
            consumed=_known(items[types == CODES[EventType.RATING]]),
            disliked=_disliked(types, items, ts_ms),
            seen=_known(items[interactions]),
        )


def _known(items: IntArray) -> IntArray:
    return np.unique(items[items >= 0])


def _disliked(types: NDArray[np.uint8], items: IntArray, ts_ms: NDArray[np.int64]) -> IntArray:
    """By the fold's own rule, for the few users who dislike anything."""
    if not (types == CODES[EventType.DISLIKE]).any():
        return np.empty(0, np.int32)
    rule, features = Disliked(), Features()
    for row in np.flatnonzero(np.isin(types, _TURNS) & (items >= 0)).tolist():
        kind = TYPES[types[row]]
        rule.add(
            features,
            Event(event_id="", user_id="", type=kind, item_id=str(items[row]), ts=int(ts_ms[row])),
        )
    return np.array(sorted(map(int, features.disliked)), np.int32)
