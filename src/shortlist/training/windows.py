"""Cuts in time: what models may know, and what happened next for the ranker to learn from.

Where events carry calendar times, a cut is one moment for everybody. Where they carry positions, there is no
moment that holds for two users, so the cut is the end of each user's own past.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from shortlist.arrays import BoolArray, IntArray
from shortlist.candidates.popular import CALENDAR_FROM_S
from shortlist.events.interactions import Interactions
from shortlist.training.cases import Case, by_user

SHARE = 0.1  # of events: how much of the end each of two windows takes
TRAIN_CASES, LATER_CASES = 5_000, 2_000  # enough for a stable ranker; each costs about 2 ms of features
# Below, the window before is learned from as well: on a shop of a thousand customers 6 % NDCG.
FEW_CASES = 2_500
LEAST_PAST = 1
# Where times are positions the ends of long pasts are held out, and nobody is new: without some who are, the
# ranker made worse lists of one to five films than the vectors alone.
NEW_SHARE, NEW_PEOPLE = 0.05, 300  # of the users, and at most: models that choose must not miss them
NEW_STEPS = (1, 2, 3, 5, 8)  # interactions of theirs that are known
NEW_LATER = 20  # interactions after those that count as what came later
LEAST_HELD = 5  # events of a user from which positions are held out; below, everything is past


@dataclass(frozen=True, slots=True)
class Window:
    """known: events that models may be fitted on, all earlier than what is asked. cases: asked after it.
    now_s: the newest time in `known`."""

    known: Interactions
    cases: list[Case]
    now_s: float


def has_calendar(data: Interactions) -> bool:
    """Whether times are times, not positions."""
    return bool(len(data.ts_s)) and float(data.ts_s[-1]) >= CALENDAR_FROM_S


def windows(data: Interactions, seed: int, size: int | None = None) -> tuple[list[Window], Window]:
    """Windows to learn from, the newest last, and a later one to choose on. Any may have no cases when data
    is scarce.

    size: how many items come first that models may know; the others are in pasts and answers alone, so that
    who had a new one before is not asked whether they take it as one. None: all.
    """
    rng = np.random.default_rng(seed)
    size = len(data.item_ids) if size is None else size
    if not has_calendar(data):
        learn, later = _last_positions(data, rng, size)
        return [learn], later
    third, second, first = (float(np.quantile(data.ts_s, 1 - part * SHARE)) for part in (3, 2, 1))
    learning = [_between(data, second, first, TRAIN_CASES, rng, size)]
    later = _between(data, first, np.inf, LATER_CASES, rng, size)
    if len(learning[0].cases) < FEW_CASES:
        learning.insert(0, _between(data, third, second, FEW_CASES, rng, size))
    return learning, later


def kept(data: Interactions, mask: BoolArray) -> Interactions:
    """The events that `mask` marks; users and items keep their codes."""
    return Interactions(
        users=data.users[mask],
        items=data.items[mask],
        ts_s=data.ts_s[mask],
        weights=data.weights[mask],
        sessions=data.sessions[mask],
        purchases=data.purchases[mask],
        user_ids=data.user_ids,
        item_ids=data.item_ids,
    )


def _known(data: Interactions, mask: BoolArray, size: int) -> Interactions:
    """What models may know of the events that `mask` marks: those with the first `size` items."""
    return replace(kept(data, mask & (data.items < size)), item_ids=data.item_ids[:size])


def _between(
    data: Interactions, start: float, end: float, most: int, rng: np.random.Generator, size: int
) -> Window:
    """Steps of users within [start, end): each user's first, then others at random, up to `most`."""
    known = _known(data, data.ts_s < start, size)
    ordered = by_user(kept(data, data.ts_s < end))
    users, ts = ordered.users, ordered.ts_s
    if not len(users):
        return Window(known, [], _newest(known))
    new_user = np.r_[True, users[1:] != users[:-1]]
    user_start = np.maximum.accumulate(np.where(new_user, np.arange(len(users)), 0))
    new_step = np.flatnonzero(new_user | np.r_[True, ts[1:] != ts[:-1]])
    # A step can be asked about when it lies in the window and something lies before it.
    steps = new_step[(ts[new_step] >= start) & (new_step - user_start[new_step] >= LEAST_PAST)]
    if not len(steps):
        return Window(known, [], _newest(known))
    _, first = np.unique(users[steps], return_index=True)
    others = np.setdiff1d(np.arange(len(steps)), first)
    rng.shuffle(first)
    rng.shuffle(others)
    chosen = np.r_[first, others][:most]
    user_end = np.r_[np.flatnonzero(new_user)[1:], len(users)]
    ends = user_end[np.cumsum(new_user) - 1]
    step_end = np.r_[new_step[1:], len(users)][np.searchsorted(new_step, steps)]
    step_end = np.minimum(step_end, ends[steps])
    cases = [
        _case(ordered, int(user_start[steps[i]]), int(steps[i]), int(step_end[i]), int(ends[steps[i]]))
        for i in np.sort(chosen)
    ]
    return Window(known, cases, _newest(known))


