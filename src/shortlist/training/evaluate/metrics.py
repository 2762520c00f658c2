"""What a ranked list is worth to somebody who wanted certain items."""

import numpy as np

from shortlist.arrays import IntArray


def measure(ranked: IntArray, relevant: IntArray, cuts: tuple[int, ...]) -> dict[str, float]:
    """HR, NDCG, Recall and MRR at each cut, by name ("NDCG@10").

    ranked: (k,) positions, best first. relevant: (m,) distinct positions, at least one.
    HR: whether any relevant item is within the cut. NDCG: binary gains, against the best list possible.
    Recall: the share of the relevant items. MRR: 1 / rank of the first relevant one, 0 beyond the cut.

    >>> measure(np.array([7, 3, 9], np.int32), np.array([3], np.int32), (2,))["MRR@2"]
    0.5
    """
    hits = np.isin(ranked[: max(cuts)], relevant)
    gains = hits / np.log2(np.arange(2, len(hits) + 2))
    first = int(hits.argmax()) + 1 if hits.any() else 0
    values: dict[str, float] = {}
    for cut in cuts:
        ideal = (1 / np.log2(np.arange(2, min(cut, len(relevant)) + 2))).sum()
        values[f"HR@{cut}"] = float(hits[:cut].any())
        values[f"NDCG@{cut}"] = float(gains[:cut].sum() / ideal)
        values[f"Recall@{cut}"] = float(hits[:cut].sum() / len(relevant))
        values[f"MRR@{cut}"] = 1 / first if 0 < first <= cut else 0.0
    return values


def mean(values: list[dict[str, float]]) -> dict[str, float]:
    """The mean of each figure over cases; empty for no case."""
    return {name: float(np.mean([v[name] for v in values])) for name in values[0]} if values else {}
