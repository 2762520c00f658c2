"""A user's default slate, ready as bytes: what a cache hit costs is copying it (flow 1)."""

from dataclasses import dataclass

from shortlist.serving.cache import Pool
from shortlist.serving.pool import Cut
from shortlist.serving.slate import Body, SlateItem
from shortlist.serving.snapshot import Snapshot


@dataclass(slots=True, frozen=True)
class Page:
    """One page of a pool, put into words and JSON; the same whatever tier answers with it."""

    cut: Cut
    items: list[SlateItem]
    cards: bytes


@dataclass(slots=True)
class Hot:
    """The answer to GET /recommendations?user_id=… while nothing moved.

    It holds as long as the user's folds are `moves`, `snapshot` serves, and the catalog has its version.
    rest: the end of its record in the log of slates served. unlogged: its pool, until that has served once.
    """

    moves: int
    snapshot: Snapshot
    catalog_version: int
    fresh_until_ms: int
    body: Body
    rest: bytes
    unlogged: Pool | None = None
