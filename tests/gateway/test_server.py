"""The application on a real port: HTTP/1.1 and HTTP/2, bodies, and the end."""

import asyncio
import socket
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from structlog.testing import capture_logs

from shortlist.gateway.server import PortTaken, bound, listening
from shortlist.home import Home
from shortlist.process import serve
from shortlist.settings import LimitSettings, ServerSettings, Settings
from tests.gateway.conftest import Running, server


def on_a_port(shop: Running, scenario: Callable[[httpx.AsyncClient], Awaitable[Any]], **client: Any) -> Any:
    async def main() -> Any:
        async with (
            listening(shop.app, bound("127.0.0.1", 0), drain_s=5.0) as address,
            httpx.AsyncClient(
                base_url=address,
                headers={"authorization": f"Bearer {shop.token('ann')}"},
                timeout=20,
                **client,
            ) as asks,
        ):
            return await scenario(asks)

    return asyncio.run(main())


@pytest.mark.parametrize(
    ("client", "version"), [({}, "HTTP/1.1"), ({"http1": False, "http2": True}, "HTTP/2")], ids=["1.1", "2"]
)
def test_both_versions_of_http_are_spoken(shop: Running, client: dict[str, Any], version: str) -> None:
    shop.slates.at_hand.add("ann")

    async def scenario(asks: httpx.AsyncClient) -> None:
        for _ in range(2):  # the long way, then a hit
            answer = await asks.get("/recommendations?user_id=ann")
            assert (answer.http_version, answer.status_code) == (version, 200)
            assert answer.headers["x-request-id"] == answer.json()["request_id"]
        taken = await asks.post("/events", json=[{"item_id": "☕"}])
        assert (taken.http_version, taken.status_code) == (version, 202)
        odd = await asks.get("/items/a%2Fb%20%E2%98%95")
        assert odd.json()["item_id"] == "a/b ☕"
        assert (await asks.head("/health/live")).status_code == 200

    on_a_port(shop, scenario, **client)


@pytest.mark.parametrize("client", [{}, {"http1": False, "http2": True}], ids=["1.1", "2"])
def test_a_large_body_is_refused_and_its_sender_learns_why(
    running: Callable[..., Running], client: dict[str, Any]
) -> None:
    shop = running(server(max_body_bytes=100_000))

    async def pieces() -> Any:
        for _ in range(200):
            yield b"x" * 10_000

    async def scenario(asks: httpx.AsyncClient) -> None:
        for content in (b"x" * 2_000_000, pieces()):
            answer = await asks.post("/events", content=content)
            assert (answer.status_code, answer.json()["type"]) == (413, "/problems/body-too-large")
        assert (await asks.post("/events", json={"item_id": 1})).status_code == 202

    on_a_port(shop, scenario, **client)


@pytest.mark.parametrize("token", ["x" * 20_000, "x" * 1_000_000], ids=["20 kB", "1 MB"])
def test_a_huge_token_is_refused(shop: Running, token: str) -> None:
    async def scenario(asks: httpx.AsyncClient) -> None:
        answer = await asks.get("/recommendations?user_id=ann", headers={"authorization": f"Bearer {token}"})
        assert answer.status_code in (401, 431)

    on_a_port(shop, scenario)


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"GET /recommendations?user_id=a\x00b HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /recommendations?user_id=a HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n",
        b"POST /events HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\nzz\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET\r\n\r\n",
    ],
)
def test_broken_requests_end_their_connection_and_nothing_else(shop: Running, request_bytes: bytes) -> None:
    async def scenario(asks: httpx.AsyncClient) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", asks.base_url.port)
        writer.write(request_bytes)
        writer.write_eof()
        answer = await asyncio.wait_for(reader.read(), 15)
        assert answer == b"" or answer.split()[1] in (b"400", b"401", b"431")
        writer.close()
        assert (await asks.get("/health/live")).status_code == 200

    on_a_port(shop, scenario)


def test_what_is_under_way_at_the_end_is_answered(shop: Running) -> None:
    begun = asyncio.Event()
    recommend = shop.slates.recommend

    async def slow(ask: Any) -> Any:
        begun.set()
        await asyncio.sleep(0.2)
        return await recommend(ask)

    shop.slates.recommend = slow  # type: ignore[method-assign]

    async def main() -> list[httpx.Response]:
        headers = {"authorization": f"Bearer {shop.token('ann')}"}
        async with httpx.AsyncClient(headers=headers) as asks:
            async with listening(shop.app, bound("127.0.0.1", 0), drain_s=5.0) as address:
                url = f"{address}/recommendations?user_id=ann&limit=3"
                under_way = [asyncio.create_task(asks.get(url)) for _ in range(8)]
                await begun.wait()
            answers = await asyncio.gather(*under_way)
            with pytest.raises(httpx.ConnectError):
                await asks.get(address)
            return answers

    assert [answer.status_code for answer in asyncio.run(main())] == [200] * 8


def test_a_port_in_use_is_said_at_once() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(PortTaken, match=rf"127\.0\.0\.1:{port}.*server\.port"):
            bound("127.0.0.1", port)


