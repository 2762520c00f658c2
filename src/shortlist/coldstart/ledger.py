"""The ledger of new items: what each was promised, what it got, what that taught. A fold of the log.

Two records meet here by user and request id: a slate in `recommendation.impressions` says which item was
explored at which place, and the user's event says that it was seen, clicked or bought. A place counts once
however often its events come, in whatever order, and a click without an impression counts as both, so that
there are never more clicks than impressions. Request ids may be the caller's own: of slates with the same one
the first counts, for each user.
"""

from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from msgspec import Struct, field

from shortlist.coldstart.exploration import PROMOTED, RETIRED
from shortlist.coldstart.wilson import bounds
from shortlist.events.event import Event, EventType
from shortlist.settings import ExplorationSettings

HOUR_MS = 3_600_000
# Slates that wait for their events: 100,000 take about 30 MB; the oldest go first.
SLOTS = 100_000
PANEL_SLATES = 50_000
POSITIONS = 64  # bits of a checkpoint's number; places beyond count as the last one
# Users of every 16th partition are the panel: their slates without a new item say what a place is worth.
PANEL = 16


class Slot(Struct, array_like=True):
    """One place of a slate that went to a new item."""

    request_id: str
    item_id: str
    user_id: str
    position: int
    ts: int
    is_seen: bool = False
    is_clicked: bool = False
    is_bought: bool = False


class PanelSlate(Struct, array_like=True, gc=False):
    """A panel user's slate without a new item. Bit p of `seen` and `clicked` stands for place p."""

    request_id: str
    user_id: str
    ts: int
    seen: int = 0
    clicked: int = 0


S = TypeVar("S", Slot, PanelSlate)


class Decision(Struct, frozen=True):
    """What became of a new item, and on what grounds."""

    item_id: str
    verdict: str  # promoted or retired
    why: str  # "above", "below" or "limit"
    ts: int
    impressions: int
    clicks: int


class Row(Struct):
    """One new item. served: slates that carried it; impressions, clicks, purchases: of their places.

    positions: impressions by place."""

    item_id: str
    served: int = 0
    impressions: int = 0
    clicks: int = 0
    purchases: int = 0
    positions: dict[int, int] = field(default_factory=dict)
    decision: Decision | None = None


class ExploredSlot(Struct, frozen=True):
    """An explored place as a served slate has it; what else it says is for explanations."""

    item_id: str
    position: int


class ServedCut(Struct, frozen=True):
    """What a slate was cut from, as far as the ledger reads it: the version of the user's features."""

    user: int = 0


class ServedSlate(Struct, frozen=True):
    """A served slate as far as the ledger reads it."""

    request_id: str = ""
    ts: int = 0
    user_id: str | None = None
    route: str = ""
    trace_id: str = ""
    page: int = 1
    context: str = ""
    category: str = ""
    explored: list[ExploredSlot] = []
    cut: ServedCut = ServedCut()

    @property
    def version(self) -> int:
        """What was known of the user: the version of their features."""
        return self.cut.user

    @property
    def is_default(self) -> bool:
        """The first page of a user's own slate: where new items may come."""
        return (
            not self.route
            and bool(self.trace_id)
            and self.page == 1
            and self.context == "browsing"
            and not self.category
        )


class ServedRecord(Struct, frozen=True):
    """One record of the topic as far as the ledger reads it."""

    kind: str
    slates: list[ServedSlate] = []
    decision: Decision | None = None


