"""The application as a client meets it: hits, the long way, and what both refuse."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest

from shortlist.ops import telemetry
from shortlist.settings import LimitSettings, Settings
from tests.gateway.conftest import Running, server


def run(scenario: Awaitable[Any]) -> Any:
    async def main() -> Any:
        return await scenario

    return asyncio.run(main())


def get(
    running: Running, url: str, subject: str | None = "ann", *scopes: str, **options: Any
) -> httpx.Response:
    return ask(running, "GET", url, subject, *scopes, **options)


def ask(
    running: Running, method: str, url: str, subject: str | None = "ann", *scopes: str, **options: Any
) -> httpx.Response:
    async def scenario() -> httpx.Response:
        async with running.client(subject, *scopes) as client:
            return await client.request(method, url, **options)

    answer: httpx.Response = run(scenario())
    return answer


def test_a_hit_is_answered_without_the_long_way(shop: Running) -> None:
    shop.slates.at_hand.add("ann")
    get(shop, "/recommendations?user_id=ann")  # the token is remembered from here on
    hits = sum(telemetry.HIT.counts)
    answer = get(shop, "/recommendations?user_id=ann")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-request-id"] == answer.json()["request_id"]
    assert answer.headers["cache-control"] == "no-store"
    assert answer.json()["tier"] == "cache"
    assert sum(telemetry.HIT.counts) == hits + 1


def test_a_miss_goes_the_long_way_with_the_same_id_in_header_and_body(shop: Running) -> None:
    answer = get(shop, "/recommendations?user_id=ann&limit=7&category=light&exclude=a&exclude=b&page=2")
    assert answer.json()["request_id"] == answer.headers["x-request-id"]
    asked = shop.slates.asked[-1]
    assert (asked.limit, asked.category, asked.exclude, asked.page) == (7, "light", ("a", "b"), 2)


@pytest.mark.parametrize("at_hand", [True, False])
def test_a_sane_request_id_is_kept(shop: Running, at_hand: bool) -> None:
    if at_hand:
        shop.slates.at_hand.add("ann")
    for _ in range(2):
        answer = get(shop, "/recommendations?user_id=ann", headers={"x-request-id": "abc-1.2:3_4"})
        assert answer.headers["x-request-id"] == answer.json()["request_id"] == "abc-1.2:3_4"


@pytest.mark.parametrize("given", ["a b", "a" * 65, "<script>", 'a"b', ""])
def test_an_odd_request_id_is_replaced(shop: Running, given: str) -> None:
    shop.slates.at_hand.add("ann")
    for _ in range(2):
        answer = get(shop, "/recommendations?user_id=ann", headers={"x-request-id": given})
        assert answer.headers["x-request-id"] == answer.json()["request_id"] != given


@pytest.mark.parametrize("at_hand", [True, False])
def test_nobody_sees_anothers_slate(shop: Running, at_hand: bool) -> None:
    if at_hand:
        shop.slates.at_hand.add("bob")
    assert get(shop, "/recommendations?user_id=bob", "ann").status_code == 403
    assert get(shop, "/recommendations?user_id=bob", None).status_code == 401
    assert get(shop, "/recommendations?user_id=bob", "shop", "service").status_code == 200
    assert get(shop, "/recommendations?user_id=bob", "root", "admin").status_code == 200
    assert shop.slates.asked == [] or all(asked.user_id == "bob" for asked in shop.slates.asked)


@pytest.mark.parametrize(
    "user_id", ["☕ + &=?#%", "../../etc", "a" * 1024, "'; DROP TABLE", "{a}", "שלום", "*"]
)
def test_any_printable_user_gets_a_slate(shop: Running, user_id: str) -> None:
    shop.slates.at_hand.add(user_id)
    for _ in range(2):
        answer = get(shop, "/recommendations", user_id, params={"user_id": user_id})
        assert answer.json()["user_id"] == user_id


LIMITED = Settings(limits=LimitSettings(recommendations_per_min=3, events_per_min=2))


def test_the_limit_is_one_for_hits_misses_and_similar(running: Callable[..., Running]) -> None:
    shop = running(LIMITED)
    shop.slates.at_hand.add("ann")
    get(shop, "/items/i0", "ann")  # the token is known, so the next are hits
    assert get(shop, "/recommendations?user_id=ann").status_code == 200
    assert get(shop, "/recommendations?user_id=ann&limit=3").status_code == 200
    assert get(shop, "/similar?item_id=i0").status_code == 200
    for url in (
        "/recommendations?user_id=ann",
        "/recommendations?user_id=ann&limit=3",
        "/similar?item_id=i0",
    ):
        refused = get(shop, url)
        assert refused.status_code == 429
        assert 1 <= int(refused.headers["retry-after"]) <= 20
    assert get(shop, "/recommendations?user_id=bob", "bob").status_code == 200
    assert ask(shop, "POST", "/events", json={"item_id": 1}).status_code == 202


def test_a_miss_that_was_tried_as_a_hit_counts_once(running: Callable[..., Running]) -> None:
    shop = running(LIMITED)
    get(shop, "/items/i0", "ann")
    statuses = [get(shop, "/recommendations?user_id=ann").status_code for _ in range(4)]
    assert statuses == [200, 200, 200, 429]


def test_services_are_free_of_limits_unless_the_settings_say_otherwise(
    running: Callable[..., Running],
) -> None:
    free = running(LIMITED)
    free.slates.at_hand.add("ann")
    url = "/recommendations?user_id=ann"
    assert [get(free, url, "s", "service").status_code for _ in range(5)] == [200] * 5
    limits = LimitSettings(recommendations_per_min=3, service_exempt=False)
    bound = running(Settings(limits=limits))
    bound.slates.at_hand.add("ann")
    assert [get(bound, url, "s", "service").status_code for _ in range(5)] == [200] * 3 + [429] * 2


@pytest.mark.parametrize(
    ("url", "status", "why"),
    [
        ("/nope", 404, "/docs"),
        ("/recommendations/", 200, ""),
        ("/recommendations?user_id=ann&limit=101", 400, "at most 100"),
        ("/recommendations?user_id=ann&limit=-1", 400, "limit"),
        ("/recommendations?user_id=ann&page=0", 400, "page"),
        ("/recommendations?user_id=ann&page=x", 400, "page"),
        ("/recommendations?user=ann", 400, "did you mean user_id"),
        ("/recommendations?user_id=a%0d%0aX-Evil:1", 400, "control characters"),
        ("/recommendations?user_id=%00", 400, "control characters"),
        ("/recommendations?user_id=" + "a" * 1025, 400, "at most 1024"),
        ("/recommendations?user_id=%ed%a0%80", 400, "UTF-8"),
        ("/recommendations?user_id=ann&exclude=" + "a" * 40_000, 400, "use POST"),
        ("/items/%00", 400, "control characters"),
        ("/items/%ff", 400, "UTF-8"),
        ("/items?limit=501", 400, "limit"),
        ("/similar?item_id=", 400, "item_id"),
        ("/similar?item_id=nothing", 404, "nothing"),
        ("/explanations/unknown", 404, "the last 40,000 records"),
    ],
)
def test_what_is_wrong_is_said(shop: Running, url: str, status: int, why: str) -> None:
    if status == 200:
        url += "?user_id=ann"
    answer = get(shop, url, "ann")
    assert answer.status_code == status
    if status >= 400:
        assert answer.headers["content-type"] == "application/problem+json"
        assert why in answer.json()["detail"]
        assert answer.json()["request_id"] == answer.headers["x-request-id"]


def test_another_method_is_a_405_with_what_is_allowed(shop: Running) -> None:
    answer = ask(shop, "PUT", "/recommendations")
    assert answer.status_code == 405
    assert "GET" in answer.headers["allow"]


def test_head_is_get_without_the_body(shop: Running) -> None:
    answer = ask(shop, "HEAD", "/health/live", None)
    assert (answer.status_code, answer.content) == (200, b"")


@pytest.mark.parametrize("encoding", ["gzip", "br", "deflate, gzip", "GZIP"])
def test_compressed_bodies_are_not_read(shop: Running, encoding: str) -> None:
    answer = ask(
        shop, "POST", "/events", content=b"\x1f\x8b" + b"0" * 100, headers={"content-encoding": encoding}
    )
    assert answer.status_code == 415
    assert shop.collector.calls == []


def test_a_body_over_the_limit_is_a_413_also_when_it_hides_its_length(
    running: Callable[..., Running],
) -> None:
    shop = running(server(max_body_bytes=1000))

    async def pieces() -> Any:
        for _ in range(20):
            yield b"x" * 100

    assert ask(shop, "POST", "/events", content=b"x" * 1001).status_code == 413
    assert ask(shop, "POST", "/events", content=pieces()).status_code == 413
    assert shop.collector.calls == []


@pytest.mark.parametrize("length", ["-1", "ten", "9" * 30, "1 2"])
def test_an_odd_length_is_a_400(shop: Running, length: str) -> None:
    answer = ask(shop, "POST", "/events", content=b"{}", headers={"content-length": length})
    assert answer.status_code == 400


def test_an_unforeseen_error_is_a_500_that_tells_nothing_but_where_to_look(
    shop: Running, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL)
    shop.slates.failure = ZeroDivisionError("secret detail")
    answer = get(shop, "/recommendations?user_id=ann")
    assert answer.status_code == 500
    assert "secret" not in answer.text
    assert "Traceback" not in answer.text
    assert answer.headers["x-request-id"] in answer.json()["detail"]


@pytest.mark.parametrize("origin", ["https://shop.example", "https://evil.example"])
def test_other_origins_are_let_in_only_by_the_setting(running: Callable[..., Running], origin: str) -> None:
    asked = {"origin": origin, "access-control-request-method": "POST"}
    closed, opened = running(), running(server(cors_origins="https://shop.example https://m.example/"))
    assert "access-control-allow-origin" not in get(closed, "/health/live", None, headers=asked).headers
    preflight = ask(opened, "OPTIONS", "/events", None, headers=asked)
    answer = get(opened, "/recommendations?user_id=ann", headers=asked)
    if origin == "https://shop.example":
        assert preflight.status_code == 204
        assert "authorization" in preflight.headers["access-control-allow-headers"]
        assert answer.headers["access-control-allow-origin"] == origin
        assert answer.headers["vary"] == "origin"
    else:
        assert "access-control-allow-origin" not in preflight.headers
        assert "access-control-allow-origin" not in answer.headers


def test_a_hit_tells_other_origins_the_same(running: Callable[..., Running]) -> None:
    shop = running(server(cors_origins="*"))
    shop.slates.at_hand.add("ann")
    for _ in range(2):
        answer = get(shop, "/recommendations?user_id=ann", headers={"origin": "https://x.example"})
        assert answer.headers["access-control-allow-origin"] == "https://x.example"


def test_draining_says_not_ready_and_waits_for_what_is_under_way(shop: Running) -> None:
    async def scenario() -> None:
        begun, go = asyncio.Event(), asyncio.Event()
        recommend = shop.slates.recommend

        async def slow(ask: Any) -> Any:
            begun.set()
            await go.wait()
            return await recommend(ask)

        shop.slates.recommend = slow  # type: ignore[method-assign]
        async with shop.client("ann") as client:
            under_way = asyncio.create_task(client.get("/recommendations?user_id=ann"))
            await begun.wait()
            drained = asyncio.create_task(shop.app.drain(5.0))
            await asyncio.sleep(0)
            ready = await client.get("/health/ready")
            assert ready.status_code == 503
            assert "draining" in ready.json()["parts"]["server"]
            assert ready.headers["connection"] == "close"
            assert not drained.done()
            go.set()
            assert (await under_way).status_code == 200
            assert await drained

    run(scenario())


def test_draining_gives_up_in_time(shop: Running) -> None:
    async def scenario() -> bool:
        shop.app._in_flight = 1
        return await shop.app.drain(0.01)

    assert run(scenario()) is False