def test_a_port_in_use_is_said_before_anything_is_loaded(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = ServerSettings(port=other.getsockname()[1])
        with pytest.raises(PortTaken):
            serve(Settings(server=taken), Home(tmp_path / "home"), say=print)
    assert not (tmp_path / "home").exists()


def test_of_two_that_bound_one_address_the_second_to_listen_is_told(shop: Running) -> None:
    async def main() -> None:
        with bound("127.0.0.1", 0) as first, bound("127.0.0.1", first.getsockname()[1]) as second:
            first.listen()
            with pytest.raises(PortTaken, match=r"cannot listen on 127\.0\.0\.1"):
                async with listening(shop.app, second, drain_s=5.0):
                    pass

    asyncio.run(main())


def test_the_end_under_load_cuts_no_request(running: Callable[..., Running]) -> None:
    shop = running(Settings(limits=LimitSettings(recommendations_per_min=1_000_000)))
    shop.slates.at_hand.add("ann")
    head = f"Host: 127.0.0.1\r\nAuthorization: Bearer {shop.token('ann')}\r\n\r\n"
    asked = [
        f"GET /recommendations?user_id=ann{more} HTTP/1.1\r\n{head}".encode() for more in ("", "&limit=3")
    ]
    statuses: list[bytes] = []
    first = asyncio.Event()

    async def client(port: int) -> None:
        """Asks on and on; an answer that does not come raises."""
        while True:
            try:
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                return  # nobody listens any more
            is_open, is_kept = True, False
            while is_open:
                writer.write(asked[len(statuses) % 2])
                try:
                    headers = (await reader.readuntil(b"\r\n\r\n")).lower()
                except (OSError, asyncio.IncompleteReadError):
                    # Let in at the very end and turned away unread is as good as refused; a connection
                    # that was kept for more may not end so.
                    assert not is_kept
                    writer.close()
                    return
                length = next(line for line in headers.split(b"\r\n") if line.startswith(b"content-length"))
                await reader.readexactly(int(length[15:]))
                statuses.append(headers[9:12])
                is_open = is_kept = b"connection: close" not in headers
                if len(statuses) == 100:
                    first.set()
            writer.close()

    async def main() -> None:
        async with listening(shop.app, bound("127.0.0.1", 0), drain_s=5.0) as address:
            port = int(address.rpartition(":")[2])
            clients = [asyncio.create_task(client(port)) for _ in range(8)]
            await first.wait()
        await asyncio.gather(*clients)

    asyncio.run(main())
    assert set(statuses) == {b"200"}


def test_a_hit_is_not_answered_on_the_event_loop(shop: Running) -> None:
    shop.slates.at_hand.add("ann")

    async def scenario(asks: httpx.AsyncClient) -> None:
        await asks.get("/items/i0")  # the token is remembered from here on
        for _ in range(3):
            assert (await asks.get("/recommendations?user_id=ann")).json()["tier"] == "cache"

    on_a_port(shop, scenario)
    assert len(shop.slates.hit_threads) == 3
    assert threading.get_ident() not in shop.slates.hit_threads


def test_an_unforeseen_failure_of_a_hit_ends_its_request_and_nothing_else(shop: Running) -> None:
    shop.slates.at_hand.add("ann")

    async def scenario(asks: httpx.AsyncClient) -> None:
        await asks.get("/items/i0")
        shop.slates.hit_failure = RuntimeError("broken")
        assert (await asks.get("/recommendations?user_id=ann")).status_code == 500
        shop.slates.hit_failure = None
        assert (await asks.get("/recommendations?user_id=ann")).status_code == 200

    with capture_logs() as said:
        on_a_port(shop, scenario)
    assert [str(entry.get("exc_info")) for entry in said] == ["True"]


@pytest.mark.parametrize("user_id", ["ann", "a%2Fb", "merge", "x%2Fmerge"])
def test_a_merge_is_no_part_of_the_id_before_it(shop: Running, user_id: str) -> None:
    async def scenario(asks: httpx.AsyncClient) -> None:
        answer = await asks.post(f"/users/{user_id}/merge", json={"guest": "g"})
        assert answer.status_code == 403  # a token of somebody else: 405 would be the user's own address

    on_a_port(shop, scenario)


EVENT = {"event_id": "e", "item_id": 1}
PLAIN = {"content-type": "application/json"}


@pytest.mark.parametrize(
    ("method", "url", "content"),
    [
        ("GET", "/recommendations?user_id=ann", None),
        ("POST", "/events", msgspec.json.encode(EVENT)),
        ("POST", "/events", msgspec.json.encode([EVENT, {"item_id": 2}])),
        ("POST", "/events", b"{broken"),
        ("POST", "/events", b""),
        ("GET", "/recommendations?user_id=bob", None),
    ],
)
def test_the_quick_way_and_the_long_way_answer_alike(
    running: Callable[..., Running], method: str, url: str, content: bytes | None
) -> None:
    """The first request with a token goes the long way, and so does one with an odd type of content."""
    shop = running()

    async def scenario(asks: httpx.AsyncClient) -> None:
        answers = [
            await asks.request(method, url, content=content, headers={**headers, "x-request-id": "same"})
            for headers in (PLAIN, PLAIN, {"content-type": "application/json; charset=UTF-8"})
        ]
        first, quick, long = ((a.status_code, a.content) for a in answers)
        assert first == quick == long
        told = [{k: v for k, v in a.headers.items() if k not in ("date", "content-length")} for a in answers]
        assert told[0] == told[1] == told[2]

    on_a_port(shop, scenario)
