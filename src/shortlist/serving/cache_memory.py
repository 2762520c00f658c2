"""The slate cache inside this process: the pools used last, bounded in number and bytes. Lost at restart."""

from collections import OrderedDict
from collections.abc import Callable

import msgspec

from shortlist.ops import telemetry
from shortlist.serving.cache import Pool, SlateCache, user_of
from shortlist.settings import CacheSettings

OVERHEAD = 300  # bytes of a key, its entry and its place in the index


class MemorySlateCache(SlateCache):
    """Pools as bytes: a tenth of the memory of the objects, and nothing for the garbage collector to walk
    (50,000 pools of 100 items would be five million objects, and pauses of a second)."""

    def __init__(self, settings: CacheSettings, now_ms: Callable[[], int]) -> None:
        """now_ms: the clock, in ms since 1970."""
        self.settings, self._now_ms = settings, now_ms
        self._pools: OrderedDict[str, tuple[int, bytes]] = OrderedDict()  # key -> (gone at ms, pool)
        self._keys: dict[str, set[str]] = {}  # user -> their keys
        self._bytes = 0
        self._encode = msgspec.msgpack.Encoder().encode
        self._decode = msgspec.msgpack.Decoder(Pool).decode

    async def get(self, key: str) -> Pool | None:
        """See `SlateCache.get`."""
        entry = self._pools.get(key)
        if entry is None:
            return None
        gone_at, data = entry
        if self._now_ms() >= gone_at:
            self._drop(key)
            return None
        self._pools.move_to_end(key)
        return self._decode(data)

    async def put(self, key: str, pool: Pool) -> None:
        """See `SlateCache.put`. The pools not used for longest make room."""
        if key in self._pools:
            self._drop(key)
        data = self._encode(pool)
        self._pools[key] = (pool.made_ms + int(self.settings.stale_s * 1000), data)
        self._keys.setdefault(user_of(key), set()).add(key)
        self._bytes += _size(key, data)
        while len(self._pools) > self.settings.max_entries or self._bytes > self.settings.max_bytes:
            self._drop(next(iter(self._pools)))  # an OrderedDict finds its first at once
        telemetry.CACHE_ENTRIES.set(len(self._pools))

    async def forget(self, user_id: str) -> None:
        """See `SlateCache.forget`."""
        for key in list(self._keys.get(user_id, ())):
            self._drop(key)

    def __len__(self) -> int:
        return len(self._pools)

    def _drop(self, key: str) -> None:
        _, data = self._pools.pop(key)
        self._bytes -= _size(key, data)
        user_id = user_of(key)
        keys = self._keys[user_id]
        keys.discard(key)
        if not keys:
            del self._keys[user_id]


def _size(key: str, data: bytes) -> int:
    return len(data) + 2 * len(key) + OVERHEAD
