"""What new users are served from, made once per model: the survey and the long tail of each category."""

import numpy as np

from shortlist.arrays import FloatArray
from shortlist.catalog.table import ItemTable
from shortlist.coldstart.long_tail import LongTail, long_tail
from shortlist.coldstart.survey import Survey, survey

GREW = 1.1  # how much larger the catalog may be before both are made anew


class Prepared:
    """Made when first asked for (a swap asks, so that no user waits) and kept. Thread-safe: a race makes them
    twice, alike."""

    def __init__(
        self, table: ItemTable, popularity: FloatArray | None = None, vectors: FloatArray | None = None
    ) -> None:
        """popularity, vectors: of the model's items; None where there is none."""
        self._table, self._vectors = table, vectors
        self._popularity = np.zeros(0, np.float32) if popularity is None else popularity
        self._made: tuple[int, LongTail, Survey] | None = None

    @property
    def size(self) -> int:
        """How large the table was when both were made; 0: they are not, yet."""
        made = self._made
        return made[0] if made is not None else 0

    def long_tail(self) -> LongTail:
        """What explores."""
        return self._now()[1]

    def survey(self) -> Survey:
        """What is asked."""
        return self._now()[2]

    def _now(self) -> tuple[int, LongTail, Survey]:
        made, size = self._made, len(self._table)
        if made is None or size > GREW * made[0]:
            made = self._made = (
                size,
                long_tail(self._table, self._popularity),
                survey(self._table, self._popularity, self._vectors),
            )
        return made