class Ledger:
    """The counts. Not thread-safe. `fresh` has the decisions that were made since it was last emptied."""

    def __init__(self, settings: ExplorationSettings, *, slots: int = SLOTS) -> None:
        self.settings, self._most = settings, slots
        self.rows: dict[str, Row] = {}
        self.slots: dict[tuple[str, str, str], Slot] = {}  # by user, request and item
        self.panel: dict[tuple[str, str], PanelSlate] = {}  # by user and request
        self.shown = [0] * POSITIONS
        self.clicked = [0] * POSITIONS
        self.latest_ms = 0
        self.fresh: list[Decision] = []
        self._clicked_by: dict[tuple[str, str], Slot] = {}

    # --- what the log says -----------------------------------------------------------------------------

    def promise(self, slate: ServedSlate, *, is_panel: bool) -> None:
        """A slate was served. is_panel: to a user of the panel."""
        if slate.user_id is None:
            return
        self.latest_ms = max(self.latest_ms, slate.ts)
        user_id, request_id = slate.user_id, slate.request_id
        for slot in slate.explored:
            key = (user_id, request_id, slot.item_id)
            if key not in self.slots:
                self.row(slot.item_id).served += 1
                self.slots[key] = Slot(request_id, slot.item_id, user_id, slot.position, slate.ts)
        if is_panel and not slate.explored and slate.is_default:
            self.panel.setdefault((user_id, request_id), PanelSlate(request_id, user_id, slate.ts))

    def learn(self, event: Event) -> bool:
        """Count an event; whether the user's slate that it names (a purchase may name none) is known."""
        slot = self.slots.get((event.user_id, event.request_id or "", event.item_id))
        if slot is None and event.type is EventType.PURCHASE:
            slot = self._clicked_by.get((event.user_id, event.item_id))
        if slot is not None:
            if self._is_in_time(event, slot.ts):
                self._count(slot, event)
            return True
        slate = self.panel.get((event.user_id, event.request_id or ""))
        if slate is None:
            return False
        if self._is_in_time(event, slate.ts):
            self._count_panel(slate, event)
        return True

    def decided(self, decision: Decision) -> None:
        """Take over a decision that the log holds; the first one stays."""
        row = self.row(decision.item_id)
        if row.decision is None:
            row.decision = decision

    def forget(self) -> None:
        """Drop slates whose time is over, and the oldest above the bounds on memory."""
        before = self.latest_ms - self._window_ms
        for slot in _old(self.slots, before, len(self.slots) - self._most):
            del self.slots[slot.user_id, slot.request_id, slot.item_id]
            if self._clicked_by.get((slot.user_id, slot.item_id)) is slot:
                del self._clicked_by[slot.user_id, slot.item_id]
        for slate in _old(self.panel, before, len(self.panel) - PANEL_SLATES):
            del self.panel[slate.user_id, slate.request_id]

    def forget_user(self, user_id: str) -> None:
        """Drop the slates of a user; what they brought stays counted."""
        slots = [slot for slot in self.slots.values() if slot.user_id != user_id]
        self.restore(slots, [slate for slate in self.panel.values() if slate.user_id != user_id])

    # --- what it teaches -------------------------------------------------------------------------------

    def row(self, item_id: str) -> Row:
        """The item's row, made when it has none."""
        row = self.rows.get(item_id)
        if row is None:
            row = self.rows[item_id] = Row(item_id)
        return row

    def place_ctr(self, position: int) -> float | None:
        """Clicks per impression that a place has in slates without new items; None: nobody saw any yet.

        Its two neighbours count too: attention falls slowly down a list, and thrice as many are surer.
        """
        position = min(position, POSITIONS - 1)
        near = slice(max(0, position - 1), position + 2)
        shown = sum(self.shown[near])
        return sum(self.clicked[near]) / shown if shown else None

    def expected(self, row: Row) -> float | None:
        """Clicks that the item's places would have brought without it; None: not known yet."""
        expected = 0.0
        for position, impressions in row.positions.items():
            ctr = self.place_ctr(position)
            if ctr is None:
                return None
            expected += ctr * impressions
        return expected

    def restore(self, slots: Iterable[Slot], panel: Iterable[PanelSlate]) -> None:
        """Wait for the events of these slates again."""
        self.slots = {(slot.user_id, slot.request_id, slot.item_id): slot for slot in slots}
        self.panel = {(slate.user_id, slate.request_id): slate for slate in panel}
        self._clicked_by = {(s.user_id, s.item_id): s for s in self.slots.values() if s.is_clicked}

    # --- inside ----------------------------------------------------------------------------------------

    @property
    def _window_ms(self) -> int:
        return int(self.settings.window_h * HOUR_MS)

    def _is_in_time(self, event: Event, served_ms: int) -> bool:
        return event.ts - served_ms <= self._window_ms  # a client's clock may be behind: no lower bound

    def _count(self, slot: Slot, event: Event) -> None:
        row = self.row(slot.item_id)
        if event.type is EventType.PURCHASE and not slot.is_bought:
            slot.is_bought = True
            row.purchases += 1
        if event.type is EventType.CLICK and not slot.is_clicked:
            slot.is_clicked = True
            self._clicked_by[slot.user_id, slot.item_id] = slot
            row.clicks += 1  # before its impression, so that a decision which that one brings knows of it
        if event.type is not EventType.PURCHASE and not slot.is_seen:
            slot.is_seen = True
            row.impressions += 1
            row.positions[slot.position] = row.positions.get(slot.position, 0) + 1
            self._judge(row, event.ts)

    def _count_panel(self, slate: PanelSlate, event: Event) -> None:
        position = event.position
        if position is None or event.type is EventType.PURCHASE:
            return
        position = min(position, POSITIONS - 1)
        bit = 1 << position
        if event.type is EventType.CLICK and not slate.clicked & bit:
            slate.clicked |= bit
            self.clicked[position] += 1
        if not slate.seen & bit:
            slate.seen |= bit
            self.shown[position] += 1

    def _judge(self, row: Row, ts: int) -> None:
        """Decide at every so many impressions, not at each: a bound looked at all the time would cross by
        chance sooner or later."""
        settings = self.settings
        is_due = row.impressions % settings.impressions == 0 or row.impressions == settings.limit
        if row.decision is not None or not is_due:
            return
        low, high = bounds(row.clicks, row.impressions, settings.confidence)
        if low > settings.ctr:
            verdict, why = PROMOTED, "above"
        elif high < settings.ctr:
            verdict, why = RETIRED, "below"
        elif row.impressions >= settings.limit:
            verdict, why = RETIRED, "limit"
        else:
            return
        row.decision = Decision(row.item_id, verdict, why, ts, row.impressions, row.clicks)
        self.fresh.append(row.decision)


def _old(waiting: Mapping[Any, S], before_ms: int, too_many: int) -> list[S]:
    """The first `too_many`, and whatever was served before a time; `waiting` is about in order of time."""
    found: list[S] = []
    for slate in waiting.values():
        if len(found) >= too_many and slate.ts >= before_ms:
            break
        found.append(slate)
    return found
