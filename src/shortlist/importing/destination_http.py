"""An import beside a running server: events go through its API, for it alone may append."""

import asyncio
import http.client
import time
from collections.abc import Callable, Iterator, Sequence
from urllib.parse import urlsplit

import msgspec

from shortlist.catalog.item import Item
from shortlist.catalog.store import CatalogStore
from shortlist.events.event import Event
from shortlist.events.log import EVENTS, EventLog
from shortlist.importing.destination import Destination, categories_in, ids_since, where_bare
from shortlist.importing.problem import ImportFailed
from shortlist.progress import Report

# Below this the server takes a number for seconds (1e11 s is the year 5138).
SECONDS_BELOW = 100_000_000_000
# A busy server, or one whose log queue is full, says 429 or 503: as often as a minute's patience allows.
PATIENCE_S = 60.0
TIMEOUT_S = 30.0


class ServerApi(Destination):
    """A server's API for events; the catalog's own database for items, which the server looks at each second.

    Batches of 1,000 are what one request may hold."""

    batch = 1_000

    def __init__(
        self,
        url: str,
        token: Callable[[], str],
        catalog: CatalogStore,
        log: EventLog,
        *,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """token: makes a token of service scope. log: of the same home, to read beside its owner."""
        parts = urlsplit(url)
        self._connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=TIMEOUT_S)
        self._url, self._token, self._catalog, self._log, self._sleep = url, token, catalog, log, sleep

    async def put_items(self, items: Sequence[Item]) -> None:
        """See the port."""
        await self._catalog.put(items)

    async def put_where_bare(self, items: Sequence[Item]) -> int:
        """See the port."""
        filled = await where_bare(self._catalog, items)
        await self._catalog.put(filled)
        return len(filled)

    async def add_missing(self, item_ids: Sequence[str]) -> int:
        """See the port."""
        return await self._catalog.add_missing(item_ids)

    async def categories(self) -> dict[str, str]:
        """See the port. The server may not show yet what was just written, so events bring their category."""
        return await categories_in(self._catalog)

    async def append(self, events: Sequence[Event]) -> None:
        """See the port. Raises ImportFailed when the server refuses an event or does not come back."""
        for start in range(0, len(events), self.batch):
            body = msgspec.json.encode([_sent(event) for event in events[start : start + self.batch]])
            answer = await asyncio.to_thread(self._patiently, "POST", "/events", body)
            refused = answer.get("refused") if isinstance(answer, dict) else None
            if refused:
                first = refused[0]
                raise ImportFailed(
                    f"the server at {self._url} refused {len(refused)} events; the first: "
                    f"{first.get('field')} {first.get('error')}"
                )

    def ends(self) -> list[int]:
        """See the port."""
        return self._log.ends(EVENTS)

    def ids_since(self, ends: Sequence[int]) -> Iterator[str]:
        """See the port."""
        return ids_since(self._log, ends)

    def fold(self, report: Report) -> None:
        """Nothing to do: the server folds what comes."""

    def close(self) -> None:
        """Let go of the connection."""
        self._connection.close()

    def _patiently(self, method: str, path: str, body: bytes) -> object:
        waited = 0.0
        while True:
            try:
                status, answer = self._ask(method, path, body)
            except OSError as error:
                # Sent again after a cut connection, events keep their ids: the fold counts each once.
                status, answer = 0, str(error) or type(error).__name__
            if 200 <= status < 300:
                return answer
            if status not in (0, 408, 429, 500, 502, 503, 504) or waited >= PATIENCE_S:
                said = answer.get("detail", answer) if isinstance(answer, dict) else answer
                raise ImportFailed(
                    f"the server at {self._url} does not take events ({status or 'no answer'}: {said}); "
                    "give the same command again: it goes on where it stopped"
                )
            self._sleep(0.5)
            waited += 0.5

    def _ask(self, method: str, path: str, body: bytes | None) -> tuple[int, object]:
        headers = {"Authorization": f"Bearer {self._token()}", "Content-Type": "application/json"}
        try:
            self._connection.request(method, path, body, headers)
            response = self._connection.getresponse()
            data = response.read()
        except (http.client.HTTPException, OSError) as error:
            self._connection.close()
            raise OSError(str(error) or type(error).__name__) from error
        try:
            return response.status, msgspec.json.decode(data) if data else None
        except msgspec.DecodeError:
            return response.status, data[:200].decode("utf-8", "replace")


def _sent(event: Event) -> dict[str, object]:
    fields: dict[str, object] = msgspec.to_builtins(event)
    if event.ts < SECONDS_BELOW:
        fields["ts"] = event.ts / 1000
    return fields
