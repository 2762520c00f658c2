"""TF-IDF of an item's words, reduced by SVD: needs nothing but the catalog itself."""

import hashlib
import re
from array import array
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from shortlist.arrays import Arrays, FloatArray
from shortlist.catalog.encoder import Encoder, packed, unit, unpacked
from shortlist.catalog.item import Item
from shortlist.singular import right_singular

MOST_WORDS = 50_000
MOST_LETTERS = 2_000  # of a description: what follows is seldom about this item alone
FITTED_ON = 50_000  # items at most: more of them move the directions little and cost their share of time
_WORD = re.compile(r"\w\w+")


class TfidfEncoder(Encoder):
    """Words weighted by rarity and mapped to the catalog's main directions (latent semantic analysis)."""

    def __init__(self, words: list[str], idf: FloatArray, components: FloatArray) -> None:
        """words: (v,) in the order of the rows. idf: (v,). components: (v, d), a word's vector a row."""
        self._words, self._idf, self._components = words, idf, components
        self._row = {word: row for row, word in enumerate(words)}
        self.dim = components.shape[1]
        digest = hashlib.sha256(b"".join((" ".join(words).encode(), idf.tobytes(), components.tobytes())))
        self.name = f"tfidf:{digest.hexdigest()[:12]}"

    @classmethod
    def fit(cls, items: Sequence[Item | None], dim: int, seed: int) -> Self:
        """Learn words and directions of a catalog; fewer than `dim` where it has no more.

        A catalog without words gives vectors of one zero.
        """
        texts = _some([text for item in items if (text := words(item)).strip()], seed)
        counts = [Counter(_tokens(text)) for text in texts]
        frequency: Counter[str] = Counter()
        total: Counter[str] = Counter()
        for count in counts:
            frequency.update(count.keys())
            total.update(count)
        least = 2 if len(texts) > 100 else 1  # a word of one item says nothing of another
        often = [word for word, items_with in frequency.items() if items_with >= least]
        often = sorted(sorted(often, key=lambda word: (-total[word], word))[:MOST_WORDS])
        idf = np.array([np.log((1 + len(texts)) / (1 + frequency[word])) + 1 for word in often], np.float32)
        nothing = cls([], np.zeros(0, np.float32), np.zeros((0, 1), np.float32))
        size = min(dim, len(often) - 1, len(texts) - 1)
        if size < 1:
            return nothing
        bare = cls(often, idf, np.zeros((len(often), 1), np.float32))
        return cls(often, idf, right_singular(bare._weighted(counts), size, seed))

    def encode(self, items: Sequence[Item | None]) -> FloatArray:
        """See `Encoder.encode`. About 0.05 ms an item."""
        if not self._words or not items:
            return np.zeros((len(items), self.dim), np.float32)
        table = self._weighted(Counter(_tokens(words(item))) for item in items)
        return unit(np.asarray(table @ self._components, np.float32))

    def arrays(self) -> Arrays:
        """See `Encoder.arrays`."""
        return {
            "name": packed(self.name),
            "words": packed("\n".join(self._words)),
            "idf": self._idf,
            "components": self._components,
        }

    @classmethod
    def from_arrays(cls, arrays: Arrays) -> Self:
        """The encoder again. Raises KeyError when an array is missing."""
        text = unpacked(arrays["words"])
        idf, components = (arrays[name].astype(np.float32, copy=False) for name in ("idf", "components"))
        return cls(text.split("\n") if text else [], idf, components)

    def _weighted(self, counts: Iterable[Counter[str]]) -> Any:
        """(texts, v) sparse rows of length 1: (1 + ln tf) × idf."""
        columns, values, ends = array("i"), array("f"), array("i", [0])
        find = self._row.get
        for count in counts:
            for word, times in count.items():
                column = find(word)
                if column is not None:
                    columns.append(column)
                    values.append(times)
            ends.append(len(columns))
        rows: NDArray[np.int32] = np.frombuffer(columns, np.int32) if columns else np.empty(0, np.int32)
        times_: FloatArray = np.frombuffer(values, np.float32) if values else np.empty(0, np.float32)
        weights = (1 + np.log(times_)) * self._idf[rows]
        pointers = np.frombuffer(ends, np.int32)
        of = np.repeat(np.arange(len(pointers) - 1), np.diff(pointers))
        norms = np.sqrt(np.bincount(of, weights * weights, len(pointers) - 1))
        weights = (weights / norms[of]).astype(np.float32)
        return sparse.csr_matrix((weights, rows, pointers), shape=(len(pointers) - 1, len(self._words)))


def words(item: Item | None) -> str:
    """What is said of an item, as one text; categories and brand as words of their own kind.

    >>> words(Item(item_id="a", title="Kettle", categories=("Tea & Coffee",), brand="Kaldera"))
    'Kettle  category_tea___coffee brand_kaldera'
    """
    if item is None:
        return ""
    labels = [f"category_{_label(name)}" for name in item.categories]
    brand = [f"brand_{_label(item.brand)}"] if item.brand else []
    return " ".join([item.title, item.description[:MOST_LETTERS], *labels, *brand])


def _tokens(text: str) -> list[str]:
    return _WORD.findall(text.lower())


def _label(name: str) -> str:
    return "".join(letter if letter.isalnum() else "_" for letter in name.lower())


def _some(texts: list[str], seed: int) -> list[str]:
    if len(texts) <= FITTED_ON:
        return texts
    return [texts[i] for i in np.sort(np.random.default_rng(seed).permutation(len(texts))[:FITTED_ON])]
