"""The survey for new users: categories to choose, and five items whose ratings tell tastes apart (flow 9)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shortlist.arrays import BoolArray, FloatArray, IntArray
from shortlist.catalog.table import ItemTable

SAMPLES = 5
TOP = 5  # the most popular items are not asked about: who likes what everybody likes tells nothing
WELL_KNOWN = 500  # items after those that may be asked about: known to many, and enough to tell apart
SPARE = 30  # items kept per region, for those that a user must not see
ROUNDS = 15


@dataclass(frozen=True, slots=True)
class Survey:
    """regions: for each region of taste, positions of well-known items, the most telling first."""

    regions: tuple[IntArray, ...]

    def samples(self, allowed: BoolArray) -> list[int]:
        """Up to SAMPLES positions that may be shown, one of each region as far as that goes."""
        columns = [region[region < len(allowed)] for region in self.regions]
        queues = [region[allowed[region]].tolist() for region in columns]
        found: list[int] = []
        while len(found) < SAMPLES and any(queues):
            for queue in queues:
                if queue and len(found) < SAMPLES:
                    found.append(queue.pop(0))
        return found


def survey(table: ItemTable, popularity: FloatArray, vectors: FloatArray | None) -> Survey:
    """The survey of a model. popularity: (n,). vectors: (n, f) where people's tastes put each item; without
    them categories stand for tastes.

    Well-known items, without the very top, are divided into SAMPLES regions by spherical k-means; an item
    tells its region from the others by how much nearer it is to its own centre than to any other.
    """
    order = np.argsort(-popularity, kind="stable")
    order = order[popularity[order] > 0]
    known = order[TOP : TOP + WELL_KNOWN]
    if vectors is not None and len(vectors):
        norms = np.linalg.norm(vectors, axis=1)
        known = known[known < len(vectors)]
        known = known[norms[known] > 0]
        if len(known) >= 2 * SAMPLES:
            return Survey(_regions(known, vectors[known] / norms[known][:, None]))
    return Survey(_by_category(table, known if len(known) else np.arange(len(table))))


def _regions(known: IntArray, unit: NDArray[Any]) -> tuple[IntArray, ...]:
    centres = unit[_apart(unit, SAMPLES)]
    for _ in range(ROUNDS):
        label = (unit @ centres.T).argmax(axis=1)
        sums = np.stack([unit[label == k].sum(axis=0) for k in range(SAMPLES)])
        lengths = np.linalg.norm(sums, axis=1, keepdims=True)
        centres = np.where(lengths > 0, sums / np.maximum(lengths, 1e-12), centres)
    near = unit @ centres.T
    label = near.argmax(axis=1)
    own = near[np.arange(len(near)), label]
    near[np.arange(len(near)), label] = -np.inf
    telling = own - near.max(axis=1)
    regions = []
    for k in range(SAMPLES):
        members = np.flatnonzero(label == k)
        regions.append(known[members[np.argsort(-telling[members], kind="stable")]][:SPARE].astype(np.int32))
    return tuple(sorted(regions, key=len, reverse=True))


def _apart(unit: NDArray[Any], count: int) -> list[int]:
    """Indexes of `count` rows that lie far apart: each the farthest from those before (Gonzalez 1985)."""
    chosen = [int((unit @ unit.mean(axis=0)).argmin())]
    nearest = unit @ unit[chosen[0]]
    while len(chosen) < count:
        chosen.append(int(nearest.argmin()))
        nearest = np.maximum(nearest, unit @ unit[chosen[-1]])
    return chosen


def _by_category(table: ItemTable, known: IntArray | NDArray[Any]) -> tuple[IntArray, ...]:
    """Where no tastes are known: one region per category, the largest first, items in the order given."""
    codes = table.category[known]
    names, counts = np.unique(codes, return_counts=True)
    largest: Sequence[int] = names[np.argsort(-counts, kind="stable")][:SAMPLES].tolist()
    return tuple(known[codes == code][:SPARE].astype(np.int32) for code in largest)
