"""A learned map from what is said of an item to its factors, so that what nobody touched yet competes."""

from collections import Counter
from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy import linalg

from shortlist.arrays import Arrays, BoolArray, FloatArray, IntArray
from shortlist.catalog.encoder import packed, unpacked
from shortlist.catalog.item import Item

LEAST_ITEMS = 50  # with interactions and something said of them; below, a map is a guess
MOST_ITEMS = 20_000  # that it learns from: 20k × 629 × 8 bytes are 100 MB
AT_ONCE = 10_000  # items mapped at a time
MOST_NAMES = 500  # categories and brands with a weight of their own
LEAST_NAMED = 3  # items of a category or brand
HELD_OUT = 0.2  # share of items that choose the regularisation
RIDGE = (1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1_000.0)
LIST = 20  # places of a list that predictions are scaled for
SCALES = (0.5, 8.0)
NEW_MS = 28 * 86_400_000  # an item younger than that had little chance to be touched
TRUST = 5.0  # interactions at which an item's own factors weigh as much as the map's


class ColdMap:
    """Ridge regression from [text, categories and brand, 1] to item factors.

    A factor is known the better the more interactions made it, so items weigh n / (n + 5). The regularisation
    is the one that predicts held-out items best. What is predicted is shorter than what is learned, so that
    nothing new would ever be among the best: for new items it is stretched until held-out ones stand in
    people's lists as often as they do by their own factors. What was there and yet not taken is not
    stretched. Source: Gantner et al., ICDM 2010 (attribute-to-factor mappings).
    """

    def __init__(self, names: list[str], weights: FloatArray, scale: float = 1.0) -> None:
        """names: categories and brands with a row. weights: (text + names + 1, factors); (0, factors): no
        map was learned. scale: by how much the factors of new items are stretched."""
        self._names, self.weights, self.scale = names, weights, scale
        self._row = {name: row for row, name in enumerate(names)}

    @classmethod
    def none(cls, factors: int) -> Self:
        """The map that knows nothing."""
        return cls([], np.zeros((0, factors), np.float32))

    @classmethod
    def fit(
        cls,
        items: Sequence[Item | None],
        texts: FloatArray,
        factors: FloatArray,
        counts: NDArray[Any],
        *,
        users: FloatArray,
        seen: BoolArray,
        seed: int,
    ) -> Self:
        """Learn from items with interactions.

        texts: (n, d). factors: (n, f). counts: (n,) interactions. users: (m, f) some users in the factors'
        space. seen: (m, n) what each of them had.
        """
        learned = np.flatnonzero(counts > 0)
        if len(learned) > MOST_ITEMS:  # those whose factors are known best
            learned = np.sort(learned[np.argsort(-counts[learned], kind="stable")[:MOST_ITEMS]])
        known = [items[int(at)] for at in learned]
        bare = cls(_names(known), np.zeros((1, factors.shape[1]), np.float32))
        table = bare._table(known, texts[learned]).astype(np.float64)
        said = table.any(axis=1)
        learned, table = learned[said], table[said]
        if len(learned) < LEAST_ITEMS:
            return cls.none(factors.shape[1])
        sure = trust(counts[learned])[:, None]
        wanted = factors[learned].astype(np.float64)
        held = np.random.default_rng(seed).random(len(learned)) < HELD_OUT

        def predicted(ridge: float) -> NDArray[np.float64]:
            return table[held] @ _solved(table[~held], wanted[~held], sure[~held], ridge)

        def error(ridge: float) -> float:
            return float((sure[held] * (predicted(ridge) - wanted[held]) ** 2).sum())

        ridge = min(RIDGE, key=error)
        scale = _scale(users @ factors[learned].T, users @ predicted(ridge).T, seen[:, learned], held)
        return cls(bare._names, _solved(table, wanted, sure, ridge).astype(np.float32), scale)

    def expected(self, items: Sequence[Item | None], texts: FloatArray) -> FloatArray:
        """(n, f) the mean factors of items of which that is said; zeros where nothing is. texts: (n, d)."""
        found = np.zeros((len(items), self.weights.shape[1]), np.float32)
        if len(self.weights):
            for start in range(0, len(items), AT_ONCE):
                rows = slice(start, start + AT_ONCE)
                found[rows] = self._table(items[rows], texts[rows]) @ self.weights
        return found

    def factors(self, items: Sequence[Item | None], texts: FloatArray) -> FloatArray:
        """(n, f) the factors that new items compete with. texts: (n, d)."""
        return self.expected(items, texts) * np.float32(self.scale)

    def blended(
        self,
        items: Sequence[Item | None],
        texts: FloatArray,
        own: FloatArray,
        counts: NDArray[Any],
        end_ms: float,
    ) -> FloatArray:
        """(n, f) factors of items in training: the map's where nobody touched one, more and more its own.

        own: (n, f) as learned from counts: (n,) interactions. end_ms: the time of the last one.
        """
        expected = self.expected(items, texts)
        sure = np.where(expected.any(axis=1), trust(counts), 1).astype(np.float32)[:, None]
        is_new = np.array([item is not None and item.added_ms > end_ms - NEW_MS for item in items], np.bool_)
        stretched = np.where(is_new, self.scale, 1.0).astype(np.float32)[:, None]
        return sure * own + (1 - sure) * stretched * expected

    def arrays(self) -> Arrays:
        """The artifact."""
        return {
            "cold_names": packed("\n".join(self._names)),
            "cold_weights": self.weights,
            "cold_scale": np.array(self.scale),
        }

    @classmethod
    def from_arrays(cls, arrays: Arrays) -> Self:
        """The map again."""
        names, weights = unpacked(arrays["cold_names"]), arrays["cold_weights"]
        return cls(
            names.split("\n") if names else [],
            weights.astype(np.float32, copy=False),
            float(arrays["cold_scale"]),
        )

    def _table(self, items: Sequence[Item | None], texts: FloatArray) -> FloatArray:
        """(n, text + names + 1) what the map sees."""
        size = texts.shape[1]
        table = np.zeros((len(items), size + len(self._names) + 1), np.float32)
        table[:, :size] = texts
        for number, item in enumerate(items):
            rows = [size + row for name in _named(item) if (row := self._row.get(name)) is not None]
            table[number, rows] = 1 / np.sqrt(max(len(rows), 1))
        table[:, -1] = table.any(axis=1)
        return table


