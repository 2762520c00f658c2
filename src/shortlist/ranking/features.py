"""What the ranker knows of a candidate: one definition for training, evaluation, batch and serving."""

import math
from collections.abc import Mapping, Sequence

import numpy as np

from shortlist.arrays import FloatArray, IntArray
from shortlist.candidates.attributes import NO_CODES, UserCodes
from shortlist.candidates.past import distinct
from shortlist.candidates.source import CandidateSource, Query
from shortlist.candidates.trained import TrainedSource
from shortlist.kernels.past import own_past

USER = ("history", "distinct", "session_length", "last_gap_log_s", "span_log_s", "bought_items")
OWN = ("own_count", "own_distance", "own_age_log_s", "own_in_session", "own_bought", "own_share")


def feature_names(sources: Sequence[TrainedSource], codes: UserCodes = NO_CODES) -> tuple[str, ...]:
    """The columns: per trained source its score, score / largest and signals; then the user's own, their
    attributes last."""
    names: list[str] = []
    for source in sources:
        names += [source.name, f"{source.name}:share"]
        names += [f"{source.name}:{signal}" for signal in source.signal_names]
    return (*names, *OWN, *USER, *(f"user:{name}" for name in codes.names))


def trained(sources: Sequence[CandidateSource]) -> list[TrainedSource]:
    """The sources that features are made of: those that were there in training."""
    return [source for source in sources if isinstance(source, TrainedSource)]


def features(
    query: Query,
    positions: IntArray,
    raw: Mapping[str, FloatArray],
    sources: Sequence[TrainedSource],
    codes: UserCodes = NO_CODES,
) -> FloatArray:
    """(len(positions), len(feature_names(sources, codes))) values of candidates.

    raw: by source name, scores aligned with `positions`; a source without any (late, failed) counts 0.
    """
    attributes = query.attributes if query.attributes is not None else codes.missing
    user = [*_user(query), *attributes]
    starts, end = [], 0
    for source in sources:
        starts.append(end)
        end += 2 + len(source.signal_names)
    # By column first: each is written at once.
    table = np.zeros((end + len(OWN) + len(user), len(positions)), np.float32)
    for source, start in zip(sources, starts, strict=True):
        scores = raw.get(source.name)
        if scores is not None:
            table[start] = scores
            if source.signal_names:
                signals = table[start + 2 : start + 2 + len(source.signal_names)]
                signals[:] = source.signals(query, positions).T
    if starts:
        scores = table[starts]
        largest = scores.max(axis=1, initial=0.0)
        largest[largest <= 0] = np.inf
        table[[start + 1 for start in starts]] = scores / largest[:, None]
    _own(query, positions, table[end : end + len(OWN)])
    table[end + len(OWN) :] = np.array(user, np.float32)[:, None]
    return np.ascontiguousarray(table.T)


def _own(query: Query, positions: IntArray, found: FloatArray) -> None:
    """What this user did with each candidate before: how often, how long ago, what share of their past.

    found: (len(OWN), len(positions)), filled in."""
    session = query.session[-1] if len(query.items) else 0
    own_past(
        query.items,
        query.session == session,
        np.log1p(query.ages_s),
        query.bought,  # not how many: a shop that sells cups by the dozen is no different
        positions,
        far=1_000,  # never: further than any history, longer ago than any life
        old=25,
        size=max(distinct(query).below, int(query.bought.max(initial=-1)) + 1),
        found=found,
    )


def _user(query: Query) -> list[float]:
    """What is the same for all candidates of one user: lets the ranker weigh sources by who asks."""
    n = len(query.items)
    if not n:
        return [0.0] * len(USER)
    in_session = int(np.count_nonzero(query.session == query.session[-1]))
    newest, oldest = float(query.ages_s[-1]), float(query.ages_s[0])
    return [
        n,
        len(distinct(query).items),
        in_session,
        math.log1p(newest),
        math.log1p(oldest - newest),
        len(query.bought),
    ]
