"""The port of the text encoder (flow 10): what is said of an item, as a vector.

Fitted in training, kept in the model's artifacts as plain arrays, so that an item added an hour later is
encoded into the very space that the model was trained in.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shortlist.arrays import Arrays, FloatArray
from shortlist.catalog.item import Item
from shortlist.errors import ShortlistError


class EncoderError(ShortlistError):
    """Items cannot be encoded: a part of the encoder is missing or unreadable."""


class Encoder(ABC):
    """Items to unit vectors. Blocking, so never on the event loop; any number of threads may encode.

    name: which vectors these are: two encoders of one name give equal vectors, whatever the process.
    dim: length of a vector.
    """

    name: str
    dim: int

    @abstractmethod
    def encode(self, items: Sequence[Item | None]) -> FloatArray:
        """(len(items), dim) rows of length 1; zeros where there is no item or nothing known is said of it.

        A row depends on its own item alone, up to rounding. Raises EncoderError.
        """

    @abstractmethod
    def arrays(self) -> Arrays:
        """What makes the encoder again: plain arrays, `name` among them."""


def unit(vectors: NDArray[Any]) -> FloatArray:
    """Rows scaled to length 1; those of next to nothing become zeros."""
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    found = np.zeros(vectors.shape, np.float32)
    np.divide(vectors, norms, out=found, where=norms > 1e-9)
    return found


def packed(text: str) -> NDArray[np.uint8]:
    """Text as an array, for artifacts.

    >>> unpacked(packed("thé"))
    'thé'
    """
    return np.frombuffer(text.encode(), np.uint8)


def unpacked(array: NDArray[Any]) -> str:
    """The text again. Raises ValueError when it is none."""
    return bytes(np.asarray(array, np.uint8)).decode()
