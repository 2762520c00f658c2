"""Feature values as they were before each event, with what happened: what the ranker is trained on.

They are made by the very chain that serves, from models that knew earlier events only.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from shortlist.arrays import BoolArray, FloatArray, IntArray
from shortlist.progress import Report
from shortlist.ranking.chain import Chain
from shortlist.training.cases import Case

NEXT, LATER = 2, 1  # grades: of the very next step, of what came after it
SHOWN_SEEN = 6  # where seen items are left out, one case in so many keeps them, so that the ranker learns why


@dataclass(frozen=True, slots=True)
class Rows:
    """features: (rows, columns). grades: (rows,) 0, LATER or NEXT. groups: (cases,) rows of each case.
    missed: (cases,) gain that no candidate could bring: relevant items that no source proposed."""

    features: FloatArray
    grades: IntArray
    groups: IntArray
    missed: list[IntArray]

    def parts(self) -> list[slice]:
        """The rows of each case."""
        ends = np.cumsum(self.groups)
        return [slice(int(end - size), int(end)) for end, size in zip(ends, self.groups, strict=True)]


@dataclass(frozen=True, slots=True)
class Seen:
    """What of the past may be proposed again. bought: what was purchased; viewed: everything else."""

    bought: bool
    viewed: bool

    def allowed(self, case: Case, size: int) -> BoolArray:
        """(size,) items that a list for this case may hold."""
        allowed = np.ones(size, np.bool_)
        if not self.viewed:
            allowed[case.items[~case.purchases]] = False
        if not self.bought:
            allowed[case.items[case.purchases]] = False
        return allowed


def rows_of(
    chain: Chain,
    cases: Sequence[Case],
    *,
    now_s: float,
    size: int,
    seen: Seen,
    negatives: int | None,
    seed: int,
    report: Report,
    stage: str,
) -> Rows:
    """The candidates of each case as rows.

    size: items in the catalog. negatives: how many candidates that came to nothing are kept per case, at
    random; None: all. When sampled, cases without any that came to something are left out.
    """
    rng = np.random.default_rng(seed)
    tables: list[FloatArray] = []
    grades: list[IntArray] = []
    missed: list[IntArray] = []
    everything = Seen(bought=seen.bought, viewed=True)
    for number, case in enumerate(cases):
        if number % 200 == 0:
            report(stage, number / len(cases))
        sampled = negatives is not None
        policy = everything if sampled and number % SHOWN_SEEN == 0 else seen
        allowed = policy.allowed(case, size)
        query = case.query(now_s)
        found = chain.gathered(query, allowed)
        if not len(found.positions):
            continue
        grade = np.zeros(size, np.int32)
        grade[case.later] = LATER
        grade[case.relevant] = NEXT
        grade[~allowed] = 0
        grade_here = grade[found.positions]
        if sampled and not grade_here.any():
            continue
        table = chain.features(query, found)
        if negatives is not None:
            nothing = np.flatnonzero(grade_here == 0)
            dropped = rng.permutation(nothing)[negatives:]
            keep = np.ones(len(grade_here), np.bool_)
            keep[dropped] = False
            table, grade_here = table[keep], grade_here[keep]
        tables.append(table)
        grades.append(grade_here)
        grade[found.positions] = 0
        missed.append(grade[grade > 0])
    report(stage, 1.0)
    width = len(chain.feature_names)
    return Rows(
        np.concatenate(tables) if tables else np.zeros((0, width), np.float32),
        np.concatenate(grades) if grades else np.zeros(0, np.int32),
        np.array([len(g) for g in grades], np.int32),
        missed,
    )


def ndcg(rows: Rows, scores: FloatArray, cut: int = 20) -> float:
    """Mean NDCG at `cut` over cases, what no source proposed counted as missed. scores: (rows,)."""
    values = ndcgs(rows, scores, cut)
    return float(values.mean()) if len(values) else 0.0


def ndcgs(rows: Rows, scores: FloatArray, cut: int = 20) -> FloatArray:
    """NDCG at `cut` of each case in which anything came true. scores: (rows,)."""
    discounts = 1 / np.log2(np.arange(2, cut + 2))
    values = []
    for part, missed in zip(rows.parts(), rows.missed, strict=True):
        gains = 2.0 ** rows.grades[part] - 1
        possible = np.sort(np.r_[gains, 2.0**missed - 1])[::-1][:cut]
        best = float((possible * discounts[: len(possible)]).sum())
        if best > 0:
            order = np.argsort(-scores[part], kind="stable")[:cut]
            values.append(float((gains[order] * discounts[: len(order)]).sum()) / best)
    return np.array(values, np.float32)
