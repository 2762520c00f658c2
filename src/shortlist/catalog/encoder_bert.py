"""BERT of an item's words: knows that a teapot is near a kettle though they share none.

The network comes from a local model folder (see catalog/bert_export.py), runs in ONNX Runtime, and its mean
vector is reduced to the main directions of the catalog at training.
"""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from shortlist.arrays import Arrays, FloatArray
from shortlist.catalog.bert_export import NETWORK, TOKENIZER, BertMissing
from shortlist.catalog.encoder import Encoder, EncoderError, packed, unit, unpacked
from shortlist.catalog.item import Item

KIND = "bert"
MOST_TOKENS = 128  # of an item: time grows with the longest of a batch
MOST_LETTERS = 2_000  # of a description: more than fit into so many tokens
BATCH = 32
FITTED_ON = 5_000  # items that the directions are taken from: 384 of them need no more


class Bert:
    """The network and its tokenizer: texts to their mean token vector. Thread-safe."""

    def __init__(self, folder: Path, threads: int) -> None:
        """folder: as `bert_export.exported` made it. threads: 0 for all cores.

        Raises BertMissing naming the extra, EncoderError naming the file.
        """
        try:
            from tokenizers import Tokenizer
        except ImportError:
            raise BertMissing("tokenizers") from None
        import onnxruntime

        self.digest = folder.name
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        # Threads that wait spinning for each other made one item take 90 ms instead of 24 on a busy machine.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        try:
            self._tokenizer: Any = Tokenizer.from_file(str(folder / TOKENIZER))
            self._session = onnxruntime.InferenceSession(
                str(folder / NETWORK), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # both libraries raise plain Exceptions of their own making
            raise EncoderError(f"{folder}: no exported BERT ({error}); remove the folder and train") from None
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(MOST_TOKENS)
        self.size = int(self._session.get_outputs()[0].shape[-1])

    def vectors(self, texts: Sequence[str]) -> FloatArray:
        """(len(texts), size) unit rows; zeros for a text of nothing."""
        found = np.zeros((len(texts), self.size), np.float32)
        filled = [row for row, text in enumerate(texts) if text]
        tokens = [encoding.ids for encoding in self._tokenizer.encode_batch([texts[row] for row in filled])]
        # Those of about one length together: padding is work too.
        order = sorted(range(len(filled)), key=lambda n: len(tokens[n]))
        for start in range(0, len(order), BATCH):
            batch = order[start : start + BATCH]
            found[[filled[n] for n in batch]] = self.pooled([tokens[n] for n in batch])
        return unit(found)

    def pooled(self, tokens: Sequence[Sequence[int]]) -> FloatArray:
        """(len(tokens), size) the mean of each text's token vectors."""
        longest = max(len(ids) for ids in tokens)
        ids, mask = (np.zeros((len(tokens), longest), np.int32) for _ in range(2))
        for row, own in enumerate(tokens):
            ids[row, : len(own)] = own
            mask[row, : len(own)] = 1
        inputs = {"token_ids": ids, "padding_mask": mask, "segment_ids": np.zeros_like(ids)}
        (states,) = self._session.run(None, inputs)
        weights: FloatArray = (mask / mask.sum(axis=1, keepdims=True)).astype(np.float32)
        return np.asarray(np.einsum("btf,bt->bf", states, weights), np.float32)


class BertEncoder(Encoder):
    """What BERT makes of title, description, categories and brand, in the catalog's main directions."""

    def __init__(self, bert: Bert, mean: FloatArray, directions: FloatArray) -> None:
        """mean: (size,) of the catalog: what all have in common tells nothing. directions: (size, dim)."""
        self._bert, self._mean, self._directions = bert, mean, directions
        self.dim = directions.shape[1]
        digest = hashlib.sha256(mean.tobytes() + directions.tobytes()).hexdigest()
        self.name = f"{KIND}:{bert.digest}:{digest[:12]}"

    @classmethod
    def fit(cls, items: Sequence[Item | None], dim: int, seed: int, bert: Bert) -> Self:
        """Take the mean and the directions of a catalog; fewer than `dim` where it has no more items."""
        texts = [text for item in items if (text := said(item))]
        if len(texts) > FITTED_ON:
            some = np.random.default_rng(seed).permutation(len(texts))[:FITTED_ON]
            texts = [texts[int(at)] for at in np.sort(some)]
        size = min(dim, bert.size, len(texts) - 1)
        if size < 1:
            return cls(bert, np.zeros(bert.size, np.float32), np.zeros((bert.size, 1), np.float32))
        vectors = bert.vectors(texts).astype(np.float64)
        mean = vectors.mean(axis=0)
        centred = vectors - mean
        _, directions = np.linalg.eigh(centred.T @ centred)
        main: NDArray[Any] = directions[:, ::-1][:, :size]
        return cls(bert, mean.astype(np.float32), np.ascontiguousarray(main, np.float32))

    def encode(self, items: Sequence[Item | None]) -> FloatArray:
        """See `Encoder.encode`. About 3 ms for one item; see `make bench-encode`."""
        vectors = self._bert.vectors([said(item) for item in items])
        filled = vectors.any(axis=1, keepdims=True)
        return unit(np.where(filled, (vectors - self._mean) @ self._directions, 0).astype(np.float32))

    def arrays(self) -> Arrays:
        """See `Encoder.arrays`. The network itself stays in the home's folder of encoders."""
        return {"name": packed(self.name), "mean": self._mean, "directions": self._directions}

    @classmethod
    def from_arrays(cls, arrays: Arrays, encoders: Path, threads: int) -> Self:
        """The encoder again. encoders: the home's folder of exported networks.

        Raises KeyError when an array is missing, EncoderError when the network is.
        """
        digest = unpacked(arrays["name"]).split(":")[1]
        mean, directions = (arrays[name].astype(np.float32, copy=False) for name in ("mean", "directions"))
        return cls(Bert(encoders / digest, threads), mean, directions)


def said(item: Item | None) -> str:
    """An item as a sentence or two.

    >>> said(Item(item_id="a", title="Kettle", categories=("Tea", "Kitchen"), brand="Kaldera"))
    'Kettle. Tea, Kitchen. Kaldera'
    """
    if item is None:
        return ""
    parts = (item.title, item.description[:MOST_LETTERS], ", ".join(item.categories), item.brand or "")
    return ". ".join(part.strip() for part in parts if part.strip())
