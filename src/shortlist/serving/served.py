"""What was served and why: one log record per slate, one per pool, and a bounded memory of the last ones."""

from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

import msgspec

from shortlist.events.log import SERVED, EventLog, Record
from shortlist.serving.cache import Pool
from shortlist.serving.slate import SlateItem

SLATES = 20_000  # last slates that `trace` finds, about 600 bytes each
POOLS = 2_000  # last pools, about 10 kB each

_encode = msgspec.json.Encoder().encode


class Served:
    """Writes slates and pools to the log, keyed by user. For the event loop.

    A slate's record names the pool it was cut from (`trace_id`): the pool's own record, written when it first
    serves, has every item's score and the raw score of each source. So a hit costs half a kilobyte.
    """

    def __init__(self, log: EventLog) -> None:
        self._log = log
        self._slates: OrderedDict[str, bytes] = OrderedDict()
        self._pools: OrderedDict[str, bytes] = OrderedDict()

    def pool(self, user_id: str, pool: Pool) -> None:
        """Log a pool with everything that made it, once."""
        if pool.trace_id in self._pools:
            return
        record = pool_record(user_id, pool)
        self._pools[pool.trace_id] = record
        if len(self._pools) > POOLS:
            self._pools.popitem(last=False)
        self._log.append_soon(SERVED, [Record(user_id, record)])

    def slate(self, user_id: str, request_id: str, now_ms: int, rest: bytes) -> None:
        """Log one slate. rest: as `slate_rest` makes it."""
        record = b'{"kind":"slate","request_id":"%b","ts":%d%b' % (request_id.encode(), now_ms, rest)
        slates = self._slates
        slates[request_id] = record
        if len(slates) > SLATES:
            slates.popitem(last=False)
        self._log.append_soon(SERVED, [Record(user_id, record)])

    def trace(self, request_id: str) -> dict[str, Any] | None:
        """The slate of a request and the pool it was cut from (None when that one is forgotten)."""
        record = self._slates.get(request_id)
        if record is None:
            return None
        slate = msgspec.json.decode(record)
        pool = self._pools.get(slate.get("trace_id", ""))
        full = msgspec.json.decode(pool)["pool"] if pool is not None else None
        return {"user_id": slate["user_id"], "slate": slate, "pool": full}


def pool_record(user_id: str, pool: Pool) -> bytes:
    """The log's JSON of a pool: an item is [id, score, {source: raw score}, reason, of what]."""
    return b'{"kind":"pool","user_id":%b,"pool":%b}' % (_encode(user_id), _encode(pool))


def slate_rest(
    *,
    user_id: str | None,
    tier: str,
    trace_id: str,
    model_version: str,
    page: int,
    context: str,
    category: str,
    items: Sequence[SlateItem],
    kind: str = "",
) -> bytes:
    """The end of a slate's record: all but its id and time. An item's place in the list is its position."""
    rest = {
        "user_id": user_id,
        "tier": tier,
        "trace_id": trace_id,
        "model": model_version,
        "page": page,
        "context": context,
        "category": category,
        "items": [item.item_id for item in items],
        "scores": [round(item.score, 6) for item in items],
        "sources": [item.sources for item in items],
        "reasons": [item.reason_code for item in items],
    }
    if kind:
        rest["route"] = kind
    return b"," + _encode(rest)[1:]
