"""Users' attributes where slates are computed: the last users' in memory, the others' read when needed."""

import asyncio
from collections import OrderedDict
from concurrent.futures import TimeoutError as LateError
from threading import Lock
from typing import Any

import msgspec

from shortlist.catalog.store import CatalogUnavailable
from shortlist.catalog.users_store import NOTHING, Attributes, UserStore

# Of the users last asked for, most without any: as JSON, since decoding it (0.5 µs) costs less than a bound
# on objects would have to allow for: one user may have 16 kB of attributes, and in objects twenty times that.
KEPT_BYTES = 30_000_000
OVERHEAD = 200  # bytes of a user's id and place in here
READ_S = 0.030  # what a slate waits for them, of its 50 ms; a read takes 1 ms, the first of a process 20
CHANGES = 10_000

_decode = msgspec.json.Decoder(dict[str, Any]).decode


class UserAttributes:
    """Called with a user's id on a worker thread; everything else is for the event loop.

    Without a single user who has attributes nothing is read.
    """

    def __init__(
        self, store: UserStore, version: int, *, kept_bytes: int = KEPT_BYTES, read_s: float = READ_S
    ) -> None:
        """version: the store's, as of now. To be made on the event loop."""
        self.store, self._version, self._most, self._read_s = store, version, kept_bytes, read_s
        self._loop = asyncio.get_running_loop()
        self._kept: OrderedDict[str, bytes] = OrderedDict()
        self._bytes = 0
        self._lock = Lock()
        self._dropped = 0  # counts what was dropped: a read that began before holds no more

    def __call__(self, user_id: str) -> Attributes:
        """A user's attributes; empty where there are none. Raises CatalogUnavailable when they are late."""
        if not self._version:
            return NOTHING
        with self._lock:
            found = self._kept.get(user_id)
            if found is not None:
                self._kept.move_to_end(user_id)
                return _decode(found) if found else NOTHING
            dropped = self._dropped
        reading = asyncio.run_coroutine_threadsafe(self._read(user_id, dropped), self._loop)
        try:
            return reading.result(self._read_s)
        except LateError:  # it is read on: the next slate finds it
            raise CatalogUnavailable(f"attributes did not come within {self._read_s:g} s") from None

    async def _read(self, user_id: str, dropped: int) -> Attributes:
        (read,) = await self.store.read([user_id])
        with self._lock:
            if dropped == self._dropped:
                self._keep(user_id, read)
        return read

    def learn(self, user_id: str, attributes: Attributes) -> None:
        """Know what was just written, without reading it."""
        with self._lock:
            self._dropped += 1
            self._keep(user_id, attributes)

    def _keep(self, user_id: str, attributes: Attributes) -> None:
        self._drop(user_id)
        self._kept[user_id] = encoded = msgspec.json.encode(attributes) if attributes else b""
        self._bytes += len(encoded) + OVERHEAD
        while self._bytes > self._most:
            self._drop(next(iter(self._kept)))

    def _drop(self, user_id: str) -> None:
        encoded = self._kept.pop(user_id, None)
        if encoded is not None:
            self._bytes -= len(encoded) + OVERHEAD

    def drop(self, user_id: str) -> None:
        """Read this user's anew the next time."""
        with self._lock:
            self._dropped += 1
            self._drop(user_id)

    async def news(self) -> list[str]:
        """Users whose attributes were changed since the last look, by whatever process; dropped here."""
        changed: list[str] = []
        while rows := await self.store.changed(self._version, CHANGES):
            for self._version, user_id in rows:
                self.drop(user_id)
                changed.append(user_id)
        return changed
