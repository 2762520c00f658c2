"""A user's default slate, ready as bytes: what a cache hit costs is copying it (flow 1)."""

from dataclasses import dataclass

from shortlist.serving.slate import Body
from shortlist.serving.snapshot import Snapshot


@dataclass(slots=True, frozen=True)
class Hot:
    """The answer to GET /recommendations?user_id=… while nothing moved.

    It holds as long as the user's folds are `moves`, `snapshot` serves, and the catalog has its version.
    rest: the end of its record in the log of slates served.
    """

    moves: int
    snapshot: Snapshot
    catalog_version: int
    fresh_until_ms: int
    body: Body
    rest: bytes
