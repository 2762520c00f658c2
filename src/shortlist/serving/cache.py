"""The port of the slate cache: pools of ranked items, ready to be cut into slates."""

from abc import ABC, abstractmethod

from msgspec import Struct

from shortlist.serving.inputs import Inputs


class PooledItem(Struct, frozen=True, array_like=True, gc=False):
    """One item of a pool with why it is there."""

    item_id: str
    score: float  # calibrated probability after boosts
    sources: dict[str, float]  # raw score by source name
    reason: str  # code of the reason, see serving.reasons
    because: str  # item_id, category or empty: what the reason speaks of


class Pool(Struct, frozen=True, gc=False):
    """The best items of one user, context, category and filter under one model version, in rank order
    (design 11)."""

    trace_id: str  # request id of the miss that made it
    made_ms: int
    model_version: str
    user_version: int  # Features.version it was made from: filters differ when this moved
    taste_version: int  # Features.taste_version: the order differs when this moved
    catalog_version: int
    rules_version: str
    tier: str  # what answered the miss: fresh, popular_category, popular, trending, catalog
    missing: dict[str, str]  # source -> why it brought nothing (late, failed, busy)
    items: list[PooledItem]
    rules: tuple[str, ...] = ()  # the operator's rules that applied when it was made
    factors: dict[str, float] = {}  # by what they multiplied the scores of its items
    interaction_count: int = 0  # of the features it was made from
    appended_ms: int = 0  # when the user's last event was appended, as those features have it
    inputs: Inputs | None = None  # what else its maker read, for replays


def key_of(user_id: str, context: str, category: str, where: str = "") -> str:
    """The key of a pool. Ids hold no control characters, so the user's part cannot run into the rest.

    where: the request's filter.

    >>> user_of(key_of("ann", "browsing", "Shoes"))
    'ann'
    """
    return f"{user_id}\n{context}\n{category}" + (f"\n{where}" if where else "")


def user_of(key: str) -> str:
    """Whose pool a key names."""
    return key.partition("\n")[0]


class SlateCache(ABC):
    """Pools by key, bounded in number and age. For the event loop: no call blocks.

    Keys are made by `key_of`. A cache may lose any pool at any time; it never gives back another one.
    """

    @abstractmethod
    async def get(self, key: str) -> Pool | None:
        """The pool, up to `cache.stale_s` after its `made_ms`; the caller judges its age."""

    @abstractmethod
    async def put(self, key: str, pool: Pool) -> None:
        """Keep a pool, replacing an older one."""

    @abstractmethod
    async def forget(self, user_id: str) -> None:
        """Drop every pool of a user."""
