"""500 requests/s, 80 % hits and 20 % misses, while 1,000 events/s come in: what the hit and the miss cost.

Against the same hits alone on the same server, in the same call. A miss is a user whose pool was never asked
for; the events are views by users who are not asked about, so that they fold without recomputing the hits.
"""

import asyncio
import random
import tempfile
import time
from pathlib import Path

import msgspec

from bench._client import Connection, at_rate, percentiles
from bench._server import Server, copy_of, report, serving, token, trained_shop

SECONDS, REQUESTS_PER_S, EVENTS_PER_S, EVENTS_PER_POST = 20.0, 500.0, 1000.0, 10
WARM = 200  # users whose pools are cached


async def run(server: Server, home: Path) -> None:
    service = token(home, "bench", "service")
    rng = random.Random(7)
    items = [
        i["item_id"] for i in msgspec.json.decode(await one(server, service, "/items?limit=500"))["items"]
    ]
    warm = [f"warm-{n}" for n in range(WARM)]
    readers = [Connection(server.port) for _ in range(16)]
    writers = [Connection(server.port) for _ in range(8)]
    await post(writers[0], service, [view(user, rng.choice(items)) for user in warm for _ in range(3)])
    await asyncio.sleep(1.0)
    for user in warm:
        await readers[0].ask("GET", f"/recommendations?user_id={user}", service)

    async def hit(connection: Connection, number: int) -> None:
        status, _ = await connection.ask("GET", f"/recommendations?user_id={warm[number % WARM]}", service)
        assert status == 200, status

    tiers: dict[str, int] = {}
    hits: list[float] = []
    misses: list[float] = []

    async def either(connection: Connection, number: int) -> None:
        is_hit = number % 5 != 0
        user = warm[number % WARM] if is_hit else f"cold-{number}"
        began = time.perf_counter()
        status, body = await connection.ask("GET", f"/recommendations?user_id={user}", service)
        (hits if is_hit else misses).append((time.perf_counter() - began) * 1e3)
        assert status == 200, status
        tier = msgspec.json.decode(body)["tier"]
        tiers[tier] = tiers.get(tier, 0) + 1

    async def events(connection: Connection, number: int) -> None:
        batch = [view(f"writer-{rng.randrange(5000)}", rng.choice(items)) for _ in range(EVENTS_PER_POST)]
        await post(connection, service, batch)

    alone = await at_rate(REQUESTS_PER_S * 0.8, 5.0, readers, hit)
    # Every miss has a past, as a returning user's would: otherwise it would be the popular list.
    cold = [number for number in range(int(REQUESTS_PER_S * SECONDS)) if number % 5 == 0]
    past = [view(f"cold-{n}", rng.choice(items)) for n in cold for _ in range(5)]
    for start in range(0, len(past), 500):
        await post(writers[0], service, past[start : start + 500])
    await asyncio.sleep(2.0)
    _, event_times = await asyncio.gather(
        at_rate(REQUESTS_PER_S, SECONDS, readers, either),
        at_rate(EVENTS_PER_S / EVENTS_PER_POST, SECONDS, writers, events),
    )
    hit_ms, miss_ms, event_ms, alone_ms = map(percentiles, (hits, misses, event_times, alone))
    print(f"{'':24}{'p50 ms':>9}{'p99 ms':>9}{'p99.9 ms':>10}")
    for name, row in (
        ("hit alone", alone_ms),
        ("hit", hit_ms),
        ("miss", miss_ms),
        ("events accepted", event_ms),
    ):
        print(f"{name:24}{row['p50_ms']:9.2f}{row['p99_ms']:9.2f}{row['p999_ms']:10.2f}")
    total = sum(tiers.values())
    print("tiers", {tier: f"{count / total:.1%}" for tier, count in sorted(tiers.items())})
    report(
        bench="mixed", requests_per_s=REQUESTS_PER_S, events_per_s=EVENTS_PER_S, seconds=SECONDS,
        hit_p50_ms=hit_ms["p50_ms"], hit_p99_ms=hit_ms["p99_ms"],
        miss_p50_ms=miss_ms["p50_ms"], miss_p99_ms=miss_ms["p99_ms"],
        event_p99_ms=event_ms["p99_ms"], cache_hit_rate=round(tiers.get("cache", 0) / total, 3),
        against="the same hits alone", against_p99_ms=alone_ms["p99_ms"],
        ratio=round(hit_ms["p99_ms"] / max(alone_ms["p99_ms"], 1e-3), 2),
    )  # fmt: skip


def view(user: str, item: str) -> dict[str, str]:
    return {"user_id": user, "type": "view", "item_id": item}


async def post(connection: Connection, service: str, events: list[dict[str, str]]) -> None:
    status, body = await connection.ask("POST", "/events", service, msgspec.json.encode(events))
    assert status == 202, (status, body[:300])


async def one(server: Server, bearer: str, path: str) -> bytes:
    connection = Connection(server.port)
    status, body = await connection.ask("GET", path, bearer)
    connection.close()
    assert status == 200, (status, body[:300])
    return body


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        home = copy_of(trained_shop(), Path(folder) / "shop")
        with serving(home) as server:
            asyncio.run(run(server, home))


if __name__ == "__main__":
    main()
