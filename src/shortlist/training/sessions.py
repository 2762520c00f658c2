"""Sessions over a whole history at once: the rule of the fold (features/session.py), by arrays."""

import numpy as np
from numpy.typing import NDArray

from shortlist.arrays import BoolArray, IntArray
from shortlist.events.event import INTERACTIONS
from shortlist.features.session import is_new_session
from shortlist.settings import FeatureSettings
from shortlist.training.history import TYPES, History

IS_INTERACTION = np.array([kind in INTERACTIONS for kind in TYPES])
DAY_MS = 86_400_000


def session_numbers(history: History, settings: FeatureSettings) -> IntArray:
    """(n,) the running number, from 1, of the session that each interaction belongs to; 0 for other events.

    Equal to `Seen.session` of the fold, the 7-day expiry included: a property test holds them together.
    """
    numbers = np.zeros(len(history), np.int32)
    rows = np.flatnonzero(IS_INTERACTION[history.types])
    if not len(rows):
        return numbers
    users, ts = history.users[rows], history.ts_ms[rows]
    first = np.ones(len(rows), bool)
    first[1:] = users[1:] != users[:-1]
    # How often the user expired up to each row: a session does not outlive an expiry between two of its rows.
    expired = np.cumsum(_expirations(history, int(settings.expire_days * DAY_MS)))[rows]
    forgotten = first.copy()
    forgotten[1:] |= expired[1:] != expired[:-1]
    gap_ms = int(settings.session_gap_s * 1000)
    begins = _begins_in_order(forgotten, ts, history.session_ids[rows], gap_ms)
    late = np.zeros(len(rows), bool)
    late[1:] = (ts[1:] < ts[:-1]) & ~first[1:]
    for start, stop in _users_with(late, first):
        begins[start:stop] = _begins_one_by_one(
            forgotten[start:stop], ts[start:stop], history.session_ids[rows[start:stop]], gap_ms
        )
    total = np.cumsum(begins)
    # Counting starts anew at each user's first row.
    numbers[rows] = total - np.repeat(total[first] - 1, np.diff([*np.flatnonzero(first), len(rows)]))
    return numbers


def _expirations(history: History, expire_ms: int) -> BoolArray:
    """(n,) whether the user's features had expired when this event was appended."""
    appended, users = history.appended_ms, history.users
    newest = np.maximum.accumulate(_apart(appended, users)) if len(users) else appended
    expired = np.zeros(len(users), bool)
    same = users[1:] == users[:-1]
    expired[1:] = same & (_apart(appended, users)[1:] - newest[:-1] > expire_ms)
    return expired


def _apart(values: NDArray[np.int64], users: IntArray) -> NDArray[np.int64]:
    """`values` moved so that each user's lie above those of all before: one running maximum serves all."""
    number = np.zeros(len(users), np.int64)
    number[1:] = np.cumsum(users[1:] != users[:-1])
    low = values.min(initial=0)
    span = np.int64(values.max(initial=0) - low + 1)
    return np.asarray(values - low + number * span, np.int64)


def _begins_in_order(
    forgotten: BoolArray, ts: NDArray[np.int64], session_ids: IntArray, gap_ms: int
) -> BoolArray:
    """(n,) where a session begins, for users whose times never go back."""
    begins = forgotten.copy()
    begins[1:] |= ts[1:] - ts[:-1] > gap_ms
    # Between silences the current id is the last one given; a session's end by silence forgets it.
    given = np.flatnonzero(session_ids > 0)
    stretch = np.cumsum(begins)[given]
    other = (session_ids[given][1:] != session_ids[given][:-1]) & (stretch[1:] == stretch[:-1])
    begins[given[1:][other]] = True
    return begins


def _begins_one_by_one(
    forgotten: BoolArray, ts: NDArray[np.int64], session_ids: IntArray, gap_ms: int
) -> list[bool]:
    """The same for one user whose events came late: their last time depends on where sessions began."""
    begins: list[bool] = []
    count, current, last_ts = 0, 0, 0
    for forgets, at, given in zip(forgotten.tolist(), ts.tolist(), session_ids.tolist(), strict=True):
        begin = is_new_session(
            count=0 if forgets else count,
            current_id=str(current) if current else "",
            last_ts=last_ts,
            ts=at,
            session_id=str(given) if given else None,
            gap_ms=gap_ms,
        )
        if begin:
            count, current, last_ts = 0, 0, at
        count += 1
        current = given or current
        last_ts = max(last_ts, at)
        begins.append(begin)
    return begins


def _users_with(late: BoolArray, first: BoolArray) -> list[tuple[int, int]]:
    """(start, stop) of the rows of each user who has a late one."""
    starts = np.flatnonzero(first)
    stops = np.append(starts[1:], len(first))
    has_late = np.add.reduceat(late, starts) > 0
    return list(zip(starts[has_late].tolist(), stops[has_late].tolist(), strict=True))
