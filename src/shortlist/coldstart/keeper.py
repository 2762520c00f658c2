"""Keeps the ledger of new items: feeds it from the log, saves it, and says when something was decided."""

import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from heapq import merge
from itertools import islice
from operator import attrgetter
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import msgspec
import structlog
from msgspec import Struct

from shortlist import files
from shortlist.coldstart.ledger import (
    PANEL,
    Decision,
    Ledger,
    PanelSlate,
    Row,
    ServedRecord,
    ServedSlate,
    Slot,
)
from shortlist.events.event import Event, EventType, readable
from shortlist.events.log import EVENTS, SERVED, EventLog, Record, Stored
from shortlist.events.partition import partition_of
from shortlist.events.scan import scan
from shortlist.features.dedup import Window, identity
from shortlist.features.store import FeatureStore, Folded
from shortlist.settings import Settings

log = structlog.get_logger()
T = TypeVar("T")

SETTLE_S = 1.0
SAVE_S = 10.0
REPLAY_STEP = 500  # records of both topics, of up to 60 kB each
READ = 500  # records of slates read at a time
# Beside hits fewer, then a pause: 0.5 ms of work. A second's slates in one piece held hits up for 4 ms.
READ_BETWEEN, PAUSE_S = 8, 0.0005
AT_ONCE = 2_000  # slates or pairs that a checkpoint encodes at a time: 0.3 ms
READ_BESIDE = 50  # the same of each partition, where all of them are read side by side
# An event whose slate was not in the log when it came (slates wait 5 ms for company) gets another chance.
CHANCES = 2
# Pairs of user and item whose impressions are counted, about 150 bytes each. Beyond them nobody new is shown
# a new item: the cap per user holds, at the price of exploring less until the next training.
MOST_PAIRS = 500_000
# So many slates that carried an item count as one impression where fewer were reported: not every client
# reports any, and what lies below the fold is not seen every time.
UNREPORTED = 10
IMPRESSION, SLATES_BITS = 1 << 16, (1 << 16) - 1  # of a pair's number: impressions above, slates below

SLATES, DECISION = b'{"kind":"slates"', b'{"kind":"decision"'  # how the records begin that are read
TYPES = frozenset({EventType.IMPRESSION, EventType.CLICK, EventType.PURCHASE})
LOOKED_AT = TYPES | {EventType.MERGE}


class _Happened(NamedTuple):
    """An event of the log, as a replay meets it."""

    partition: int
    offset: int
    appended_ms: int
    event: Event


class _Part(Struct, omit_defaults=True):
    """A line of a checkpoint. The first has the offsets up to which all of them together are the ledger."""

    events: list[int] = []
    served: list[int] = []
    shown: list[int] = []
    clicked: list[int] = []
    waiting: list[tuple[Event, int]] = []
    rows: list[Row] = []
    slots: list[Slot] = []
    panel: list[PanelSlate] = []
    pairs: dict[str, dict[str, int]] = {}


