"""kill -9 of the server at random moments under load: nothing accepted is lost, features equal the log.

`make drill` kills fifty times. Events carry ids; what was answered 202 must stand in the log at the end, and
`shortlist verify` must find no user that differs. A request cut by the kill may or may not be in the log.
"""

import argparse
import asyncio
import contextlib
import random
import tempfile
import time
from pathlib import Path

import msgspec

from bench._client import Connection
from bench._server import Server, copy_of, report, shortlist, token, trained_shop
from shortlist.app.loop import followed
from shortlist.events.event import decode
from shortlist.events.log import EVENTS
from shortlist.home import Home
from shortlist.settings import Settings

WRITERS, READERS = 4, 2


async def load(server: Server, service: str, accepted: set[str], stop: asyncio.Event, seed: int) -> None:
    """Send events and ask for slates until told to stop; remember what was accepted."""
    rng = random.Random(seed)
    sent = 0

    async def write(number: int) -> None:
        nonlocal sent
        connection = Connection(server.port)
        while not stop.is_set():
            batch = []
            for _ in range(rng.randrange(1, 20)):
                sent += 1
                batch.append(
                    {
                        "event_id": f"{seed}-{number}-{sent}",
                        "user_id": f"user-{rng.randrange(300)}",
                        "item_id": f"item-{rng.randrange(500)}",
                        "type": rng.choice(
                            ["view", "view", "view", "click", "purchase", "cancel", "dislike"]
                        ),
                    }
                )
            batch += batch[:1]  # a client that retries: counted once
            status, _ = await connection.ask("POST", "/events", service, msgspec.json.encode(batch))
            if status == 202:
                accepted.update(event["event_id"] for event in batch)

    async def read() -> None:
        connection = Connection(server.port)
        while not stop.is_set():
            await connection.ask("GET", f"/recommendations?user_id=user-{rng.randrange(300)}", service)

    async def until_cut(work: asyncio.Task[None]) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, ValueError):
            await work

    tasks = [asyncio.create_task(write(n)) for n in range(WRITERS)]
    tasks += [asyncio.create_task(read()) for _ in range(READERS)]
    await asyncio.gather(*(until_cut(task) for task in tasks))


async def once(server: Server, service: str, accepted: set[str], seed: int) -> None:
    """One life of the server, ended by SIGKILL after 0.2 to 1.2 s of load."""
    stop = asyncio.Event()
    loading = asyncio.create_task(load(server, service, accepted, stop, seed))
    await asyncio.sleep(0.2 + random.Random(seed).random())
    await asyncio.to_thread(server.kill)
    stop.set()
    await loading


def logged(home: Path) -> set[str]:
    """Every event id in the log."""
    with followed(Settings(), Home(home)) as loop:
        found: set[str] = set()
        for partition in range(loop.log.partitions(EVENTS)):
            offset = loop.log.begins(EVENTS)[partition]
            while batch := loop.log.read(EVENTS, partition, offset, 1000):
                found.update(decode(record.value).event_id for record in batch)
                offset = batch[-1].offset + 1
        return found


def drill(home: Path, kills: int) -> dict[str, object]:
    """Kill and start again `kills` times on `home`; the figures."""
    service = token(home, "drill", "service")
    accepted: set[str] = set()
    starts = []
    for number in range(kills):
        server = Server(home)
        starts.append(server.start())
        asyncio.run(once(server, service, accepted, seed=number))
    server = Server(home)
    starts.append(server.start())
    server.stop()
    lost = accepted - logged(home)
    verified = shortlist("verify", home=home)
    print(verified)
    return {
        "kills": kills,
        "accepted": len(accepted),
        "lost": len(lost),
        "start_after_kill_s_max": round(max(starts[1:]), 2),
        "start_after_kill_s_mean": round(sum(starts[1:]) / len(starts[1:]), 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=50)
    kills = parser.parse_args().kills
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        figures = drill(copy_of(trained_shop(), Path(folder) / "shop"), kills)
    assert figures["lost"] == 0, figures
    report(
        bench="kill", **figures, seconds=round(time.monotonic() - began), against="an unkilled log", ratio=1.0
    )


if __name__ == "__main__":
    main()
