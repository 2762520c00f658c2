"""Rules, filters and users' attributes over HTTP: who may, what is read, how it is refused."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import httpx

from shortlist.catalog.rule import Rule
from shortlist.gateway.auth import Authority
from shortlist.serving.slate import Ask
from tests.gateway.conftest import Running

RULE = {"id": "r", "name": "No kettles", "action": "hide", "where": "category = kitchen"}


def run(shop: Running, test: Callable[[httpx.AsyncClient, httpx.AsyncClient], Awaitable[None]]) -> None:
    """A test with a client of the shop and one of a user."""

    async def main() -> None:
        async with shop.client("ops", "admin") as operator, shop.client("ann") as user:
            await test(operator, user)

    asyncio.run(main())


def test_a_rule_is_added_listed_changed_and_taken_away(shop: Running) -> None:
    async def test(operator: httpx.AsyncClient, user: httpx.AsyncClient) -> None:
        made = await operator.post("/rules", json=RULE)
        assert made.status_code == 201
        assert made.json()["where"] == RULE["where"]
        (listed,) = (await operator.get("/rules")).json()["rules"]
        assert (listed["rule"]["id"], listed["state"], listed["matches"]) == ("r", "on", 3)
        changed = await operator.patch(
            "/rules/r", json={"enabled": False, "start": "2026-11-27T00:00:00Z", "users": "plan = pro"}
        )
        assert changed.json()["start"] == "2026-11-27T00:00:00Z"
        assert not shop.ruling.rules["r"].enabled
        assert (await operator.delete("/rules/r")).status_code == 204
        assert (await operator.get("/rules")).json() == {"rules": []}

    run(shop, test)


def test_a_rule_without_an_id_gets_one(shop: Running) -> None:
    async def test(operator: httpx.AsyncClient, user: httpx.AsyncClient) -> None:
        made = (await operator.post("/rules", json={"action": "hide", "where": "stock < 2"})).json()
        assert made["id"].startswith("rule-")
        assert list(shop.ruling.rules) == [made["id"]]

    run(shop, test)


def test_a_rule_may_name_what_no_item_has_and_the_answer_warns(shop: Running) -> None:
    async def test(operator: httpx.AsyncClient, user: httpx.AsyncClient) -> None:
        made = await operator.post("/rules", json={"action": "hide", "where": "stok < 2"})
        assert made.status_code == 201
        assert made.json()["warnings"] == ['where: no item has an attribute "stok"; did you mean stock?']
        path = f"/rules/{made.json()['id']}"
        assert (await operator.patch(path, json={"where": "stock < 2"})).json()["warnings"] == []

    run(shop, test)


def test_a_refused_rule_without_an_id_names_none(shop: Running) -> None:
    async def test(operator: httpx.AsyncClient, user: httpx.AsyncClient) -> None:
        for rule, said in (
            ({"action": "hide", "where": "price <"}, "where, at character 7: expected a value for price"),
            ({"action": "hide", "where": "price < 5", "factor": 2}, "factor goes with boost and bury"),
            ({"action": "sing", "where": "price < 5"}, "action: must be one of boost, bury"),
        ):
            told = (await operator.post("/rules", json=rule)).json()["detail"]
            assert told.startswith(said)

    run(shop, test)


def test_what_cannot_be_is_refused_saying_where(shop: Running) -> None:
    async def test(operator: httpx.AsyncClient, user: httpx.AsyncClient) -> None:
        await operator.post("/rules", json=RULE)
        for method, path, body, status, said in (
            ("POST", "/rules", RULE, 409, "already"),
            ("POST", "/rules", {**RULE, "where": "price <"}, 400, "where, at character 7: expected a value"),
            ("POST", "/rules", {**RULE, "action": "sing"}, 400, "action: must be one of boost, bury"),
            ("POST", "/rules", {**RULE, "colour": 1}, 400, "colour: there is no such field"),
            ("POST", "/rules", {**RULE, "id": "a b"}, 400, "id"),
            ("PATCH", "/rules/r", {"position": 1_000}, 400, "position: must be a whole number from 0 to 99"),
            ("PATCH", "/rules/none", {"enabled": True}, 404, "none"),
            ("DELETE", "/rules/none", None, 404, "none"),
            ("POST", "/rules/dry-run", {"sample": 0}, 400, "sample"),
        ):
            answer = await operator.request(method, path, json=body)
            assert (answer.status_code, said in answer.json()["detail"]) == (status, True), answer.text

    run(shop, test)


def test_rules_and_attributes_are_for_the_shop_alone(shop: Running) -> None:
    async def test(operator: httpx.AsyncClient, user: httpx.AsyncClient) -> None:
        for method, path, body in (
            ("GET", "/rules", None),
            ("POST", "/rules", RULE),
            ("PATCH", "/rules/r", {}),
            ("DELETE", "/rules/r", None),
            ("POST", "/rules/dry-run", {}),
            ("PUT", "/users/ann", {"attributes": {"plan": "pro"}}),
        ):
            assert (await user.request(method, path, json=body)).status_code == 403, path

    run(shop, test)


def test_a_draft_is_tried_out(shop: Running) -> None:
    async def test(operator: httpx.AsyncClient, user: httpx.AsyncClient) -> None:
        found = (await operator.post("/rules/dry-run", json={"rule": RULE, "sample": 7})).json()
        assert (found["share"], found["gained"]) == (0.4, [{"item_id": "i1", "title": "Lamp", "slates": 4}])
        await operator.post("/rules/dry-run", json={})
        assert shop.ruling.tried == [
            (Rule(id="r", name="No kettles", action="hide", where="category = kitchen"), 7),
            (None, 500),
        ]

    run(shop, test)


def test_a_filter_goes_with_every_kind_of_slate(shop: Running) -> None:
    async def test(operator: httpx.AsyncClient, user: httpx.AsyncClient) -> None:
        where = 'price < 50 and brand in (Kaldera, "Nord & Co")'
        await user.get("/recommendations", params={"user_id": "ann", "filter": where})
        await operator.get("/recommendations", params={"user_id": "ann", "filter": "margin > 0.2"})
        await user.post("/recommendations", json={"history": ["i1"], "filter": where})
        await user.get("/similar", params={"item_id": "i1", "filter": where})
        first, second, *rest = shop.slates.asked
        assert isinstance(first, Ask)
        assert (first.filter, first.is_shop) == (where, False)
        assert (second.filter, second.is_shop) == ("margin > 0.2", True)
        assert rest == [(["i1"], where, False), ("i1", 0, None, where, False)]

    run(shop, test)


def test_in_development_the_page_gets_a_token_of_its_own_and_no_other_page_does(shop: Running) -> None:
    async def test(operator: httpx.AsyncClient, user: httpx.AsyncClient) -> None:
        own = await user.post("/dev/operator", headers={"origin": "http://127.0.0.1:8000"})
        token = {"authorization": f"Bearer {own.json()['token']}"}
        caller = Authority(shop.keys, shop.settings.auth).caller(token["authorization"].encode())
        assert caller.is_service
        for headers in ({"origin": "https://elsewhere.example"}, {"host": "elsewhere.example"}):
            assert (await user.post("/dev/operator", headers=headers)).status_code == 403
        page = await user.get("/operator")
        assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")

    run(shop, test)


def test_attributes_are_put_by_the_shop_seen_by_the_user_and_forgotten(shop: Running) -> None:
    async def test(operator: httpx.AsyncClient, user: httpx.AsyncClient) -> None:
        given: dict[str, Any] = {"attributes": {"plan": "pro", "langs": ["de"]}}
        assert (await operator.put("/users/ann", json=given)).json() == {"user_id": "ann", **given}
        assert (await user.get("/users/ann")).json()["attributes"] == given["attributes"]
        refused = await operator.put("/users/ann", json={"attributes": {"a": "x" * 20_000}})
        assert (refused.status_code, "bytes" in refused.json()["detail"]) == (400, True)
        assert (await operator.put("/users/ann", json={"plan": "pro"})).status_code == 400
        await user.delete("/users/ann")
        assert (await operator.get("/users/ann")).json()["attributes"] == {}

    run(shop, test)
