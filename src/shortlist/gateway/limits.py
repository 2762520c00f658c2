"""The port of the rate limiter: how often one caller may ask."""

from abc import ABC, abstractmethod

from msgspec import Struct

from shortlist.errors import ShortlistError


class RateLimited(ShortlistError):
    """This caller asked too often; the next request is welcome after `retry_after_s`."""

    def __init__(self, limit: "Limit", retry_after_s: float) -> None:
        super().__init__(
            f"more than {limit.per_min} requests to {limit.name} in a minute; "
            f"try again in {retry_after_s:.1f} s"
        )
        self.limit = limit
        self.retry_after_s = retry_after_s


class Limit(Struct, frozen=True):
    """Requests per minute under one name; a full minute's worth may come at once (the burst)."""

    name: str
    per_min: int


class RateLimiter(ABC):
    """Counts requests by (limit, key). `now_s` is a clock that never goes back, the same in every call."""

    @abstractmethod
    async def take(self, limit: Limit, key: str, now_s: float) -> float:
        """Count one request if it may go on, in one atomic step, and return 0.0.

        Else count nothing and return the seconds after which a request would be admitted. An adapter that
        cannot reach its engine admits within a local limit rather than refusing everybody."""

    def take_at_once(self, limit: Limit, key: str, now_s: float) -> float | None:
        """The same without waiting, for the hit path; None where the adapter would have to wait."""
        return None
