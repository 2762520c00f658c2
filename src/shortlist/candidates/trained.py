"""A candidate source that is fitted in training and served from arrays."""

from abc import abstractmethod
from typing import Self

from shortlist.arrays import Arrays
from shortlist.candidates.source import CandidateSource
from shortlist.catalog.table import ItemTable
from shortlist.events.interactions import Interactions
from shortlist.settings import TrainingSettings


class TrainedSource(CandidateSource):
    """Fitted on interactions whose item codes are the positions of `items`.

    `arrays` and `from_arrays` are the whole artifact: plain arrays, saved as .npy and mapped when loaded.
    """

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
