"""What a shop may say of items and users beyond the fields that mean something here: how much of it."""

from collections.abc import Mapping
from typing import Any

import msgspec

MAX_KEYS = 100
MAX_BYTES = 16_384
MAX_DEPTH = 5


def refused(attributes: Mapping[str, Any]) -> str | None:
    """Why these may not be kept, in words that go behind their name; None: they may.

    >>> refused({"plan": "pro"})
    >>> refused({"likes": {"a": {"b": {"c": {"d": {}}}}}})
    'nested deeper than 5'
    """
    if len(attributes) > MAX_KEYS:
        return f"{len(attributes)} keys; there may be {MAX_KEYS}"
    if _depth(attributes) > MAX_DEPTH:
        return f"nested deeper than {MAX_DEPTH}"
    size = len(msgspec.json.encode(attributes))
    return f"{size} bytes of JSON; there may be {MAX_BYTES}" if size > MAX_BYTES else None


def _depth(value: Any, at: int = 0) -> int:
    if at > MAX_DEPTH or not isinstance(value, Mapping | list):
        return at
    inner = value.values() if isinstance(value, Mapping) else value
    return max((_depth(each, at + 1) for each in inner), default=at + 1)
