"""The hit: GET /recommendations from a warmed cache, token and rate limit on, every slate logged.

Against a bare ASGI hello on the same server (Granian, uvloop), in turns, both pinned to one core and wrk to
another, 16 in flight. The rate limit counts but is set out of reach, since a refusal would be cheaper still.
"""

import asyncio
import contextlib
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import uvloop

from bench._client import Connection
from bench._server import ROOT, Server, copy_of, free_port, report, serving, trained_shop
from bench._wrk import Load, load, lua_list, require_wrk
from shortlist.gateway.auth import token_for
from shortlist.gateway.keys import signing_secret
from shortlist.gateway.server import bound, listening
from shortlist.home import Home
from shortlist.process import tune_interpreter
from shortlist.settings import Settings

USERS, ROUNDS, SECONDS, IN_FLIGHT = 1_000, 5, 4.0, 16
SERVER_CPU, CLIENT_CPU = 0, 1
UNREACHED = {"SHORTLIST_LIMITS__RECOMMENDATIONS_PER_MIN": "100000000"}
HELLO = 'request = function() return wrk.format("GET", "/") end'


class Hello:
    """The least that an ASGI application can do."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        headers = [(b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b'{"hello":"world"}'})

    async def drain(self, timeout_s: float) -> bool:
        return True


async def hello(port: int) -> None:
    tune_interpreter()  # as `serve` does
    async with listening(Hello(), bound("127.0.0.1", port), drain_s=1.0):
        await asyncio.Event().wait()


@contextlib.contextmanager
def saying_hello() -> Iterator[int]:
    """The hello in a process of its own, on the server's core."""
    port = free_port()
    child = subprocess.Popen([sys.executable, "-m", "bench.hit", "hello", str(port)], cwd=ROOT)
    try:
        with contextlib.suppress(AttributeError):
            os.sched_setaffinity(child.pid, {SERVER_CPU})
        while not _answers(port):
            time.sleep(0.05)
        yield port
    finally:
        child.terminate()
        child.wait()


def _answers(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


def tokens(home: Path, users: list[str]) -> list[str]:
    """A token of each user's own."""
    secret, now_s = signing_secret(Home(home), Settings()), time.time()
    return [token_for(secret, user, now_s=now_s, ttl_s=3600.0) for user in users]


async def warm(port: int, users: list[str], bearers: list[str]) -> None:
    """Ask for everybody's slate until it comes from the cache."""
    connection = Connection(port)
    for user, bearer in zip(users, bearers, strict=True):
        for _ in range(20):
            status, body = await connection.ask("GET", f"/recommendations?user_id={user}", bearer)
            assert status == 200, (status, body[:300])
            if b'"tier":"cache"' in body:
                break
        else:
            raise SystemExit(f"{user}'s slate never came from the cache: no model serves? {body[-200:]!r}")
    connection.close()


def hits_counted(server: Server) -> int:
    """How many hits the server says it answered."""
    text = server.ask("/metrics")[1].decode()
    line = next(line for line in text.splitlines() if line.startswith("shortlist_hit_seconds_count"))
    return int(float(line.split()[1]))


def script(users: list[str], bearers: list[str]) -> str:
    """Every user in turn, each with the own token; requests are put together once."""
    paths = [f"/recommendations?user_id={user}" for user in users]
    return f"""
local paths, tokens, ready, n = {lua_list(paths)}, {lua_list(bearers)}, {{}}, 0
init = function()
  for i = 1, #paths do
    ready[i] = wrk.format("GET", paths[i], {{["Authorization"] = "Bearer " .. tokens[i]}})
  end
end
request = function() n = n % #ready + 1; return ready[n] end
"""


def main() -> None:
    require_wrk()
    users = [f"bench-{number}" for number in range(USERS)]
    options = {"cpus": {SERVER_CPU}, "environ": UNREACHED}
    with tempfile.TemporaryDirectory() as folder, saying_hello() as hello_port:
        home = copy_of(trained_shop(), Path(folder) / "shop")
        with serving(home, **options) as server:
            bearers = tokens(home, users)
            asyncio.run(warm(server.port, users, bearers))
            rounds: list[tuple[Load, Load]] = []
            before, lua = hits_counted(server), script(users, bearers)
            for _ in range(ROUNDS):
                bare = load(f"http://127.0.0.1:{hello_port}/", HELLO, seconds=SECONDS,
                            in_flight=IN_FLIGHT, cpu=CLIENT_CPU)  # fmt: skip
                hit = load(f"http://127.0.0.1:{server.port}/", lua, seconds=SECONDS,
                           in_flight=IN_FLIGHT, cpu=CLIENT_CPU)  # fmt: skip
                rounds.append((bare, hit))
            share = (hits_counted(server) - before) / sum(hit.requests for _, hit in rounds)
    told(rounds, share)


def told(rounds: list[tuple[Load, Load]], share: float) -> None:
    """Print the rounds, and the median of each figure as the last line."""
    print(f"{'round':>5}{'hello/s':>10}{'p99 ms':>8}{'hits/s':>10}{'p50 ms':>8}{'p99 ms':>8}{'ratio':>7}")
    for number, (bare, hit) in enumerate(rounds, 1):
        print(
            f"{number:5}{bare.per_s:10.0f}{bare.p99_us / 1e3:8.2f}{hit.per_s:10.0f}"
            f"{hit.p50_us / 1e3:8.2f}{hit.p99_us / 1e3:8.2f}{hit.per_s / bare.per_s:7.2f}"
        )
    assert all(one.bad == 0 for pair in rounds for one in pair), "some requests failed"
    # A little over 100 %: wrk does not count the requests that it cuts off at the end of a run.
    print(f"answered on the hit path: {share:.1%}")
    report(
        bench="hit", in_flight=IN_FLIGHT, users=USERS,
        per_s=round(statistics.median(hit.per_s for _, hit in rounds)),
        p50_ms=round(statistics.median(hit.p50_us for _, hit in rounds) / 1e3, 3),
        p99_ms=round(statistics.median(hit.p99_us for _, hit in rounds) / 1e3, 3),
        against="bare ASGI hello",
        against_per_s=round(statistics.median(bare.per_s for bare, _ in rounds)),
        ratio=round(statistics.median(hit.per_s / bare.per_s for bare, hit in rounds), 3),
        hit_share=round(share, 4),
    )  # fmt: skip


if __name__ == "__main__":
    if sys.argv[1:2] == ["hello"]:
        uvloop.run(hello(int(sys.argv[2])))
    else:
        main()
