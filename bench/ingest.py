"""Durable events/s: POST /events in batches of 1, 10 and 100, each answered after its fsync.

Against appending the same bytes to the log directly, as many batches in flight, on the same disk. The server
and the direct appends have one core, wrk the other.
"""

import asyncio
import contextlib
import os
import tempfile
import time
from pathlib import Path

from bench._server import report, serving, token
from bench._wrk import Load, load, require_wrk
from shortlist.app.loop import owned
from shortlist.events.event import Event, EventType, encode
from shortlist.events.log import EVENTS, EventLog, Record
from shortlist.home import Home
from shortlist.settings import Settings

BATCHES, SECONDS, IN_FLIGHT, USERS = (1, 10, 100), 4.0, 64, 10_000
SERVER_CPU, CLIENT_CPU = 0, 1


def script(bearer: str, batch: int) -> str:
    """Views by many users. Every event is another: its id is made by the server."""
    return f"""
local n = 0
local headers = {{["Authorization"] = "Bearer {bearer}", ["Content-Type"] = "application/json"}}
request = function()
  local events = {{}}
  for i = 1, {batch} do
    n = n + 1
    events[i] = string.format(
      '{{"user_id":"u%d","type":"view","item_id":"i%d"}}', n * 7919 % {USERS}, n % 997)
  end
  return wrk.format("POST", "/events", headers, "[" .. table.concat(events, ",") .. "]")
end
"""


async def direct(log: EventLog, batch: int) -> float:
    """Events per second appended by `IN_FLIGHT` writers that wait for the disk."""
    count, until = 0, time.perf_counter() + SECONDS
    events = [
        Event(event_id=f"e{n}", user_id=f"u{n % USERS}", type=EventType.VIEW, item_id=f"i{n % 997}", ts=n)
        for n in range(batch)
    ]
    records = [Record(event.user_id, encode(event)) for event in events]

    async def writer() -> None:
        nonlocal count
        while time.perf_counter() < until:
            await log.append(EVENTS, records)
            count += batch

    began = time.perf_counter()
    await asyncio.gather(*(writer() for _ in range(IN_FLIGHT)))
    return count / (time.perf_counter() - began)


def appended_directly(folder: Path) -> dict[int, float]:
    """Events per second by batch size, on a fresh log."""
    with contextlib.suppress(AttributeError):
        os.sched_setaffinity(0, {SERVER_CPU})
    with owned(Settings(), Home(folder).make()) as loop:
        rates = {batch: asyncio.run(direct(loop.log, batch)) for batch in BATCHES}
    with contextlib.suppress(AttributeError):
        os.sched_setaffinity(0, range(os.cpu_count() or 1))
    return rates


def over_http(folder: Path) -> dict[int, Load]:
    """What wrk measured by batch size, on a server of its own."""
    Home(folder).make()
    with serving(folder, cpus={SERVER_CPU}) as server:
        bearer = token(folder, "bench", "service")
        url = f"http://127.0.0.1:{server.port}/events"
        return {
            batch: load(url, script(bearer, batch), seconds=SECONDS, in_flight=IN_FLIGHT, cpu=CLIENT_CPU)
            for batch in BATCHES
        }


def main() -> None:
    require_wrk()
    with tempfile.TemporaryDirectory() as folder:
        direct_per_s = appended_directly(Path(folder) / "direct")
        http = over_http(Path(folder) / "served")
    print(f"{'batch':>5}{'events/s':>10}{'p50 ms':>8}{'p99 ms':>8}{'direct/s':>10}{'ratio':>7}")
    for batch, one in http.items():
        assert one.bad == 0, f"{one.bad} requests failed at {batch} events each"
        per_s = one.per_s * batch
        print(
            f"{batch:5}{per_s:10.0f}{one.p50_us / 1e3:8.2f}{one.p99_us / 1e3:8.2f}"
            f"{direct_per_s[batch]:10.0f}{per_s / direct_per_s[batch]:7.2f}"
        )
    largest = BATCHES[-1]
    report(
        bench="ingest", in_flight=IN_FLIGHT,
        **{f"per_s_batch_{batch}": round(one.per_s * batch) for batch, one in http.items()},
        **{f"p99_ms_batch_{batch}": round(one.p99_us / 1e3, 2) for batch, one in http.items()},
        against="appending to the log directly",
        **{f"against_per_s_batch_{batch}": round(rate) for batch, rate in direct_per_s.items()},
        ratio=round(http[largest].per_s * largest / direct_per_s[largest], 3),
    )  # fmt: skip


if __name__ == "__main__":
    main()
