"""What is asked and what is answered: the slate, and its JSON put together from ready pieces."""

from collections.abc import Sequence
from itertools import count
from os import urandom

import msgspec
from msgspec import Struct

from shortlist.catalog.table import ItemTable
from shortlist.errors import ShortlistError
from shortlist.serving.cache import Pool, PooledItem
from shortlist.serving.reasons import words

CACHE, FRESH, STALE = "cache", "fresh", "stale"
PINNED = "pinned"  # the reason of what an operator put in its place
POPULAR_CATEGORY, POPULAR, TRENDING, CATALOG = "popular_category", "popular", "trending", "catalog"
NEW = "new"  # the reason of an item that is tried out
BROWSING = "browsing"  # the context of a request that names none
ONBOARDING = "onboarding"  # the first slates of a new user
VARIETY = "variety"  # the reason of an item that explores
TIERS = (CACHE, FRESH, STALE, ONBOARDING, POPULAR_CATEGORY, POPULAR, TRENDING, CATALOG)
KEPT = frozenset({FRESH, ONBOARDING})  # tiers of pools that are cached: nothing was missing

_encode = msgspec.json.Encoder().encode


class AskInvalid(ShortlistError):
    """A request asks for something that cannot be: the message names the field and what it may be."""


class Ask(Struct, frozen=True, kw_only=True):
    """One request for a slate. `limit` 0: as many as the settings say. `request_id` empty: one is made."""

    user_id: str
    limit: int = 0
    page: int = 1
    context: str = BROWSING
    category: str = ""  # primary category that items must have; empty: any
    exclude: tuple[str, ...] = ()
    filter: str = ""  # a condition that items must meet, see ranking.conditions
    is_shop: bool = False  # whether the shop itself asks: its filter may speak of what users must not know
    request_id: str = ""


class SlateItem(Struct, frozen=True, gc=False):
    """One item of a slate, as logged and explained."""

    item_id: str
    position: int  # from 0 on each page
    score: float
    reason: str  # in words
    reason_code: str
    sources: list[str]  # best contribution first


class Slate(Struct, frozen=True):
    """One answer. `body` is its JSON, as HTTP sends it."""

    request_id: str
    user_id: str | None
    tier: str
    items: list[SlateItem]
    page: int
    next_page: int | None
    model_version: str
    missing: dict[str, str]
    trace_id: str
    body: bytes


class RequestIds:
    """Ids of requests: unique over restarts and processes, ordered within one, 32 characters."""

    def __init__(self) -> None:
        self._prefix = urandom(10).hex()
        self._next = count(1).__next__

    def __call__(self) -> str:
        """The next one."""
        return "%s%012x" % (self._prefix, self._next())  # noqa: UP031  # half the time of an f-string here


def slate_items(items: Sequence[PooledItem], table: ItemTable) -> list[SlateItem]:
    """Pooled items in their places, with the reason in words."""
    return [
        SlateItem(
            item.item_id,
            place,
            item.score,
            words(item.reason, item.because, table),
            item.reason,
            list(item.sources),
        )
        for place, item in enumerate(items)
    ]


def items_json(items: Sequence[SlateItem], positions: Sequence[int], table: ItemTable) -> bytes:
    """The array of a slate's items, each with what the catalog says of it now."""
    fragments = table.fragments
    return b"[" + b",".join(
        b'{%b,"position":%d,"score":%.6g,"reason":%b,"reason_code":"%b","sources":%b}'
        % (
            fragments[position],
            item.position,
            item.score,
            _encode(item.reason),
            item.reason_code.encode(),
            _encode(item.sources),
        )
        for item, position in zip(items, positions, strict=True)
    ) + b"]"  # fmt: skip


class Body:
    """The JSON of one slate, ready but for what differs each time: request id, ages, time taken."""

    __slots__ = ("_after_age", "_after_id", "_appended_ms", "_before_took", "_trained_ms")

    def __init__(
        self,
        *,
        user_id: str | None,
        tier: str,
        items: bytes,
        page: int,
        next_page: int | None,
        pool: Pool,
        trained_ms: int,
    ) -> None:
        """items: as `items_json` makes them. trained_ms: when the model was trained; 0: there is none."""
        model = b'{"version":%b,"age_s":' % _encode(pool.model_version) if trained_ms else b"null"
        self._after_id = (
            b'","user_id":%b,"tier":"%b","recommendations":%b,"page":%d,"next_page":%b,"model":%b'
            % (_encode(user_id), tier.encode(), items, page, _encode(next_page), model)
        )
        self._trained_ms, self._appended_ms = trained_ms, pool.appended_ms
        self._after_age = b'%b,"features":{"version":%d,"interaction_count":%d,"age_ms":' % (
            b"}" if trained_ms else b"",
            pool.user_version,
            pool.interaction_count,
        )
        self._before_took = b'},"missing_sources":%b,"took_ms":' % _encode(pool.missing)

    def json(self, request_id: str, now_ms: int, took_s: float) -> bytes:
        """The whole of it. A user without events has no age of features: null."""
        return b'{"request_id":"%b%b%b%b%b%b%.3f}' % (
            request_id.encode(),
            self._after_id,
            b"%d" % ((now_ms - self._trained_ms) // 1000) if self._trained_ms else b"",
            self._after_age,
            b"%d" % max(0, now_ms - self._appended_ms) if self._appended_ms else b"null",
            self._before_took,
            took_s * 1000.0,
        )
