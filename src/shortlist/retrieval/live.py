"""A vector index that takes new items while it is searched (flow 10).

HNSW has no delete, and no add that is safe beside searches. So the graph stays as it was built; what came,
changed or went since lies beside it, in a part small enough to be looked at in full.
"""

from dataclasses import dataclass
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shortlist.arrays import Arrays, BoolArray, FloatArray, IntArray
from shortlist.retrieval.index import Index, VectorIndex
from shortlist.retrieval.top import within


@dataclass(frozen=True, slots=True)
class _State:
    """All that a search reads, replaced as a whole.

    positions, vectors, serials: (m,), (m, d), (m,) what is beside the base, a row of zeros being a tombstone,
    and the number of the change that put it there. where: (any size,) row of a position, -1: not beside.
    replaced: (len(base),) what the base must no longer say; None: nothing.
    """

    base: VectorIndex
    positions: IntArray
    vectors: FloatArray
    serials: NDArray[np.int64]
    where: IntArray
    replaced: BoolArray | None
    size: int


class LiveIndex(Index):
    """An immutable base, a flat part of what is new, tombstones; searched as one.

    Any number of threads may search while one after the other changes: each search sees all of a change or
    nothing of it. A change copies the flat part (0.1 ms at 1,000 × 128); `rebuilt` and `rebase` empty it.
    """

    def __init__(self, base: VectorIndex) -> None:
        nothing = np.empty(0, np.int32)
        self._state = _State(
            base,
            nothing,
            np.empty((0, base.dim), np.float32),
            np.empty(0, np.int64),
            nothing,
            None,
            len(base),
        )
        self._serial = 0
        self._changing = Lock()

    @property
    def base(self) -> VectorIndex:
        """What was built last."""
        return self._state.base

    @property
    def beside(self) -> int:
        """How many items lie beside the base: what every search looks at in full."""
        return len(self._state.positions)

    @property
    def serial(self) -> int:
        """The number of the last change."""
        return self._serial

    @property
    def dim(self) -> int:
        """Length of a vector."""
        return self.base.dim

    @property
    def is_exact(self) -> bool:
        """Whether a search looks at every vector."""
        return self.base.is_exact

    def __len__(self) -> int:
        return self._state.size

    def put(self, positions: IntArray, vectors: FloatArray) -> None:
        """Add items or replace what is known of them; a row of zeros removes its item.

        positions: (k,) distinct. vectors: (k, d). Raises ValueError when the shapes disagree.
        """
        vectors = np.asarray(vectors, np.float32)
        if vectors.shape != (len(positions), self.dim):
            raise ValueError(f"{len(positions)} positions of {self.dim} numbers, got {vectors.shape}")
        with self._changing:
            state = self._state
            self._serial += 1
            kept = ~np.isin(state.positions, positions)
            self._state = _placed(
                state.base,
                np.concatenate([state.positions[kept], positions]).astype(np.int32),
                np.concatenate([state.vectors[kept], vectors]),
                np.concatenate([state.serials[kept], np.full(len(positions), self._serial, np.int64)]),
            )

    def remove(self, positions: IntArray) -> None:
        """Take items out; those that it does not hold are no matter."""
        self.put(positions, np.zeros((len(positions), self.dim), np.float32))

    def rebuilt(self, *, threads: int = 0, exact_below: int | None = None) -> tuple[VectorIndex, int]:
        """A new base of all that is known now, and the number of the last change in it. Takes as long as
        building an index does; searches and changes go on."""
        with self._changing:
            state, serial = self._state, self._serial
        vectors = _rows(state, np.arange(state.size, dtype=np.int32))
        how: dict[str, Any] = {} if exact_below is None else {"exact_below": exact_below}
        return VectorIndex.over(vectors, threads=threads, **how), serial

    def rebase(self, base: VectorIndex, serial: int) -> None:
        """Search in `base` from now on, which holds all changes up to `serial`: they leave the flat part."""
        with self._changing:
            state = self._state
            later = state.serials > serial
            self._state = _placed(base, state.positions[later], state.vectors[later], state.serials[later])

    def arrays(self) -> Arrays:
        """The base's artifact."""
        return self.base.arrays()

    def search(
        self, vector: FloatArray, limit: int, *, allowed: BoolArray | None = None, spare: int = 0
    ) -> tuple[IntArray, FloatArray]:
        """See `Index`."""
        state = self._state
        if not len(state.positions):
            return state.base.search(vector, limit, allowed=allowed, spare=spare)
        mask = allowed
        if state.replaced is not None:
            mask = ~state.replaced
            if allowed is not None:
                size = min(len(allowed), len(mask))
                mask[:size] &= allowed[:size]
                mask[size:] = False
            # An item whose words changed a little lies where it lay: the graph finds its old row in vain.
            spare += min(limit, len(state.positions))
        positions, values = state.base.search(vector, limit, allowed=mask, spare=spare)
        beside = state.vectors @ vector
        good = beside > 0
        if allowed is not None:
            good &= within(state.positions, allowed)
        positions = np.concatenate([positions, state.positions[good]])
        values = np.concatenate([values, beside[good]])
        order = np.lexsort((positions, -values))[:limit]
        return positions[order], values[order]

    def rows(self, positions: IntArray) -> FloatArray:
        """See `Index`."""
        return _rows(self._state, positions)

    def products(self, vector: FloatArray, positions: IntArray) -> FloatArray:
        """See `Index`."""
        state = self._state
        if not len(state.positions):
            return state.base.products(vector, positions)
        return _rows(state, positions) @ vector


def _placed(
    base: VectorIndex, positions: IntArray, vectors: FloatArray, serials: NDArray[np.int64]
) -> _State:
    size = max(len(base), int(positions.max(initial=-1)) + 1)
    where = np.full(size, -1, np.int32)
    where[positions] = np.arange(len(positions), dtype=np.int32)
    replaced = where[: len(base)] >= 0
    return _State(base, positions, vectors, serials, where, replaced if replaced.any() else None, size)


def _rows(state: _State, positions: IntArray) -> FloatArray:
    rows = state.base.rows(positions)
    if len(state.positions):
        inside = positions < state.size
        at = state.where[np.where(inside, positions, 0)]
        beside = inside & (at >= 0)
        if beside.any():
            rows[beside] = state.vectors[at[beside]]
    return rows
