"""What the ranker knows of a candidate: one definition for training, evaluation, batch and serving."""

from collections.abc import Mapping, Sequence

import numpy as np

from shortlist.arrays import FloatArray, IntArray
from shortlist.candidates.attributes import NO_CODES, UserCodes
from shortlist.candidates.past import distinct
from shortlist.candidates.source import CandidateSource, Query
from shortlist.candidates.trained import TrainedSource

USER = ("history", "distinct", "session_length", "last_gap_log_s", "span_log_s", "bought_items")
OWN = ("own_count", "own_distance", "own_age_log_s", "own_in_session", "own_bought", "own_share")


def feature_names(sources: Sequence[CandidateSource], codes: UserCodes = NO_CODES) -> tuple[str, ...]:
    """The columns: per trained source its score, score / largest and signals; then the user's own, their
    attributes last."""
    names: list[str] = []
    for source in trained(sources):
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
    sources: Sequence[CandidateSource],
    codes: UserCodes = NO_CODES,
) -> FloatArray:
    """(len(positions), len(feature_names(sources, codes))) values of candidates.

    raw: by source name, scores aligned with `positions`; a source without any (late, failed) counts 0.
    """
    columns: list[FloatArray] = []
    nothing = np.zeros(len(positions), np.float32)
    for source in trained(sources):
        scores = raw.get(source.name)
        if scores is None:
            columns += [nothing] * (2 + len(source.signal_names))
            continue
        largest = scores.max(initial=0.0)
        columns += [scores, scores / largest if largest > 0 else nothing]
        if source.signal_names:
            columns += list(source.signals(query, positions).T)
    columns += _own(query, positions)
    user = _user(query)
    attributes = query.attributes if query.attributes is not None else codes.missing
    table = np.empty((len(columns) + len(user) + len(attributes), len(positions)), np.float32)
    for column, values in enumerate(columns):
        table[column] = values
    for column, value in enumerate(user, len(columns)):
        table[column] = value
    table[len(columns) + len(user) :] = attributes[:, None]
    return np.ascontiguousarray(table.T)


def _own(query: Query, positions: IntArray) -> list[FloatArray]:
    """What this user did with each candidate before: how often, how long ago, what share of their past."""
    found = np.zeros((len(OWN), len(positions)), np.float32)
    found[1], found[2] = 1_000, 25  # never: further than any history, longer than any life
    if len(query.items):
        order = np.argsort(positions)
        ordered = positions[order]
        at = np.searchsorted(ordered, query.items)
        hit = (at < len(ordered)) & (ordered[np.minimum(at, len(ordered) - 1)] == query.items)
        if hit.any():
            rows, when = order[at[hit]], np.flatnonzero(hit)
            found[0] = np.bincount(rows, minlength=len(positions))
            found[1, rows] = len(query.items) - 1 - when  # later ones overwrite: the newest stays
            found[2, rows] = np.log1p(query.ages_s[when])
            in_session = query.session[when] == query.session[-1]
            found[3] = np.bincount(rows[in_session], minlength=len(positions))
            found[5] = found[0] / len(query.items)
    if len(query.bought):
        order = np.argsort(query.bought)
        ordered = query.bought[order]
        at = np.minimum(np.searchsorted(ordered, positions), len(ordered) - 1)
        hit = ordered[at] == positions
        found[4, hit] = 1  # not how many: a shop that sells cups by the dozen is no different
    return list(found)


def _user(query: Query) -> list[float]:
    """What is the same for all candidates of one user: lets the ranker weigh sources by who asks."""
    n = len(query.items)
    if not n:
        return [0.0] * len(USER)
    in_session = int((query.session == query.session[-1]).sum())
    newest, oldest = float(query.ages_s[-1]), float(query.ages_s[0])
    return [
        n,
        len(distinct(query).items),
        in_session,
        np.log1p(newest),
        np.log1p(oldest - newest),
        len(query.bought),
    ]
