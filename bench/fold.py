"""How many events a second are folded into features, on one core, against decoding the same events only.

    python -m bench.fold [--events N] [--users N]

Everything counts: reading the log, de-duplication, reading and writing states, moving the offset.
"""

import argparse
import asyncio
import json
import random
import tempfile
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path

from shortlist.database import open_database
from shortlist.events.event import Event, EventType, decode, encode
from shortlist.events.log import EVENTS, EventLog, Record
from shortlist.events.log_rocksdb import RocksLog
from shortlist.features.processor import Processor
from shortlist.features.store_rocksdb import RocksFeatures
from shortlist.features.view import user_view
from shortlist.home import Home
from shortlist.settings import Settings

PARTITIONS = 100
# Shares of a shop's clickstream; impressions are fewer here than they are there, for they cost least.
KINDS = {
    "view": 60,
    "click": 15,
    "cart": 8,
    "purchase": 5,
    "rating": 3,
    "like": 2,
    "dislike": 1,
    "impression": 6,
}


def shopping(events: int, users: int) -> list[Record]:
    """A log in which a few users do much and most do little, each in sessions of their own."""
    rng = random.Random(7)
    kinds = rng.choices([EventType(kind) for kind in KINDS], list(KINDS.values()), k=events)
    records = []
    for n, kind in enumerate(kinds):
        user = f"user-{int(users * rng.betavariate(0.6, 2.0))}"
        item = rng.randrange(20_000)
        made = Event(
            event_id=f"{n:032x}",
            user_id=user,
            type=kind,
            item_id=f"item-{item}",
            ts=1_700_000_000_000 + n * 40,
            session_id=f"session-{n // 20_000}-{user}",
            category=f"category-{item % 40}",
            country="NL",
            device="mobile",
        )
        records.append(Record(user, encode(made)))
    return records


def folded(records: list[Record], batch: int) -> tuple[float, float]:
    """Events per second of the fold and of decoding alone, over a log of its own."""
    with tempfile.TemporaryDirectory() as folder:
        database = open_database(Home(Path(folder)))
        log = RocksLog(database, {EVENTS: PARTITIONS})
        asyncio.run(_append(log, records))
        store = RocksFeatures(database, user_view(Settings()), partitions=PARTITIONS, dedup_window=10_000)
        processor = Processor(log, store, batch=batch)
        fold_s = _seconds(lambda: processor.fold_all())
        assert processor.folded == len(records)
        decode_s = _seconds(lambda: deque((decode(record.value) for record in records), maxlen=0))
        log.close()
        database.close()
    return len(records) / fold_s, len(records) / decode_s


async def _append(log: EventLog, records: list[Record]) -> None:
    for start in range(0, len(records), 5_000):
        await log.append(EVENTS, records[start : start + 5_000])


def _seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--events", type=int, default=200_000)
    options.add_argument("--users", type=int, default=5_000)
    chosen = options.parse_args()
    records = shopping(chosen.events, chosen.users)
    result: dict[str, object] = {"bench": "fold", "events": len(records), "users": chosen.users}
    for batch in (200, 5_000):
        per_s, decoded_per_s = folded(records, batch)
        print(
            f"batches of {batch:5}: {per_s:9,.0f} events/s folded ({1e6 / per_s:.1f} µs each), "
            f"{decoded_per_s:11,.0f} decoded only"
        )
        suffix = "" if batch == 200 else f"_batch_{batch}"
        result[f"per_s{suffix}"] = round(per_s)
        result[f"against_per_s{suffix}"] = round(decoded_per_s)
        result[f"ratio{suffix}"] = round(per_s / decoded_per_s, 4)
    result["against"] = "decoding the same events only"
    print(json.dumps(result))


if __name__ == "__main__":
    main()
