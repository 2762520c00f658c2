"""From a click to a slate that knows it, over HTTP: POST /events, then ask until the slate differs.

Against a slate asked for without a click (what one request costs).
"""

import asyncio
import random
import tempfile
import time
from pathlib import Path

import msgspec

from bench._client import Connection, percentiles
from bench._server import Server, copy_of, report, serving, token, trained_shop
from bench.mixed import one, post, view

USERS, CLICKS, GIVE_UP_S = 40, 5, 2.0


async def run(server: Server, home: Path) -> None:
    service, rng = token(home, "bench", "service"), random.Random(7)
    items = [
        i["item_id"] for i in msgspec.json.decode(await one(server, service, "/items?limit=500"))["items"]
    ]
    connection = Connection(server.port)

    async def slate(user: str) -> list[str]:
        status, body = await connection.ask("GET", f"/recommendations?user_id={user}", service)
        assert status == 200, status
        return [item["item_id"] for item in msgspec.json.decode(body)["recommendations"]]

    reactions, plain, unchanged = [], [], 0
    for number in range(USERS):
        user = f"reaction-{number}"
        await post(connection, service, [view(user, rng.choice(items)) for _ in range(3)])
        await asyncio.sleep(0.1)
        before = await slate(user)
        for _ in range(CLICKS):
            began = time.perf_counter()
            assert await slate(user) == before, "a slate changed without an event"
            plain.append((time.perf_counter() - began) * 1e3)
            click = {"user_id": user, "type": "click", "item_id": rng.choice(items)}
            began = time.perf_counter()
            await post(connection, service, [click])
            now = before
            while now == before and time.perf_counter() - began < GIVE_UP_S:
                now = await slate(user)
            if now == before:
                unchanged += 1
            else:
                reactions.append((time.perf_counter() - began) * 1e3)
            before = now
    figures, cost = percentiles(reactions), percentiles(plain)
    print(f"{len(reactions)} clicks changed the slate, {unchanged} left it as it was")
    print(f"click → changed slate   p50 {figures['p50_ms']} ms, p99 {figures['p99_ms']} ms")
    print(f"a slate without a click p50 {cost['p50_ms']} ms, p99 {cost['p99_ms']} ms")
    report(
        bench="reaction", clicks=len(reactions), unchanged=unchanged, p50_ms=figures["p50_ms"],
        p99_ms=figures["p99_ms"], against="GET of the slate alone", against_p99_ms=cost["p99_ms"],
        ratio=round(figures["p50_ms"] / max(cost["p50_ms"], 1e-3), 1),
    )  # fmt: skip


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        home = copy_of(trained_shop(), Path(folder) / "shop")
        with serving(home, cpus={0}) as server:
            asyncio.run(run(server, home))


if __name__ == "__main__":
    main()
