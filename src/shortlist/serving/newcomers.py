"""Bringing items that training has not seen, or not with these words, to the sources that know items by
vectors (flow 10): encoded off the event loop, stored, searchable within a second.

One thread encodes, what somebody changed just now before what a start finds to do; another builds indexes.
"""

import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Protocol

import msgspec
import numpy as np
import structlog
from numpy.typing import NDArray

from shortlist.arrays import Arrays, FloatArray, IntArray
from shortlist.candidates.content import Content
from shortlist.candidates.vectors import VectorSource
from shortlist.catalog.embeddings import Embedding, digest
from shortlist.catalog.encoder import Encoder
from shortlist.catalog.item import Item
from shortlist.catalog.store import Change
from shortlist.errors import ShortlistError
from shortlist.models.model import Model
from shortlist.ops import telemetry
from shortlist.retrieval.index import VectorIndex
from shortlist.retrieval.live import LiveIndex
from shortlist.retrieval.saved import IndexCorrupt, load, save
from shortlist.serving.snapshot import Snapshot
from shortlist.serving.workers import Workers, be_nice

log = structlog.get_logger()

FILE = "live.index"  # of the model that serves; the one before it goes
AT_ONCE = 64  # items encoded before whoever waits gets a turn: 5 ms of TF-IDF, a second of BERT
LOOKED_AT = 4_096  # items whose words are compared before whoever waits gets a turn: 15 ms
# Items beside a graph above which it is built anew: looking at 5,000 × 128 takes 0.15 ms, once per source.
REBUILD_AT = 5_000


class StoredEmbeddings(Protocol):
    """`catalog.Embeddings` for worker threads: blocking."""

    def put(self, encoder: str, made: Sequence[Embedding]) -> None:
        """Store these."""

    def of(self, encoder: str) -> list[Embedding]:
        """All that this encoder made."""


@dataclass(frozen=True, slots=True)
class Grown:
    """Indexes of a model with what came since, as a process before this one built them.

    ids: of the items after the model's own, by position. digests: (n,) of what was encoded. bases: by source.
    """

    ids: list[str] = field(default_factory=list)
    digests: NDArray[np.uint64] = field(default_factory=lambda: np.empty(0, np.uint64))
    bases: dict[str, VectorIndex] = field(default_factory=dict)


