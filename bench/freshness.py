"""From an event handed to the log to the feature that a slate would read: durable, folded, visible.

In one process, as in the server: append (with its fsync), the processor's thread, a read of the store.
Against the bare engine: one synced write and one read of the same size, in turns.
"""

import asyncio
import tempfile
import time
from pathlib import Path

from rocksdict import WriteBatch

from bench._client import percentiles
from bench._server import report
from shortlist.app.loop import Loop, owned, processor
from shortlist.database import Database, open_database
from shortlist.events.event import Event, EventType, encode
from shortlist.events.log import EVENTS, Record
from shortlist.home import Home
from shortlist.settings import Settings

EVENTS_TIMED, USERS, GIVE_UP_S = 2_000, 300, 5.0


async def visible(loop: Loop, number: int) -> float:
    """Milliseconds from `append` until the user's features count the event."""
    user, now_ms = f"user-{number % USERS}", time.time_ns() // 1_000_000
    event = Event(
        event_id=f"e-{number}", user_id=user, type=EventType.VIEW, item_id=f"item-{number % 97}", ts=now_ms
    )
    before = loop.features.read([user], now_ms)[0].interaction_count
    began = time.perf_counter()
    await loop.log.append(EVENTS, [Record(user, encode(event))])
    while loop.features.read([user], now_ms)[0].interaction_count == before:
        if time.perf_counter() - began > GIVE_UP_S:
            raise SystemExit("the event never became a feature")
        await asyncio.sleep(0)
    return (time.perf_counter() - began) * 1e3


def bare(database: Database, number: int) -> float:
    """Milliseconds of one synced write and one read of the engine alone."""
    key, value = f"bench-{number}".encode(), b"x" * 200
    began = time.perf_counter()
    batch = WriteBatch(raw_mode=True)
    batch.put(key, value, database.handles["meta"])
    database.write(batch)
    database.sync()
    assert database.families["meta"].get(key) == value
    return (time.perf_counter() - began) * 1e3


def main() -> None:
    settings = Settings()
    with tempfile.TemporaryDirectory() as folder:
        ours, engine = [], []
        with owned(settings, Home(Path(folder) / "shop")) as loop:
            folding = processor(settings, loop)
            folding.start()
            database = open_database(Home(Path(folder) / "bare"))
            with asyncio.Runner() as runner:
                for number in range(EVENTS_TIMED):
                    ours.append(runner.run(visible(loop, number)))
                    engine.append(bare(database, number))
            database.close()
            folding.stop()
    figures, least = percentiles(ours[100:]), percentiles(engine[100:])
    print(f"event → feature visible   p50 {figures['p50_ms']} ms, p99 {figures['p99_ms']} ms")
    print(f"bare synced write + read  p50 {least['p50_ms']} ms, p99 {least['p99_ms']} ms")
    report(
        bench="freshness", events=len(ours), p50_ms=figures["p50_ms"], p99_ms=figures["p99_ms"],
        against="a synced write and a read of RocksDB", against_p50_ms=least["p50_ms"],
        against_p99_ms=least["p99_ms"], ratio=round(figures["p50_ms"] / max(least["p50_ms"], 1e-3), 2),
    )  # fmt: skip


if __name__ == "__main__":
    main()
