"""A small HTTP/1.1 client for benchmarks: keep-alive connections, times measured from when a request was due.

Measuring from the due time, not from the send, keeps a stalled server from hiding its own stall
(coordinated omission).
"""

import asyncio
import time
from collections.abc import Awaitable, Callable

import numpy as np


class Connection:
    """One keep-alive connection; requests go one after the other."""

    def __init__(self, port: int) -> None:
        self.port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(
        self, method: str, path: str, token: str, body: bytes = b"", content_type: str = "application/json"
    ) -> tuple[int, bytes]:
        """Status and body of one request."""
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self.port)
        reader, writer = self._streams
        head = f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {token}\r\n"
        if body:
            head += f"Content-Type: {content_type}\r\nContent-Length: {len(body)}\r\n"
        writer.write(head.encode() + b"\r\n" + body)
        raw = await reader.readuntil(b"\r\n\r\n")
        status, length = int(raw[9:12]), 0
        for line in raw.lower().split(b"\r\n"):
            if line.startswith(b"content-length:"):
                length = int(line[15:])
        return status, await reader.readexactly(length)

    def close(self) -> None:
        """Close the connection."""
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None


async def at_rate(
    per_s: float,
    seconds: float,
    connections: list[Connection],
    do: Callable[[Connection, int], Awaitable[None]],
) -> list[float]:
    """Start `do` at a fixed rate, whatever the server does; milliseconds from due to done, in order of due.

    A request waits for a free connection; that wait counts.
    """
    free: asyncio.Queue[Connection] = asyncio.Queue()
    for connection in connections:
        free.put_nowait(connection)
    count = int(per_s * seconds)
    times = [0.0] * count
    start = time.perf_counter()

    async def one(number: int, due: float) -> None:
        connection = await free.get()
        try:
            await do(connection, number)
        finally:
            free.put_nowait(connection)
        times[number] = (time.perf_counter() - due) * 1e3

    tasks = []
    for number in range(count):
        due = start + number / per_s
        if (wait := due - time.perf_counter()) > 0:
            await asyncio.sleep(wait)
        tasks.append(asyncio.create_task(one(number, due)))
    await asyncio.gather(*tasks)
    return times


def percentiles(times: list[float]) -> dict[str, float]:
    """p50, p99 and p99.9 in ms."""
    p50, p99, p999 = np.percentile(times, [50, 99, 99.9]) if times else (0.0, 0.0, 0.0)
    return {"p50_ms": round(float(p50), 3), "p99_ms": round(float(p99), 3), "p999_ms": round(float(p999), 3)}