class _Followed:
    """A snapshot that items are brought to. Changed on the encoding thread, where not said otherwise."""

    def __init__(self, snapshot: Snapshot, model: Model, encoder: Encoder, grown: Grown) -> None:
        self.snapshot, self.model, self.encoder = snapshot, model, encoder
        self.indexes: dict[str, tuple[VectorSource, LiveIndex]] = {
            name: (source, source.index)
            for name, source in model.sources.items()
            if isinstance(source, VectorSource) and isinstance(source.index, LiveIndex)
        }
        content = model.sources.get(Content.name)
        trained = content.digests if isinstance(content, Content) else np.empty(0, np.uint64)
        self.digests = (grown.digests if len(grown.digests) else trained).astype(np.uint64)  # a copy
        self.stored: dict[str, Embedding] | None = None
        self.built = dict(grown.bases)  # on the building thread

    @property
    def beside(self) -> int:
        """Items beside the largest index."""
        return max((index.beside for _, index in self.indexes.values()), default=0)

    def reach(self, size: int) -> None:
        """Have a digest for each of `size` positions: 0 where nothing was encoded."""
        if size > len(self.digests):
            grown = np.zeros(size + size // 8, np.uint64)
            grown[: len(self.digests)] = self.digests
            self.digests = grown


class Newcomers:
    """Follows one snapshot at a time. Called from any thread."""

    def __init__(
        self,
        stored: StoredEmbeddings | None = None,
        folder: Path | None = None,
        *,
        threads: int = 1,
        rebuild_at: int = REBUILD_AT,
    ) -> None:
        """stored: where embeddings are kept; None: nowhere. folder: where indexes that were built again are
        kept; None: nowhere. threads: of building one. rebuild_at: items beside an index, see above."""
        self._stored, self._folder = stored, folder
        self._threads, self._rebuild_at = threads, rebuild_at
        self._encoding = Workers("encode", 1)
        self._now: _Followed | None = None
        self._is_building = False
        self._handed_over = 0  # pieces of work that have not ended
        self._ended = threading.Condition()

    def grown(self, model: Model) -> Grown:
        """What was saved for this model; nothing where there is none, or it is damaged: then that is logged,
        and it is built again from the catalog."""
        if self._folder is None or model.encoder is None:
            return Grown()
        path = self._folder / FILE
        try:
            key, arrays = load(path)
        except FileNotFoundError:
            return Grown()
        except IndexCorrupt as error:
            log.error("saved index refused, it is built from the catalog again", error=str(error))
            path.unlink(missing_ok=True)
            return Grown()
        return _unpacked(arrays) if key == _key(model) else Grown()

    def follow(self, snapshot: Snapshot, grown: Grown) -> None:
        """Bring to this snapshot whatever training did not see, and from now on all that changes."""
        model = snapshot.model
        if model is None or model.encoder is None:
            self._now = None
            return
        now = self._now = _Followed(snapshot, model, model.encoder, grown)
        self._hand_over(partial(self._catch_up, now, 0), is_urgent=False)

    def changed(self, snapshot: Snapshot, changes: Sequence[Change]) -> None:
        """Bring these, which the snapshot's table shows already."""
        now = self._now
        if now is None or now.snapshot.table is not snapshot.table or not changes:  # rules may be others
            return
        began = perf_counter()
        positions = np.unique(snapshot.table.positions(change.item_id for change in changes))
        for start in range(0, len(positions), AT_ONCE):
            self._hand_over(partial(self._bring, now, positions[start : start + AT_ONCE], began))

    def settle(self, timeout_s: float) -> bool:
        """Wait until all that was handed over is searchable and no index is being built; whether it is so."""
        with self._ended:
            return self._ended.wait_for(lambda: not self._handed_over, timeout_s)

    def close(self) -> None:
        """End the encoding thread; an index that is being built is given up with the process."""
        self._now = None
        self._encoding.close()

    # --- on the encoding thread ------------------------------------------------------------------------

    def _hand_over(self, work: Callable[[], None], *, is_urgent: bool = True) -> None:
        with self._ended:
            self._handed_over += 1

        def run() -> None:
            try:
                work()
            finally:
                self._has_ended()

        if is_urgent:
            self._encoding.submit(run)
        elif not self._encoding.submit_background(run):
            self._has_ended()

    def _has_ended(self) -> None:
        with self._ended:
            self._handed_over -= 1
            self._ended.notify_all()

    def _catch_up(self, now: _Followed, start: int) -> None:
        """What a start or a new model finds: items whose words are not those of training, a few at a time."""
        if self._now is not now:
            return
        if now.stored is None:
            now.stored = self._kept(now)
        items = now.snapshot.table.items
        end = min(start + LOOKED_AT, len(items))
        now.reach(end)
        differ: list[int] = []
        for position in range(start, end):
            if digest(items[position]) != now.digests[position] and items[position] is not None:
                differ.append(position)
                if len(differ) == AT_ONCE:
                    end = position + 1
                    break
        self._bring(now, np.array(differ, np.int32))
        if end < len(items):
            self._hand_over(partial(self._catch_up, now, end), is_urgent=False)
        else:
            now.stored = {}  # each has been asked for: what changes later was never encoded before

    def _bring(self, now: _Followed, positions: IntArray, began: float | None = None) -> None:
        """Encode what needs it, and put it where searches find it. began: when it was changed."""
        if self._now is not now or not len(positions):
            return
        now.reach(int(positions.max()) + 1)
        n, table = len(now.model.item_ids), now.snapshot.table
        came: list[tuple[int, Item, int]] = []
        gone: list[tuple[int, None, int]] = []
        for position in positions.tolist():
            item = table.items[position]
            words = digest(item)
            if words == now.digests[position]:
                continue
            if item is not None:
                came.append((position, item, words))
            elif position >= n:  # one of the model's own stays where it was, behind the filters, for its past
                gone.append((position, None, 0))
        if gone:
            self._put(now, gone, np.zeros((len(gone), now.encoder.dim), np.float32))
        if came:
            vectors, made = self._encoded(now, came)
            self._put(now, came, vectors)
            if began is not None:
                telemetry.NEW_ITEM.observe(perf_counter() - began)
            self._keep(now, made)
        self._rebuild_if_large(now)

    def _encoded(
        self, now: _Followed, came: Sequence[tuple[int, Item, int]]
    ) -> tuple[FloatArray, list[Embedding]]:
        """(len(came), dim) vectors, stored ones where they are of these words; and those that are new."""
        vectors = np.zeros((len(came), now.encoder.dim), np.float32)
        missing: list[int] = []
        for row, (_, item, words) in enumerate(came):
            kept = (now.stored or {}).get(item.item_id)
            if kept is not None and kept.digest == words and len(kept.vector) == now.encoder.dim:
                vectors[row] = kept.vector
            else:
                missing.append(row)
        if missing:
            vectors[missing] = now.encoder.encode([came[row][1] for row in missing])
        return vectors, [Embedding(came[row][1].item_id, came[row][2], vectors[row]) for row in missing]

    def _put(self, now: _Followed, came: Sequence[tuple[int, Item | None, int]], texts: FloatArray) -> None:
        at = np.array([position for position, _, _ in came], np.int32)
        items = [item for _, item, _ in came]
        for source, index in now.indexes.values():
            rows = source.placed(at, items, texts)
            if rows is not None:
                index.put(at, rows)
        # Last: an index built from here on holds what the digests say.
        now.digests[at] = [words for _, _, words in came]

    def _kept(self, now: _Followed) -> dict[str, Embedding]:
        if self._stored is None:
            return {}
        try:
            return {made.item_id: made for made in self._stored.of(now.encoder.name)}
        except ShortlistError as error:
            log.warning("stored embeddings not read, items are encoded again", error=str(error))
            return {}

    def _keep(self, now: _Followed, made: Sequence[Embedding]) -> None:
        if self._stored is None or not made:
            return
        try:
            self._stored.put(now.encoder.name, made)
        except ShortlistError as error:
            log.warning("embeddings not stored, the next start encodes again", error=str(error))

    # --- building an index again, on a thread of its own -----------------------------------------------

    def _rebuild_if_large(self, now: _Followed) -> None:
        with self._ended:
            if self._is_building or now.beside < self._rebuild_at:
                return
            self._is_building = True
            self._handed_over += 1
        threading.Thread(target=self._rebuild, args=(now,), name="index", daemon=True).start()

    def _rebuild(self, now: _Followed) -> None:
        be_nice()
        is_large = True
        while is_large:
            try:
                self._rebuilt(now)
            except Exception:
                telemetry.FAILURES.labels("index").inc()
                log.exception("index not built again, the old one with what is beside it stays")
                is_large = False
            with self._ended:  # so that whatever came before this was seen here, and the rest starts another
                is_large = is_large and self._now is now and now.beside >= self._rebuild_at
                self._is_building = is_large
        self._has_ended()

    def _rebuilt(self, now: _Followed) -> None:
        began = perf_counter()
        digests = now.digests.copy()  # before the vectors are read: they are of these words, or later ones
        for name, (_, index) in now.indexes.items():
            if index.beside:
                now.built[name], serial = index.rebuilt(threads=self._threads)
                index.rebase(now.built[name], serial)
        n = len(now.model.item_ids)
        size = max(map(len, now.built.values()), default=n)
        log.info("index built again", items=size, took_s=round(perf_counter() - began, 1))
        if self._folder is not None and self._now is now and now.built:
            ids = now.snapshot.table.ids[n:size]
            save(self._folder / FILE, _key(now.model), _packed(Grown(ids, digests[:size], now.built)))


def bring_new_items(snapshot: Snapshot) -> None:
    """Bring whatever training did not see to a snapshot, before it is used: for commands that end."""
    newcomers = Newcomers(rebuild_at=sys.maxsize)
    newcomers.follow(snapshot, Grown())
    while not newcomers.settle(60.0):
        log.info("new items are still being encoded")
    newcomers.close()


def _key(model: Model) -> str:
    """Names what saved indexes belong to: another training, or another encoder, has other vectors."""
    encoder = model.encoder.name if model.encoder is not None else ""
    return f"{model.version} {model.trained_ms} {len(model.item_ids)} {encoder}"


def _packed(grown: Grown) -> Arrays:
    arrays: Arrays = {
        "ids": np.frombuffer(msgspec.json.encode(grown.ids), np.uint8),
        "digests": grown.digests,
    }
    for source, base in grown.bases.items():
        arrays |= {f"{source}/{name}": array for name, array in base.arrays().items()}
    return arrays


def _unpacked(arrays: Arrays) -> Grown:
    of: dict[str, Arrays] = {}
    for name, array in arrays.items():
        source, _, part = name.partition("/")
        if part:
            of.setdefault(source, {})[part] = array
    return Grown(
        ids=msgspec.json.decode(arrays["ids"].tobytes(), type=list[str]),
        digests=arrays["digests"].astype(np.uint64),
        bases={source: VectorIndex.from_arrays(parts) for source, parts in of.items()},
    )
