"""The rate limiter inside one process: GCRA, one float per caller."""

from threading import Lock

from shortlist.gateway.limits import Limit, RateLimiter


class MemoryRateLimiter(RateLimiter):
    """GCRA: a caller's theoretical arrival time moves on by one interval per request.

    Bounded: above `max_keys` callers of one limit those whose time has passed are dropped (they have their
    full burst anyway), then the oldest. Not shared between processes; threads may share it.
    Source: ITU-T I.371, the generic cell rate algorithm, virtual scheduling.
    """

    def __init__(self, max_keys: int = 200_000) -> None:
        self.max_keys = max_keys
        self.arrivals: dict[str, dict[str, float]] = {}  # by limit, then by caller
        self._lock = Lock()

    async def take(self, limit: Limit, key: str, now_s: float) -> float:
        """See the port; never waits."""
        return self.take_at_once(limit, key, now_s)

    def take_at_once(self, limit: Limit, key: str, now_s: float) -> float:
        """See the port."""
        with self._lock:
            return self._take(limit, key, now_s)

    def _take(self, limit: Limit, key: str, now_s: float) -> float:
        arrivals = self.arrivals.get(limit.name)
        if arrivals is None:
            arrivals = self.arrivals[limit.name] = {}
        known = arrivals.get(key)
        arrival = now_s if known is None or known < now_s else known
        # A burst of per_min requests fills a minute: the last one's arrival lies just within 60 s from now.
        after = arrival + 60.0 / limit.per_min
        wait = after - now_s - 60.0
        if wait > 1e-9:  # rounding of the sum above, not a request too many
            return wait
        if known is None and len(arrivals) >= self.max_keys:
            arrivals = self.arrivals[limit.name] = self._with_room(arrivals, now_s)
        arrivals[key] = after
        return 0.0

    def _with_room(self, arrivals: dict[str, float], now_s: float) -> dict[str, float]:
        """A tenth of the room free, so that a flood of callers does not pay for this walk each time."""
        kept = [(key, arrival) for key, arrival in arrivals.items() if arrival > now_s]
        return dict(kept[-(self.max_keys * 9 // 10) :])