def _last_positions(data: Interactions, rng: np.random.Generator, size: int) -> tuple[Window, Window]:
    """Each user's last event to choose on, those before it to learn from; to learn from too the first events
    of some people whom no model knows at all. One set of models knows none of these."""
    ordered = by_user(data)
    counts = np.bincount(ordered.users, minlength=len(data.user_ids))
    active = np.flatnonzero(counts >= LEAST_HELD)
    ends = np.cumsum(counts)
    each = int(np.clip(np.ceil(TRAIN_CASES / max(len(active), 1)), 1, 10))  # several where users are few
    held = np.zeros(len(ordered.users), np.bool_)
    learn: list[tuple[int, int]] = []
    choose: list[tuple[int, int]] = []
    is_new = np.zeros(len(counts), np.bool_)
    is_new[rng.permutation(active)[: min(NEW_PEOPLE, int(NEW_SHARE * len(active)))]] = True
    held |= is_new[ordered.users]
    for user in active[~is_new[active]]:
        end, start = int(ends[user]), int(ends[user] - counts[user])
        steps = min(each, int(counts[user]) - 3)
        held[end - 1 - steps : end] = True
        learn += [(start, end - 1 - step) for step in range(1, steps + 1)]
        choose.append((start, end - 1))
    known = _known(ordered, ~held, size)
    order = np.argsort(known.ts_s, kind="stable")
    known = kept(known, order)  # type: ignore[arg-type]  # an index array picks and sorts at once

    def some(where: list[tuple[int, int]], most: int) -> list[Case]:
        picked = np.sort(rng.permutation(len(where))[:most])
        return [_case(ordered, where[i][0], where[i][1], where[i][1] + 1, where[i][1] + 1) for i in picked]

    first = [
        _case(ordered, start, start + step, start + step + 1, min(end, start + step + 1 + NEW_LATER))
        for start, end in ((int(ends[u] - counts[u]), int(ends[u])) for u in np.flatnonzero(is_new))
        for step in NEW_STEPS
        if start + step < end
    ]
    now = _newest(known)
    return Window(known, some(learn, TRAIN_CASES) + first, now), Window(known, some(choose, LATER_CASES), now)


def _case(ordered: Interactions, start: int, step: int, step_end: int, end: int) -> Case:
    past = slice(start, step)
    relevant = np.unique(ordered.items[step:step_end])
    later: IntArray = np.setdiff1d(ordered.items[step_end:end], relevant)
    return Case(
        ordered.items[past],
        ordered.ts_s[past],
        ordered.weights[past],
        ordered.sessions[past],
        ordered.purchases[past],
        relevant=relevant,
        later=later,
        user=int(ordered.users[start]),
    )


def _newest(known: Interactions) -> float:
    times: NDArray[np.float64] = known.ts_s
    return float(times[-1]) if len(times) else 0.0