def trust(counts: NDArray[Any]) -> NDArray[np.float64]:
    """(n,) in [0, 1): how much an item's own factors are worth beside those expected of it."""
    return counts / (counts + TRUST)


def taken_among(positions: IntArray, touched: BoolArray) -> NDArray[np.intp]:
    """Which of `positions` are of items that people took. touched: (n,) of those in training."""
    known = np.flatnonzero(positions < len(touched))
    return known[touched[positions[known]]]


def _scale(scores: NDArray[Any], predicted: NDArray[Any], seen: BoolArray, held: BoolArray) -> float:
    """By how much to stretch predictions so that held-out items are as often among the best as by their own.

    scores: (users, n) by own factors. predicted: (users, held-out). seen: (users, n). held: (n,).
    """
    scores = np.where(seen, -np.inf, scores)
    own, rest = _best(scores[:, held]), _best(scores[:, ~held])
    mapped = _best(np.where(seen[:, held], -np.inf, predicted))

    def places(values: NDArray[Any]) -> float:
        """The share of list places that they take from the rest."""
        both = np.concatenate([values, rest], axis=1)
        first = np.argsort(-both, axis=1, kind="stable")[:, :LIST]
        return float((first < values.shape[1]).mean())

    wanted, low, high = places(own), *SCALES
    for _ in range(20):
        middle = (low * high) ** 0.5
        low, high = (middle, high) if places(mapped * middle) < wanted else (low, middle)
    return float((low * high) ** 0.5)


def _best(values: NDArray[Any]) -> NDArray[Any]:
    """(users, ≤ LIST) the largest of each row."""
    size = min(LIST, values.shape[1])
    return -np.partition(-values, size - 1, axis=1)[:, :size] if size else values


def _solved(
    table: NDArray[np.float64], wanted: NDArray[np.float64], sure: NDArray[np.float64], ridge: float
) -> NDArray[np.float64]:
    left = table.T @ (sure * table)
    left[np.diag_indices_from(left)] += ridge
    left[-1, -1] -= ridge * (1 - 1e-6)  # the mean is not shrunk
    solved: NDArray[np.float64] = linalg.solve(left, table.T @ (sure * wanted), assume_a="pos")
    return solved


def _names(items: Sequence[Item | None]) -> list[str]:
    counts = Counter(name for item in items for name in _named(item))
    often = [(name, count) for name, count in counts.most_common(MOST_NAMES) if count >= LEAST_NAMED]
    return sorted(name for name, _ in often)


def _named(item: Item | None) -> set[str]:
    """Categories and brand, told apart; line breaks would tear the artifact's list."""
    if item is None:
        return set()
    names = {f"category {name}" for name in item.categories}
    if item.brand:
        names.add(f"brand {item.brand}")
    return {name.replace("\n", " ") for name in names}
