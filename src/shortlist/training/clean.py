"""From everything that happened to what tastes are learned from: no bots, nothing cancelled, by time."""

import numpy as np
import structlog
from numpy.typing import NDArray

from shortlist.arrays import BoolArray, FloatArray
from shortlist.events.event import EventType
from shortlist.events.interactions import Against, Interactions
from shortlist.settings import Settings, WeightSettings
from shortlist.training.history import CODES, TYPES, History
from shortlist.training.sessions import DAY_MS, IS_INTERACTION, session_numbers

log = structlog.get_logger()

MINUTE_MS = 60_000
# Event times before 1990 are positions in a file without clock times: minutes mean nothing there.
CLOCK_BEGINS_MS = 631_152_000_000
# Only these can be made by a script at speed. An order of 300 lines or an import of somebody's ratings has
# one time for all of them and is no bot: among 4,338 customers of a gift shop 1 in 20 would be dropped.
BROWSING = np.array([kind in (EventType.VIEW, EventType.CLICK, EventType.CART) for kind in TYPES])
NOTHING_LEFT = 1e-9  # of a quantity: as in the fold, 0.1 + 0.2 - 0.3 is nothing


def interactions_of(history: History, item_ids: list[str], settings: Settings) -> Interactions:
    """What training reads of a history: weighted interactions with known items, sorted by time.

    Left out are bots, what was cancelled, what `settings.weights` gives no weight, and what is older than
    `settings.training.days`. What has a weight below 0 is kept apart.
    """
    weights = weights_of(settings.weights)[history.types]
    keep = IS_INTERACTION[history.types] & (history.items >= 0) & (weights > 0)
    keep &= (history.types != CODES[EventType.PURCHASE]) | (kept_quantities(history) > 0)
    keep &= ~bots(history, settings.training.bot_events_per_min)[history.users]
    if settings.training.days > 0 and keep.any():
        oldest = history.ts_ms[keep].max() - int(settings.training.days * DAY_MS)
        keep &= history.ts_ms >= oldest
    rows = np.flatnonzero(keep)
    rows = rows[np.argsort(history.ts_ms[rows], kind="stable")]
    known, users = np.unique(history.users[rows], return_inverse=True)
    down = (weights < 0) & (history.items >= 0) & np.isin(history.users, known)
    if settings.training.days > 0 and keep.any():
        down &= history.ts_ms >= oldest
    return Interactions(
        users=users.astype(np.int32),
        items=history.items[rows],
        ts_s=history.ts_ms[rows] / 1000,
        weights=weights[rows],
        sessions=session_numbers(history, settings.features)[rows],
        purchases=history.types[rows] == CODES[EventType.PURCHASE],
        user_ids=[history.user_ids[user] for user in known.tolist()],
        item_ids=item_ids,
        against=Against(
            users=np.searchsorted(known, history.users[down]).astype(np.int32),
            items=history.items[down],
            weights=weights[down],
        ),
    )


def weights_of(settings: WeightSettings) -> FloatArray:
    """(event types,) the weight of each type, in the order of TYPES; what is of no item has none."""
    by_type = settings.by_type()
    return np.array([by_type.get(kind.value, 0.0) for kind in TYPES], np.float32)


def bots(history: History, events_per_min: int) -> BoolArray:
    """(users,) who browsed more than `events_per_min` times within some minute; 0 turns this off.

    Purchases and ratings do not count: they come in bulk from people, too.
    """
    found = np.zeros(len(history.user_ids), bool)
    rows = np.flatnonzero(BROWSING[history.types] & (history.ts_ms >= CLOCK_BEGINS_MS))
    if events_per_min <= 0 or len(rows) <= events_per_min:
        return found
    rows = rows[np.lexsort((history.ts_ms[rows], history.users[rows]))]
    users, ts = history.users[rows], history.ts_ms[rows]
    ahead = events_per_min  # the event this many later is one too many within the minute
    too_many = (users[ahead:] == users[:-ahead]) & (ts[ahead:] - ts[:-ahead] < MINUTE_MS)
    found[users[ahead:][too_many]] = True
    if found.any():
        log.info("bots left out", users=int(found.sum()), events_per_min=events_per_min)
    return found


def kept_quantities(history: History) -> NDArray[np.float64]:
    """(n,) of each purchase the quantity that no cancellation took back, the latest taken back first; else 0.

    Per user and item their sum is `Features.purchased` of the fold.
    """
    purchases = history.types == CODES[EventType.PURCHASE]
    cancels = history.types == CODES[EventType.CANCEL]
    quantities = np.where(np.isnan(history.quantities), 1.0, history.quantities)
    kept = np.where(purchases & (quantities > NOTHING_LEFT), quantities, 0.0)
    pairs = history.users.astype(np.int64) << 32 | (history.items.astype(np.int64) & 0xFFFFFFFF)
    rows = np.flatnonzero((purchases | cancels) & np.isin(pairs, pairs[cancels]))
    stacks: dict[int, list[int]] = {}  # rows of purchases by user and item
    for row, pair, is_cancel in zip(rows.tolist(), pairs[rows].tolist(), cancels[rows].tolist(), strict=True):
        bought = stacks.setdefault(pair, [])
        if not is_cancel:
            bought.append(row)
            continue
        left = float(quantities[row])
        while bought and left > NOTHING_LEFT:
            last = bought[-1]
            taken = min(left, kept[last])
            left -= taken
            kept[last] -= taken
            if kept[last] <= NOTHING_LEFT:
                kept[last] = 0.0
                bought.pop()
    return kept