def _times(pair: int) -> int:
    """How often a pair of item and user counts as seen."""
    return max(pair // IMPRESSION, (pair & SLATES_BITS) // UNREPORTED)


class LedgerKeeper:
    """The one owner of the ledger. `on_folded` is for the processor's thread; `settle`, `replay` and `save`
    for one thread at a time; the rest for any."""

    def __init__(
        self, events: EventLog, store: FeatureStore, settings: Settings, *, file: Path | None = None
    ) -> None:
        """file: the checkpoint; None keeps none."""
        self._log, self._store, self._file = events, store, file
        self._dedup_window, self._most_seen = settings.log.dedup_window, settings.exploration.per_user
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._on_decided: list[Callable[[], None]] = []
        self._on_tired: list[Callable[[Collection[str]], None]] = []
        self._decode = msgspec.json.Decoder(ServedRecord).decode
        self.ledger = Ledger(settings.exploration)
        self._partitions = events.partitions(EVENTS)
        self._events, self._served = events.begins(EVENTS), events.begins(SERVED)
        self._waiting: list[tuple[Event, int]] = []
        # Item → user → impressions and slates in one number: sums, so it does not matter which came first.
        self._seen: dict[str, dict[str, int]] = {}
        self._pairs = 0
        self._tired: set[str] = set()  # users of whom a slate has just counted as an impression
        self._new: frozenset[str] = frozenset()
        self._gone: dict[str, int] = {}  # deleted users, and the version up to which nothing of theirs counts
        self._is_unsaved = False
        self._load()

    # --- what exploration asks -------------------------------------------------------------------------

    def seen(self, item_id: str, user_id: str) -> int:
        """Impressions of a new item by a user, wherever they met it; every UNREPORTED slates count as one
        where fewer were reported."""
        of_item = self._seen.get(item_id)
        known = of_item.get(user_id, 0) if of_item is not None else 0
        return _times(known) if known or self._pairs < MOST_PAIRS else self._most_seen

    def verdict(self, item_id: str) -> str:
        """What was decided of an item; empty: nothing yet."""
        row = self.ledger.rows.get(item_id)
        return row.decision.verdict if row is not None and row.decision is not None else ""

    def watch(self, new: Collection[str]) -> None:
        """From now on these are the new items; impressions of others need not be counted any more."""
        with self._lock:
            self._new = frozenset(new)
            for item_id in self._seen.keys() - self._new:
                self._pairs -= len(self._seen.pop(item_id))

    def on_decided(self, listener: Callable[[], None]) -> None:
        """One more to tell when items were decided on; on the keeper's thread."""
        self._on_decided.append(listener)

    def on_tired(self, listener: Callable[[Collection[str]], None]) -> None:
        """One more to tell of users who were served a new item so often that it counts as an impression; on
        the keeper's thread."""
        self._on_tired.append(listener)

    def read(self, look: Callable[[Ledger], T]) -> T:
        """What `look` finds in the ledger, at one moment."""
        with self._lock:
            return look(self.ledger)

    def forget_user(self, user_id: str) -> None:
        """Keep nothing that names a user; sums stay."""
        with self._lock:
            self._is_unsaved = True
            for of_item in self._seen.values():
                self._pairs -= of_item.pop(user_id, None) is not None
            self._waiting = [(event, left) for event, left in self._waiting if event.user_id != user_id]
            self.ledger.forget_user(user_id)
            # Slates of a moment ago may not be read yet.
            partition = partition_of(user_id, self._partitions)
            self._gone[user_id] = self._store.forgotten(partition).get(user_id, 0)

    # --- feeding ---------------------------------------------------------------------------------------

    def on_folded(self, folded: Sequence[Folded]) -> None:
        """Take what the processor folded. What does not follow on what is taken waits for the replay."""
        for one in folded:
            self._take(one.partition, one.offset, one.events, one.next_offset)

    def settle(self) -> None:
        """Read the slates that were served and count the events that wait for them."""
        with self._lock:
            waiting, self._waiting = self._waiting, []
        self._read_served()
        self._count(waiting)
        tired, self._tired = self._tired, set()
        if tired:
            for listener in self._on_tired:
                listener(tired)

    def replay(self) -> None:
        """Count from the log what was folded and is not counted yet, both topics in the order in which they
        were written: slates wait for their events no longer than they did then. Beside a running processor,
        too."""
        self._read_decisions()
        for partition in range(self._partitions):
            self._gone |= self._store.forgotten(partition)
        while not self._stopping.is_set():
            ends = [self._store.offset(partition) for partition in range(self._partitions)]
            behind = {partition: end for partition, end in enumerate(ends) if self._events[partition] < end}
            if not behind:
                break
            self._replay(behind)
        self.settle()

    def _read_decisions(self) -> None:
        """Before all events: what was decided is not judged again, in another order of them perhaps."""
        for partition, end in enumerate(self._log.ends(SERVED)):
            for stored in scan(self._log, SERVED, partition, self._served[partition], end, at_once=READ):
                if stored.value.startswith(DECISION):
                    self._learn(stored)

    def _replay(self, ends: Mapping[int, int]) -> None:
        topics: list[Iterator[Stored | _Happened]] = [
            scan(self._log, SERVED, partition, self._served[partition], end, at_once=READ_BESIDE)
            for partition, end in enumerate(self._log.ends(SERVED))
        ]
        topics += [self._happened(partition, end) for partition, end in ends.items()]
        written = merge(*topics, key=attrgetter("appended_ms"))
        while step := list(islice(written, REPLAY_STEP)):
            events: dict[int, list[Event]] = {}
            ahead: dict[int, int] = {}
            for one in step:
                if isinstance(one, Stored):
                    self._promise(one)
                else:
                    events.setdefault(one.partition, []).append(one.event)
                    ahead[one.partition] = one.offset + 1
            for partition, some in events.items():
                self._take(partition, self._events[partition], some, ahead[partition])
            with self._lock:
                waiting, self._waiting = self._waiting, []
            self._count(waiting)
            if self._stopping.is_set():
                return
        for partition, end in ends.items():
            self._take(partition, self._events[partition], [], end)

    def _happened(self, partition: int, end: int) -> Iterator[_Happened]:
        """The partition's events that matter here and are not counted yet, up to `end`; of new items each
        once."""
        start, gone = self._events[partition], self._store.forgotten(partition)
        window, new = Window(self._dedup_window), self._new
        before = max(0, start - self._dedup_window)
        for record in scan(self._log, EVENTS, partition, before, end, at_once=READ_BESIDE):
            event = readable(record.value)
            if event is None or event.type not in LOOKED_AT:
                continue
            is_repeat = event.item_id in new and window.is_duplicate(identity(event), record.offset)
            if not is_repeat and record.offset >= max(start, gone.get(event.user_id, 0)):
                yield _Happened(partition, record.offset, record.appended_ms, event)

    def _take(self, partition: int, at: int, events: list[Event], next_offset: int) -> bool:
        with self._lock:
            if self._events[partition] != at:
                return False
            self._events[partition] = next_offset
            self._is_unsaved = True
            new, rows = self._new, self.ledger.rows
            is_panel = partition % PANEL == 0 and bool(new)
            for event in events:
                if event.type not in TYPES:
                    if event.type is EventType.MERGE and event.guest is not None:
                        self._see_as(event.guest, event.user_id)
                    continue
                is_new = event.item_id in new
                if is_new and event.type is EventType.IMPRESSION:
                    self._see(event.item_id, event.user_id, IMPRESSION)
                if is_new or event.item_id in rows or (is_panel and event.request_id is not None):
                    self._waiting.append((event, CHANCES))
            return True

    def _see(self, item_id: str, user_id: str, by: int) -> None:
        """Count one more. by: IMPRESSION, or 1 for a slate."""
        of_item = self._seen.setdefault(item_id, {})
        known = of_item.get(user_id, 0)
        if known & SLATES_BITS == SLATES_BITS or (not known and self._pairs >= MOST_PAIRS):
            return
        self._pairs += not known
        of_item[user_id] = known + by
        if by != IMPRESSION and _times(known + by) > _times(known):
            self._tired.add(user_id)

    def _see_as(self, guest: str, user_id: str) -> None:
        """What a guest saw is what the user saw, who logged in."""
        for of_item in self._seen.values():
            if guest in of_item:
                self._pairs -= user_id in of_item
                of_item[user_id] = of_item.get(user_id, 0) + of_item.pop(guest)

    def _count(self, waiting: list[tuple[Event, int]]) -> None:
        """Count events whose slates are known; the others wait a little or were no slate's doing."""
        with self._lock:
            learn = self.ledger.learn
            again = [(event, left - 1) for event, left in waiting if not learn(event) and left > 1]
            self._waiting[:0] = again
            self.ledger.forget()
            fresh, self.ledger.fresh = self.ledger.fresh, []
        for decision in fresh:
            log.info("new item decided", **msgspec.structs.asdict(decision))
            self._write(decision)
        if fresh:
            for listener in self._on_decided:
                listener()

    def _write(self, decision: Decision) -> None:
        """Into the log: a replay takes decisions over instead of judging in another order of events."""
        value = b'{"kind":"decision","decision":%b}' % msgspec.json.encode(decision)
        self._log.append_soon(SERVED, [Record(decision.item_id, value)])

    def _read_served(self) -> None:
        for partition, end in enumerate(self._log.ends(SERVED)):
            start = self._served[partition]
            for stored in scan(self._log, SERVED, partition, start, end, at_once=READ_BETWEEN):
                self._promise(stored)
                if (stored.offset + 1 - start) % READ_BETWEEN == 0:
                    self._stopping.wait(PAUSE_S)

    def _promise(self, stored: Stored) -> None:
        with self._lock:
            self._served[stored.partition] = stored.offset + 1
            self._is_unsaved = True
        self._learn(stored)

    def _learn(self, stored: Stored) -> None:
        value = stored.value
        with self._lock:
            if not self._is_wanted(value):
                return
            try:
                record = self._decode(value)
            except msgspec.DecodeError:
                return
            for slate in record.slates:
                if slate.version <= self._gone.get(slate.user_id or "", -1):
                    continue
                self.ledger.promise(slate, is_panel=self._is_panel(slate))
                if slate.user_id is not None:
                    for slot in slate.explored:
                        if slot.item_id in self._new:
                            self._see(slot.item_id, slate.user_id, 1)
            if record.decision is not None:
                self.ledger.decided(record.decision)

    def _is_wanted(self, value: bytes) -> bool:
        # While nothing is new, nothing is explored, and nobody needs to know what a place is worth.
        if value.startswith(SLATES):
            return bool(self._new) or b'"explored"' in value
        return value.startswith(DECISION)

    def _is_panel(self, slate: ServedSlate) -> bool:
        return slate.user_id is not None and partition_of(slate.user_id, self._partitions) % PANEL == 0

    # --- saving ----------------------------------------------------------------------------------------

    def save(self) -> None:
        """Write the checkpoint: a whole one or none."""
        if self._file is None:
            return
        with self._lock:
            if not self._is_unsaved:
                return
            self._is_unsaved = False
            parts = self._parts()
        with files.replaced(self._file) as file:
            for part in parts:
                file.write(msgspec.json.encode(part) + b"\n")

    def _parts(self) -> Iterator[_Part]:
        """The ledger as it is now, 10 ms at its bounds. Encoded afterwards and in parts: all at once it would
        hold up the folds for 30 ms, and every other thread as well. Rows and slates change on this thread
        alone, so they need no copy."""
        ledger = self.ledger
        first = _Part(
            events=list(self._events),
            served=list(self._served),
            shown=list(ledger.shown),
            clicked=list(ledger.clicked),
            waiting=list(self._waiting),
            rows=list(ledger.rows.values()),
        )
        slots, panel = list(ledger.slots.values()), list(ledger.panel.values())
        pairs = {item_id: of_item.copy() for item_id, of_item in self._seen.items()}

        def parts() -> Iterator[_Part]:
            yield first
            for at in range(0, len(slots), AT_ONCE):
                yield _Part(slots=slots[at : at + AT_ONCE])
            for at in range(0, len(panel), AT_ONCE):
                yield _Part(panel=panel[at : at + AT_ONCE])
            for item_id, of_item in pairs.items():
                users = iter(of_item.items())
                while some := dict(islice(users, AT_ONCE)):
                    yield _Part(pairs={item_id: some})

        return parts()

    def _load(self) -> None:
        parts = self._read()
        if not parts:
            return
        first = parts[0]
        for topic, offsets in ((EVENTS, first.events), (SERVED, first.served)):
            ends = self._log.ends(topic)
            # Counts of records that this log does not hold: it was replaced under the file.
            if len(offsets) != len(ends) or any(at > end for at, end in zip(offsets, ends, strict=True)):
                log.warning("the ledger of new items starts over from the log", file=str(self._file))
                return
        self._events, self._served, self._waiting = first.events, first.served, first.waiting
        self.ledger.rows = {row.item_id: row for row in first.rows}
        self.ledger.shown, self.ledger.clicked = first.shown, first.clicked
        self.ledger.restore(
            [slot for part in parts for slot in part.slots],
            [slate for part in parts for slate in part.panel],
        )
        for part in parts:
            for item_id, of_item in part.pairs.items():
                self._seen.setdefault(item_id, {}).update(of_item)
        self._pairs = sum(map(len, self._seen.values()))

    def _read(self) -> list[_Part]:
        if self._file is None or not self._file.exists():
            return []
        try:
            return msgspec.json.Decoder(_Part).decode_lines(self._file.read_bytes())
        except (msgspec.DecodeError, OSError) as error:
            log.warning("ledger of new items unreadable", file=str(self._file), why=str(error))
            return []

    # --- running ---------------------------------------------------------------------------------------

    def start(self) -> None:
        """Catch up, then settle and save in a thread until `stop`."""
        self._thread = threading.Thread(target=self._run, name="ledger", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Settle, save and end. After the processor's `stop`, so that nothing is folded any more."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
            self._safely(self.settle)
            self._safely(self.save)

    def _run(self) -> None:
        self._safely(self.replay)
        saved = time.monotonic()
        while not self._stopping.wait(SETTLE_S):
            self._safely(self.settle)
            if time.monotonic() - saved > SAVE_S:
                self._safely(self.save)
                saved = time.monotonic()

    def _safely(self, step: Callable[[], Any]) -> None:
        """The edge of the loop: an old ledger is better than no thread."""
        try:
            step()
        except Exception:
            log.exception("ledger step failed", step=step.__name__)
