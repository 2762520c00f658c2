"""A user's default slate, ready as bytes: what a cache hit costs is copying it (flow 1)."""

from dataclasses import dataclass

from shortlist.coldstart.exploration import Explored, Trial
from shortlist.serving.cache import Pool
from shortlist.serving.inputs import CutInputs
from shortlist.serving.pool import Cut
from shortlist.serving.slate import Body, SlateItem
from shortlist.serving.snapshot import Snapshot


@dataclass(slots=True, frozen=True)
class Page:
    """One page of a pool, put into words and JSON; the same whatever tier answers with it.

    read: what it was cut from, beside the pool. explored: places that went to new items. trial: the new items
    that were tried out when it was made."""

    cut: Cut
    items: list[SlateItem]
    cards: bytes
    read: CutInputs
    explored: tuple[Explored, ...] = ()
    trial: Trial | None = None


@dataclass(slots=True)
class Hot:
    """The answer to GET /recommendations?user_id=… while nothing moved.

    It holds as long as the user's folds are `moves`, `snapshot` serves, the catalog has its version, and
    `trial` is what is tried out.
    rest: the end of its record in the log of slates served. unlogged: its pool, until that has served once.
    """

    moves: int
    snapshot: Snapshot
    catalog_version: int
    fresh_until_ms: int
    body: Body
    rest: bytes
    trial: Trial | None = None
    unlogged: Pool | None = None
