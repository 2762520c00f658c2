"""A candidate source that is fitted in training and served from arrays."""

from abc import abstractmethod
from typing import Self

import numpy as np

from shortlist.arrays import Arrays, FloatArray, IntArray
from shortlist.candidates.source import CandidateSource, Query
from shortlist.catalog.table import ItemTable
from shortlist.events.interactions import Interactions
from shortlist.settings import TrainingSettings


class TrainedSource(CandidateSource):
    """Fitted on interactions whose item codes are the positions of `items`.

    `arrays` and `from_arrays` are the whole artifact: plain arrays, saved as .npy and mapped when loaded.
    `signal_names` are further values it knows of a candidate, beside its score: features of the ranker.
    """

    signal_names: tuple[str, ...] = ()

    @classmethod
    @abstractmethod
    def fit(cls, data: Interactions, items: ItemTable, settings: TrainingSettings) -> Self:
        """Learn from everything in `data`; the caller cuts it at the time that may be known."""

    @abstractmethod
    def arrays(self) -> Arrays:
        """What `from_arrays` needs to answer alike."""

    @classmethod
    @abstractmethod
    def from_arrays(cls, arrays: Arrays) -> Self:
        """The fitted source again. Raises KeyError when an array is missing."""

    def signals(self, query: Query, positions: IntArray) -> FloatArray:
        """(len(positions), len(signal_names)): its signals of each position; 0 where it knows nothing."""
        return np.zeros((len(positions), len(self.signal_names)), np.float32)
