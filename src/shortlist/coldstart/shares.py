"""Where a user lies for each of many new items: murmur2 of all at once.

A user's first slate after a change of what is tried out asks it of every item.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from shortlist.events.partition import murmur2

HASHES = 1 << 31
FEW = 6  # of one length: fewer are quicker one by one (100 items: 80 µs together, 550 µs so)

_M, _SEED = np.uint32(0x5BD1E995), 0x9747B28C
_R13, _R15, _R24 = np.uint32(13), np.uint32(15), np.uint32(24)


def prefix(salt: str, item_id: str) -> bytes:
    """What is hashed of an item; the user's id follows."""
    return f"{salt}:{item_id}:".encode("utf-8", "surrogatepass")


def hashed(salt: str, item_id: str, user_id: str) -> int:
    """Where a user lies for an item, from 0 to HASHES - 1: below a growing bound they stay."""
    return murmur2(prefix(salt, item_id) + user_id.encode("utf-8", "surrogatepass")) & (HASHES - 1)


class Shares:
    """The users of some items, each with a bound below which a user's hash may see it."""

    def __init__(self, salt: str, item_ids: Sequence[str], below: Sequence[int]) -> None:
        self._below = list(below)
        by_length: dict[int, list[int]] = {}
        self._prefixes = [prefix(salt, item_id) for item_id in item_ids]
        for index, start in enumerate(self._prefixes):
            by_length.setdefault(len(start), []).append(index)
        self._few = [index for group in by_length.values() if len(group) < FEW for index in group]
        self._many = [
            (
                np.array(group, np.int32),
                np.frombuffer(b"".join(self._prefixes[index] for index in group), np.uint8).reshape(
                    -1, length
                ),
                np.array([self._below[index] for index in group], np.uint32),
            )
            for length, group in by_length.items()
            if len(group) >= FEW
        ]

    def of(self, user_id: str) -> list[int]:
        """Indexes of the items that the user may see, ascending."""
        end = user_id.encode("utf-8", "surrogatepass")
        found = [
            index
            for index in self._few
            if murmur2(self._prefixes[index] + end) & (HASHES - 1) < self._below[index]
        ]
        for indexes, starts, below in self._many:
            found += indexes[murmur2_of(starts, end) & np.uint32(HASHES - 1) < below].tolist()
        return sorted(found)


def murmur2_of(starts: NDArray[np.uint8], end: bytes) -> NDArray[np.uint32]:
    """(n,) Kafka's murmur2, unsigned, of each row of `starts` (n, bytes) followed by `end`."""
    count, length = len(starts), starts.shape[1] + len(end)
    whole, rest = divmod(length, 4)
    keys = np.zeros((count, 4 * (whole + 1)), np.uint8)  # a last word with what is left, zeros above it
    keys[:, : starts.shape[1]] = starts
    keys[:, starts.shape[1] : length] = np.frombuffer(end, np.uint8)
    words = keys.view("<u4")
    mixed = words[:, :whole] * _M
    mixed ^= mixed >> _R24
    mixed *= _M
    h = np.full(count, _SEED ^ length, np.uint32)
    for at in range(whole):
        h *= _M
        h ^= mixed[:, at]
    if rest:
        h ^= words[:, whole]
        h *= _M
    h ^= h >> _R13
    h *= _M
    h ^= h >> _R15
    return h
