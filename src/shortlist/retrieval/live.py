"""A vector index that takes new items while it is searched (flow 10).

Nothing in FAISS may change beside searches. So what was built stays as it is; what came, changed or went
since lies beside it, in a part small enough to be looked at in full.
"""

from dataclasses import dataclass
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shortlist.arrays import Arrays, BoolArray, FloatArray, IntArray
from shortlist.retrieval.index import Index, VectorIndex
from shortlist.retrieval.top import within

CODES_OFF = 0.05  # by how much a value of 8-bit codes is off at most; 1 % is usual
LEAST = 64  # rows that the flat part has room for at first


@dataclass(frozen=True, slots=True)
class _State:
    """All that a search reads, replaced as a whole.

    positions, vectors, serials: (m,), (m, d), (m,) what lies beside the base, a row of zeros being a
    tombstone, and the number of the change that put it there: views of longer arrays, whose free rows the
    next change fills. alive: (m,) not yet replaced by a later row. where: (size,) row of a position, -1:
    none. replaced: (len(base),) what the base must no longer say; None: nothing.
    """

    base: VectorIndex
    positions: IntArray
    vectors: FloatArray
    serials: NDArray[np.int64]
    alive: BoolArray
    where: IntArray
    replaced: BoolArray | None

    @property
    def size(self) -> int:
        """One past the last position."""
        return len(self.where)


class LiveIndex(Index):
    """An immutable base, a flat part of what is new, tombstones; searched as one.

    Any number of threads may search while one after the other changes: each search sees all of a change or
    nothing of it. The flat part is looked at in full; `rebuilt` and `rebase` empty it. Where something of it
    is found, values are exact, so that a new item is not judged by another measure than its neighbours.
    """

    def __init__(self, base: VectorIndex) -> None:
        self._start(base, np.empty(0, np.int32), np.empty((0, base.dim), np.float32), np.empty(0, np.int64))
        self._serial = 0
        self._changing = Lock()

    @property
    def base(self) -> VectorIndex:
        """What was built last."""
        return self._state.base

    @property
    def beside(self) -> int:
        """How many items lie beside the base: what every search looks at in full."""
        return int(self._state.alive.sum())

    @property
    def serial(self) -> int:
        """How many changes it has taken in."""
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
            state, k = self._state, len(positions)
            self._serial += 1
            m = len(state.positions)
            if m + k > len(self._vectors):
                lives = state.alive
                self._start(
                    state.base, state.positions[lives], state.vectors[lives], state.serials[lives], room=k
                )
                state = self._state
                m = len(state.positions)
            # Rows beyond m belong to no search yet.
            self._positions[m : m + k], self._vectors[m : m + k] = positions, vectors
            self._serials[m : m + k] = self._serial
            alive = np.concatenate([state.alive, np.ones(k, np.bool_)])
            size = max(state.size, int(positions.max(initial=-1)) + 1)
            where = np.full(size, -1, np.int32)
            where[: state.size] = state.where
            before = where[positions]
            alive[before[before >= 0]] = False
            where[positions] = np.arange(m, m + k, dtype=np.int32)
            self._show(state.base, m + k, alive, where)

    def rebuilt(self, *, threads: int = 0, exact_below: int | None = None) -> tuple[VectorIndex, int]:
        """A new base of all that is known now, and the number of the last change in it. Takes as long as
        building an index does; searches and changes go on."""
        with self._changing:
            state, serial = self._state, self._serial
        vectors = _rows(state, np.arange(state.size, dtype=np.int32))
        how: dict[str, Any] = {} if exact_below is None else {"exact_below": exact_below}
        return VectorIndex.over(vectors, threads=threads, probes=state.base.probes, **how), serial

    def rebase(self, base: VectorIndex, serial: int) -> None:
        """Search in `base` from now on, which holds all changes up to `serial`: they leave the flat part."""
        with self._changing:
            state = self._state
            later = state.alive & (state.serials > serial)
            self._start(base, state.positions[later], state.vectors[later], state.serials[later])

    def arrays(self) -> Arrays:
        """The base's artifact."""
        return self.base.arrays()

    def search(
        self, vector: FloatArray, limit: int, *, allowed: BoolArray | None = None
    ) -> tuple[IntArray, FloatArray]:
        """See `Index`."""
        state = self._state
        if not len(state.positions):
            return state.base.search(vector, limit, allowed=allowed)
        mask = allowed
        if state.replaced is not None:
            mask = ~state.replaced
            if allowed is not None:
                size = min(len(allowed), len(mask))
                mask[:size] &= allowed[:size]
                mask[size:] = False
        positions, values = state.base.search(vector, limit, allowed=mask)
        beside = state.vectors @ vector
        good = state.alive & (beside > 0)
        if allowed is not None:
            good &= within(state.positions, allowed)
        if len(positions) >= limit > 0:  # only those that may displace somebody
            good &= beside >= (1 - CODES_OFF) * values[-1]
        if not good.any():
            return positions, values
        if not state.base.is_exact:  # values of 8-bit codes say too little of who comes first
            values = state.base.products(vector, positions)
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

    def _start(
        self,
        base: VectorIndex,
        positions: IntArray,
        vectors: FloatArray,
        serials: NDArray[np.int64],
        *,
        room: int = 0,
    ) -> None:
        """New arrays with these rows and room for more."""
        m = len(positions)
        most = max(LEAST, 2 * (m + room))
        self._positions = np.empty(most, np.int32)
        self._vectors = np.empty((most, base.dim), np.float32)
        self._serials = np.empty(most, np.int64)
        self._positions[:m], self._vectors[:m], self._serials[:m] = positions, vectors, serials
        where = np.full(max(len(base), int(positions.max(initial=-1)) + 1), -1, np.int32)
        where[positions] = np.arange(m, dtype=np.int32)
        self._show(base, m, np.ones(m, np.bool_), where)

    def _show(self, base: VectorIndex, m: int, alive: BoolArray, where: IntArray) -> None:
        replaced = where[: len(base)] >= 0
        self._state = _State(
            base,
            self._positions[:m],
            self._vectors[:m],
            self._serials[:m],
            alive,
            where,
            replaced if replaced.any() else None,
        )


def _rows(state: _State, positions: IntArray) -> FloatArray:
    rows = state.base.rows(positions)
    if len(state.positions):
        inside = positions < state.size
        at = state.where[np.where(inside, positions, 0)]
        beside = inside & (at >= 0)
        if beside.any():
            rows[beside] = state.vectors[at[beside]]
    return rows
