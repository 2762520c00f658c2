"""The first slate of somebody new, over HTTP: the survey is answered, then the slate asked for.

Against popular items of the chosen categories alone (exploration off), with people in turn on two servers
that run side by side. Nothing of these people is cached; the wait until answers are folded is not timed.
"""

import asyncio
import random
import tempfile
import time
from pathlib import Path

import msgspec

from bench._client import Connection, percentiles
from bench._server import copy_of, report, serving, token, trained_shop

PEOPLE, WARM = 600, 50


class Shop:
    """One server, and what new people do there."""

    def __init__(self, port: int, service: str) -> None:
        self._connection, self._service = Connection(port), service

    async def _post(self, path: str, body: object, status: int) -> bytes:
        told, answer = await self._connection.ask("POST", path, self._service, msgspec.json.encode(body))
        assert told == status, answer
        return answer

    async def surveyed(self, user: str) -> tuple[list[str], float]:
        """The names of the categories that are asked about, and the milliseconds that asking took."""
        began = time.perf_counter()
        answer = await self._post("/onboarding", {"user_id": user}, 200)
        took = (time.perf_counter() - began) * 1e3
        return [one["category"] for one in msgspec.json.decode(answer)["categories"]], took

    async def answered(self, user: str, categories: list[str]) -> None:
        """Submit the answers, and wait until they are folded."""
        await self._post("/onboarding/submit", {"user_id": user, "categories": categories}, 202)
        for _ in range(1_000):
            _, body = await self._connection.ask("GET", f"/users/{user}", self._service)
            if msgspec.json.decode(body)["version"]:
                return
            await asyncio.sleep(0.002)
        raise SystemExit("the answers never became features")

    async def first(self, user: str) -> tuple[float, int, bool]:
        """Milliseconds of the first slate, how many of its items explore, and whether it fell back."""
        began = time.perf_counter()
        status, body = await self._connection.ask("GET", f"/recommendations?user_id={user}", self._service)
        took = (time.perf_counter() - began) * 1e3
        slate = msgspec.json.decode(body)
        assert (status, len(slate["recommendations"])) == (200, 10), body
        explore = sum(item["reason_code"] == "variety" for item in slate["recommendations"])
        return took, explore, slate["tier"] != "onboarding"


async def run(shops: list[Shop]) -> None:
    rng = random.Random(7)
    surveys: list[float] = []
    times: list[list[float]] = [[], []]
    explored: list[list[int]] = [[], []]
    fell_back = 0
    for number in range(WARM + PEOPLE):
        for at, shop in enumerate(shops):
            user = f"new-{number}"
            names, took = await shop.surveyed(user)
            await shop.answered(user, rng.sample(names, min(3, len(names))))
            slate_ms, count, is_late = await shop.first(user)
            if number >= WARM:
                surveys.append(took)
                times[at].append(slate_ms)
                fell_back += is_late
                explored[at] += [] if is_late else [count]
    ours, plain, asked = percentiles(times[0]), percentiles(times[1]), percentiles(surveys)
    share = sum(explored[0]) / (10 * len(explored[0]))
    print(f"first slate, {share:.0%} exploring  p50 {ours['p50_ms']} ms, p99 {ours['p99_ms']} ms")
    print(f"popular items alone       p50 {plain['p50_ms']} ms, p99 {plain['p99_ms']} ms")
    print(f"fell back, over the server's budget: {fell_back} of {2 * PEOPLE}")
    print(f"the survey                p50 {asked['p50_ms']} ms, p99 {asked['p99_ms']} ms")
    report(
        bench="coldstart", people=len(times[0]), p50_ms=ours["p50_ms"], p99_ms=ours["p99_ms"],
        explored_share=round(share, 3), fell_back=fell_back,
        survey_p50_ms=asked["p50_ms"], survey_p99_ms=asked["p99_ms"],
        against="popular items in the categories alone", against_p50_ms=plain["p50_ms"],
        against_p99_ms=plain["p99_ms"], ratio=round(ours["p50_ms"] / max(plain["p50_ms"], 1e-3), 2),
    )  # fmt: skip


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        homes = [copy_of(trained_shop(), Path(folder) / name) for name in ("exploring", "popular")]
        off = {"SHORTLIST_COLDSTART__EXPLORES": "off"}
        with serving(homes[0]) as exploring, serving(homes[1], environ=off) as popular:
            shops = [
                Shop(server.port, token(home, "bench", "service"))
                for server, home in zip((exploring, popular), homes, strict=True)
            ]
            asyncio.run(run(shops))


if __name__ == "__main__":
    main()
