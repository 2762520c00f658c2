"""The rate limiter inside one process: GCRA, one float per caller."""

from shortlist.gateway.limits import Limit, RateLimiter


class MemoryRateLimiter(RateLimiter):
    """GCRA: a caller's theoretical arrival time moves on by one interval per request.

    Bounded: above `max_keys` callers those whose time has passed are dropped (they have their full burst
    anyway), then the oldest. Not shared between processes. For one thread.
    Source: ITU-T I.371, the generic cell rate algorithm, virtual scheduling.
    """

    def __init__(self, max_keys: int = 200_000) -> None:
        self.max_keys = max_keys
        self.arrivals: dict[tuple[str, str], float] = {}

    async def take(self, limit: Limit, key: str, now_s: float) -> float:
        """See the port; never waits."""
        return self.take_at_once(limit, key, now_s)

    def take_at_once(self, limit: Limit, key: str, now_s: float) -> float:
        """See the port."""
        name = (limit.name, key)
        arrival = self.arrivals.get(name, now_s)
        if arrival < now_s:
            arrival = now_s
        # A burst of per_min requests fills a minute: the last one's arrival lies just within 60 s from now.
        after = arrival + 60.0 / limit.per_min
        wait = after - now_s - 60.0
        if wait > 1e-9:  # rounding of the sum above, not a request too many
            return wait
        if name not in self.arrivals and len(self.arrivals) >= self.max_keys:
            self._make_room(now_s)
        self.arrivals[name] = after
        return 0.0

    def _make_room(self, now_s: float) -> None:
        self.arrivals = {name: arrival for name, arrival in self.arrivals.items() if arrival > now_s}
        # Room for a tenth at once, so that a flood of callers does not pay for this walk each time.
        excess = len(self.arrivals) - self.max_keys * 9 // 10
        for name in list(self.arrivals)[: max(excess, 0)]:
            del self.arrivals[name]
