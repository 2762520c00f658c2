"""What a ranker's trees stand on: the blend's sum, who they say nothing of, and the lead of new items."""

from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np

from shortlist.arrays import BoolArray, FloatArray
from shortlist.ranking.blend import Blend
from shortlist.training.rows import Rows, ndcg

# Trees say nothing of pasts so short that training saw fewer cases of them than that, nor one in four of all.
# In a gift shop, where a past of up to ten items is one case in ten, they lost to the blend there
# (NDCG@10 .067 and .072 of people whom no model knew), though they gained a fifth on everybody else. Longer
# pasts are theirs anyhow.
ENOUGH, FEW, SHORT = 250, 4, 10
LEADS = np.arange(1, 16) / 10  # to choose from, in what adds up to the logarithm of odds
COST = 0.001  # of NDCG@20 that a lead may cost, as a share: far below what another seed does
CUT = 20


@dataclass(frozen=True, slots=True)
class Ground:
    """score = Σ weight × column + lead where nobody touched the item + the trees where the past is longer.

    names: the columns. weights: (columns,). quiet: the longest past of which the trees say nothing.
    """

    names: tuple[str, ...]
    weights: FloatArray
    quiet: int = 0
    lead: float = 0.0

    @classmethod
    def of(cls, blend: Blend, names: tuple[str, ...], quiet: int) -> Self:
        """The blend's own sum, without its lead.

        From there a handful of trees does what hundreds of customers bear out; from nothing they made worse
        lists of short pasts than the blend itself (NDCG@10 .049 and .055)."""
        weights = np.zeros(len(names), np.float32)
        for source, weight in blend.weights.items():
            if f"{source}:share" in names:
                weights[names.index(f"{source}:share")] = weight
        return cls(names, weights, quiet)

    def leading(self, lead: float) -> Self:
        """The same with that lead."""
        return replace(self, lead=lead)

    def start(self, features: FloatArray) -> FloatArray:
        """(rows,) the sum that trees learn to add to."""
        started: FloatArray = features @ self.weights
        return started

    def scores(self, features: FloatArray, added: FloatArray) -> FloatArray:
        """(rows,) all of it. added: (rows,) what the trees say."""
        total = self.start(features)
        if self.lead:
            total = total + self.lead * untouched(features, self.names)
        if self.quiet:
            added = np.where(features[:, self.names.index("history")] > self.quiet, added, 0)
        return np.asarray(total + added, np.float32)

    def onto(self, model: Any) -> None:
        """Put the same into the graph of an ONNX model of the trees."""
        from onnx import TensorProto, helper, numpy_helper

        graph = model.graph
        last, out = graph.node[-1], graph.output[0].name
        last.output[0] = "trees"

        def constant(name: str, value: Any) -> str:
            graph.initializer.append(numpy_helper.from_array(np.asarray(value), name))
            return name

        def node(kind: str, inputs: list[str], output: str, **options: Any) -> str:
            graph.node.append(helper.make_node(kind, inputs, [output], **options))
            return output

        def where(column: str, is_greater: bool, than: float, times: str, to: str) -> str:
            """`times` where a column is greater than a number (or is not), 0 elsewhere."""
            at = constant(f"{to}_at", np.array([self.names.index(column)]))
            value = node("Gather", ["features", at], f"{to}_value", axis=1)
            marked = node("Greater", [value, constant(f"{to}_than", np.float32(than))], f"{to}_marked")
            if not is_greater:
                marked = node("Not", [marked], f"{to}_unmarked")
            one = node("Cast", [marked], f"{to}_one", to=TensorProto.FLOAT)
            return node("Mul", [one, times], to)

        added = "trees"
        if self.quiet:
            added = where("history", True, self.quiet, "trees", "heard")
        total = node("MatMul", ["features", constant("weights", self.weights[:, None])], "start")
        if self.lead:
            ahead = where("popular", False, 0.0, constant("lead", np.float32(self.lead)), "ahead")
            total = node("Add", [total, ahead], "led")
        node("Add", [added, total], out)


def untouched(features: FloatArray, names: tuple[str, ...]) -> BoolArray:
    """(rows,) whether nobody took the item before its models were made."""
    marked: BoolArray = features[:, names.index("popular")] <= 0
    return marked


def lead_of(rows: Rows, scores: FloatArray, names: tuple[str, ...], most: float) -> float:
    """The lead of items that nobody touched: the largest that costs nobody anything.

    With it they take at most a share `most` of the first 20 places, and NDCG@20 of the rows loses at most a
    thousandth. How far up they stand hardly shows in what is learned from, they are few, so that without it
    another seed found two or three times as many of them, or as few. scores: (rows,) without it."""
    new = untouched(rows.features, names)
    best = 0.0
    if not new.any():
        return best
    least = (1 - COST) * ndcg(rows, scores, CUT)
    for lead in LEADS:
        ahead = np.asarray(scores + lead * new, np.float32)
        if _places(rows, ahead, new) > most or ndcg(rows, ahead, CUT) < least:
            break
        best = float(lead)
    return best


def _places(rows: Rows, scores: FloatArray, marked: BoolArray) -> float:
    """The share of the first places that marked rows take."""
    taken = [
        marked[part][np.argsort(-scores[part], kind="stable")[:CUT]].mean()
        for part in rows.parts()
        if part.stop > part.start
    ]
    return float(np.mean(taken)) if taken else 0.0


def quiet_of(learn: Rows, names: tuple[str, ...]) -> int:
    """The longest past of which trees have too little to say. learn: what they learn from."""
    starts = np.cumsum(learn.groups) - learn.groups
    lengths = np.sort(learn.features[starts, names.index("history")])
    enough = min(ENOUGH, len(lengths) // FEW)
    return min(SHORT, int(lengths[enough - 1]) - 1) if enough else SHORT
