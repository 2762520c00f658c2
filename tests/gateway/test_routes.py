"""Each route: what it reads, what it answers, who may."""

import json
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from shortlist.catalog.rule import Rule
from shortlist.events.log import LogUnavailable
from shortlist.gateway import answers
from shortlist.gateway.storefront import read_personas
from shortlist.serving.cache import Pool
from shortlist.serving.inputs import MISS, Inputs
from shortlist.serving.trace import SlateRecord, Trace
from shortlist.settings import AuthSettings, Settings
from shortlist.storefront import assets
from tests.gateway.conftest import Running, server
from tests.gateway.test_app import ask, get

POOL = Pool(
    "p1", 1, "1", 1, 1, 1, "v", "fresh", {}, [], rules=("r",),
    inputs=Inputs(MISS, "s", "w", "browsing", rules=(Rule(id="r", action="hide", where="brand = X"),)),
)  # fmt: skip
TRACE = Trace(SlateRecord("r1", 1, ["i1"], user_id="ann"), "ann", POOL)

ANSWERS = [
    ("GET", "/recommendations?user_id=ann", None, answers.SlateAnswer),
    ("POST", "/recommendations", {"history": ["i1", 2, {"item_id": "i0"}]}, answers.SlateAnswer),
    ("GET", "/similar?item_id=i0", None, answers.SimilarAnswer),
    ("POST", "/rank", {"items": ["i0", 7], "user_id": "ann"}, answers.RankAnswer),
    ("POST", "/events", {"item_id": "i0"}, answers.EventsAnswer),
    ("GET", "/items", None, answers.ItemPage),
    ("GET", "/categories", None, answers.Categories),
    ("GET", "/users/ann", None, answers.UserAnswer),
    ("POST", "/onboarding", {"user_id": "ann"}, answers.SurveyAnswer),
    ("POST", "/onboarding/submit", {"user_id": "ann", "categories": ["light"]}, answers.AnswersKept),
    ("GET", "/health/live", None, answers.Health),
    ("GET", "/health/ready", None, answers.Health),
]


@pytest.mark.parametrize(("method", "url", "body", "kind"), ANSWERS)
def test_answers_are_what_the_reference_says(
    shop: Running, method: str, url: str, body: dict[str, Any] | None, kind: type
) -> None:
    answer = ask(shop, method, url, json=body)
    assert answer.status_code in (200, 202)
    msgspec.json.decode(answer.content, type=kind)


# --- slates ------------------------------------------------------------------------------------------


def test_a_history_may_hold_ids_numbers_and_steps(shop: Running) -> None:
    ask(shop, "POST", "/recommendations", json={"history": ["i1", 2, {"item_id": "i0"}], "limit": 3})
    assert shop.slates.asked == [["i1", "2", "i0"]]


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ({"history": []}, "history"),
        ({"history": ["a\n"]}, "history[0]: holds control characters"),
        ({"history": ["a"] * 1001}, "history"),
        ({"history": ["a"], "limit": 1000}, "at most 100"),
        ({"history": ["a"], "user": "x"}, "user: there is no such field"),
        ({}, "history"),
    ],
)
def test_a_bad_history_is_named(shop: Running, body: dict[str, Any], why: str) -> None:
    answer = ask(shop, "POST", "/recommendations", json=body)
    assert answer.status_code == 400
    assert why in answer.json()["detail"]


def test_rank_is_for_ones_own_past_or_a_given_one(shop: Running) -> None:
    assert ask(shop, "POST", "/rank", json={"items": [1, "007"], "history": ["i1"]}).status_code == 200
    assert shop.slates.asked[-1] == (["1", "007"], None, ["i1"])
    assert ask(shop, "POST", "/rank", json={"items": ["a"], "user_id": "bob"}).status_code == 403
    both = ask(shop, "POST", "/rank", json={"items": ["a"], "user_id": "ann", "history": ["b"]})
    assert (both.status_code, "not both" in both.text) == (400, True)


def test_an_explanation_is_shown_to_whom_the_slate_was_for(shop: Running) -> None:
    shop.explanations.traces["r/1"] = TRACE
    mine = get(shop, "/explanations/r%2F1", "ann").json()
    assert (mine["user_id"], mine["pool"]["rules"]) == ("ann", ["r"])
    assert "written" not in mine["pool"], "conditions tell of margins"
    assert get(shop, "/explanations/r%2F1", "bob").status_code == 403
    assert (
        get(shop, "/explanations/r%2F1", "ops", "admin").json()["pool"]["written"][0]["where"] == "brand = X"
    )


def test_a_slate_is_made_again_for_services_only(shop: Running) -> None:
    shop.explanations.traces["r1"] = TRACE
    for query in ("replay=true", "against=today"):
        assert get(shop, f"/explanations/r1?{query}", "ann").status_code == 403
    found = get(shop, "/explanations/r1?replay=true&against=today", "ops", "service").json()
    assert found["replay"]["verdict"] == "equal"
    assert get(shop, "/explanations/r1?against=tomorrow", "ops", "service").status_code == 400


# --- events ------------------------------------------------------------------------------------------


def test_events_go_to_the_collector_with_who_sent_them(shop: Running) -> None:
    answer = ask(shop, "POST", "/events", json=[{"item_id": 1}, {}], headers={"user-agent": "test"})
    assert answer.status_code == 202
    assert answer.json() == {"accepted": 1, "refused": [{"index": 1, "field": "item_id", "error": "missing"}]}
    ask(shop, "POST", "/events", "shop", "service", json={"item_id": 1})
    assert [call["subject"] for call in shop.collector.calls] == ["ann", None]
    assert shop.collector.calls[0]["user_agent"] == "test"
    assert shop.collector.calls[0]["ip"] == "127.0.0.1"


def test_no_good_event_is_a_problem_with_the_same_list(shop: Running) -> None:
    answer = ask(shop, "POST", "/events", json=[{}, {}])
    assert answer.status_code == 400
    assert [entry["index"] for entry in answer.json()["refused"]] == [0, 1]


def test_a_beacon_may_call_its_json_text(shop: Running) -> None:
    beacon: dict[str, Any] = {
        "content": b'{"item_id":1}',
        "headers": {"content-type": "text/plain;charset=UTF-8"},
    }
    assert ask(shop, "POST", "/events", **beacon).status_code == 202
    form: dict[str, Any] = {
        "content": b"a=b",
        "headers": {"content-type": "application/x-www-form-urlencoded"},
    }
    assert ask(shop, "POST", "/events", **form).status_code == 415


def test_a_full_log_says_when_to_come_back(shop: Running) -> None:
    shop.collector.failure = LogUnavailable("50000 events wait; send again")
    answer = ask(shop, "POST", "/events", json={"item_id": 1})
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")


# --- catalog -----------------------------------------------------------------------------------------


def test_items_are_written_by_services_alone(shop: Running) -> None:
    for method, url, body in (
        ("POST", "/items", {"item_id": "x"}),
        ("PATCH", "/items/i0", {}),
        ("DELETE", "/items/i0", None),
    ):
        assert ask(shop, method, url, "ann", json=body).status_code == 403
        assert ask(shop, method, url, None, json=body).status_code == 401
    assert "i0" in shop.catalog.items


def test_an_items_life(shop: Running) -> None:
    def service(method: str, url: str, body: Any = None) -> tuple[int, Any]:
        answer = ask(shop, method, url, "shop", "service", json=body)
        return answer.status_code, answer.json()

    assert service("POST", "/items", {"item_id": 42, "title": "Answer", "margin": 0.5})[0] == 201
    assert service("POST", "/items", {"item_id": "42"})[0] == 409
    assert service("GET", "/items/42")[1]["margin"] == 0.5
    assert service("PATCH", "/items/42", {"price": 5})[1]["price"] == 5.0
    assert service("PATCH", "/items/42", {"item_id": "43"})[0] == 400
    assert service("PATCH", "/items/nope", {"price": 5})[0] == 404
    assert service("DELETE", "/items/42")[0] == 200
    assert service("GET", "/items/42")[0] == service("DELETE", "/items/42")[0] == 404


def test_bulk_replaces_in_one_go_and_names_the_bad_one(shop: Running) -> None:
    bulk = [{"item_id": "i0", "title": "New"}, {"item_id": 9, "added_ms": 5}]
    answer = ask(shop, "POST", "/items", "s", "admin", json=bulk)
    assert (answer.status_code, answer.json()["written"]) == (200, 2)
    assert (shop.catalog.items["i0"].title, shop.catalog.items["9"].added_ms) == ("New", 5)
    for bad, why in (
        ([{"item_id": "a"}, {"item_id": "b", "price": -1}], "[1].price"),
        ([{"item_id": "a\n"}], "[0].item_id"),
        ([{"item_id": "a", "categories": ["x" * 501]}], "[0].categories"),
        ([{"item_id": "a", "brand": "x" * 501}], "[0].brand"),
        ([{"item_id": "a"}] * 1001, "a list of 1 to 1000, not a list of 1001"),
        ([], "not an empty list"),
    ):
        refused = ask(shop, "POST", "/items", "s", "admin", json=bad)
        assert refused.status_code == 400
        assert why in refused.json()["detail"]


def test_a_catalog_that_is_sent_again_does_not_make_its_items_new(shop: Running) -> None:
    for bulk in ([{"item_id": "a", "added_ms": 7}, {"item_id": "b"}], [{"item_id": "a"}, {"item_id": "b"}]):
        before = {item_id: item.added_ms for item_id, item in shop.catalog.items.items()}
        assert ask(shop, "POST", "/items", "s", "admin", json=bulk).status_code == 200
        after = {item_id: item.added_ms for item_id, item in shop.catalog.items.items()}
        assert after.items() >= before.items()
    assert after["a"] == 7
    assert after["b"] > 1_700_000_000_000


def test_writing_waits_until_slates_show_it(running: Callable[..., Running]) -> None:
    shown = []

    async def changed() -> None:
        shown.append(True)

    shop = running(catalog_changed=changed)
    ask(shop, "POST", "/items", "s", "service", json={"item_id": "x"})
    ask(shop, "PATCH", "/items/x", "s", "service", json={"hidden": True})
    ask(shop, "DELETE", "/items/x", "s", "service")
    assert len(shown) == 3


def test_users_see_neither_margins_nor_hidden_items(shop: Running) -> None:
    assert "margin" not in get(shop, "/items/i0").json()
    assert get(shop, "/items/i3").status_code == 404
    page = get(shop, "/items").json()
    assert [item["item_id"] for item in page["items"]] == ["i0", "i1", "a/b ☕"]
    assert "margin" not in json.dumps(page)
    assert get(shop, "/items", "s", "service").json()["total"] == 5


def test_the_catalog_is_paged(shop: Running) -> None:
    first = get(shop, "/items?limit=2", "s", "service").json()
    assert ([i["item_id"] for i in first["items"]], first["next_offset"]) == (["i0", "i1"], 2)
    last = get(shop, "/items?limit=2&offset=4", "s", "service").json()
    assert ([i["item_id"] for i in last["items"]], last["next_offset"]) == (["a/b ☕"], None)
    assert get(shop, "/items?category=light").json()["total"] == 2
    typo = get(shop, "/items?category=lihgt")
    assert (typo.status_code, "did you mean light?" in typo.json()["detail"]) == (400, True)


def test_categories_count_what_may_be_served(shop: Running) -> None:
    found = get(shop, "/categories").json()["categories"]
    assert found == [{"category": "light", "items": 2}, {"category": "kitchen", "items": 1}]


# --- users -------------------------------------------------------------------------------------------


def test_a_user_sees_the_past_newest_first_with_titles(shop: Running) -> None:
    found = get(shop, "/users/ann").json()
    assert found["last_5"] == ["i1", "i2"]
    assert len(found["history"]) == 20
    assert found["history"][0] == {"item_id": "i0", "type": "view", "ts": 30, "title": "Kettle"}
    assert get(shop, "/users/ann", "bob").status_code == 403
    assert get(shop, "/users/bob", "bob").json()["history"] == []


def test_a_user_is_forgotten_on_request(running: Callable[..., Running]) -> None:
    forgotten = []

    async def forget(user_id: str) -> None:
        forgotten.append(user_id)

    shop = running(forget_user=forget)
    shop.features.known["ann"].merged = {"guest-1": 3}
    assert ask(shop, "DELETE", "/users/ann", "bob").status_code == 403
    assert ask(shop, "DELETE", "/users/ann", "ann").status_code == 204
    assert forgotten == ["ann", "guest-1"]
    assert get(shop, "/users/ann").json()["interaction_count"] == 0


# --- operators and browsers --------------------------------------------------------------------------


def test_ready_says_what_is_not(running: Callable[..., Running]) -> None:
    def broken() -> str | None:
        raise OSError("gone")

    shop = running(checks={"log": lambda: None, "model": lambda: "none trained yet", "disk": broken})
    answer = get(shop, "/health/ready", None)
    assert answer.status_code == 503
    assert answer.json()["parts"] == {"log": "ok", "model": "none trained yet", "disk": "OSError: gone"}
    assert get(shop, "/health/live", None).status_code == 200


def test_what_it_serves_on_without_is_said_with_200(running: Callable[..., Running]) -> None:
    shop = running(checks={"log": lambda: None}, warnings={"model": lambda: "version 2 was refused"})
    answer = get(shop, "/health/ready", None)
    assert answer.status_code == 200
    assert answer.json() == {"status": "degraded", "parts": {"log": "ok", "model": "version 2 was refused"}}


def test_metrics_have_the_budgets_rows(shop: Running) -> None:
    answer = get(shop, "/metrics", None)
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    text = answer.text
    for row in ("hit", "miss", "similar", "event_accepted", "event_visible", "reaction"):
        assert f"shortlist_{row}_seconds_bucket" in text
    assert 'shortlist_requests_total{route="/health/' in text or "shortlist_requests" in text


def test_a_problems_type_can_be_looked_up(shop: Running) -> None:
    kind = get(shop, "/nope").json()["type"]
    assert get(shop, kind, None).json()["title"] == "There is no such address"
    assert get(shop, "/problems/nope", None).status_code == 404


@pytest.mark.parametrize("path", list(assets()))
def test_the_storefronts_files_are_served_as_they_are(shop: Running, path: str) -> None:
    asset, answer = assets()[path], get(shop, path, None)
    assert (answer.status_code, answer.content) == (200, asset.body)
    assert asset.headers.items() <= dict(answer.headers).items()
    again = get(shop, path, None, headers={"if-none-match": asset.etag})
    assert (again.status_code, again.content) == (304, b"")


def test_personas_come_from_the_demo(shop: Running) -> None:
    assert get(shop, "/personas", None).json() == []
    shop.shop.home.demo.write_text('{"personas":[{"user_id":"u1","name":"Ann","blurb":"b"}]}')
    assert get(shop, "/personas", None).json()[0]["user_id"] == "u1"
    shop.shop.home.demo.write_text('[{"user_id":"u2"}]')
    assert json.loads(read_personas(shop.shop.home.demo)) == [{"user_id": "u2"}]


def test_a_development_token_opens_what_its_user_may(shop: Running) -> None:
    made = ask(shop, "POST", "/dev/token", None, json={"user_id": 7})
    assert made.json()["user_id"] == "7"
    caller = shop.shop.authority.caller(b"Bearer " + shop.token("7").encode())
    assert (caller.subject, caller.is_service) == ("7", False)


def test_development_tokens_are_not_for_pages_that_borrow_the_address(shop: Running) -> None:
    for host in ("evil.example:8000", "evil.example", "127.0.0.1.evil.example"):
        asked = {"json": {"user_id": "7"}, "headers": {"host": host}}
        assert ask(shop, "POST", "/dev/token", None, **asked).status_code == 403


def test_production_hands_out_no_tokens(running: Callable[..., Running], tmp_path: Any) -> None:
    secret = tmp_path / "secret"
    secret.write_text("x" * 40)
    settings = msgspec.structs.replace(
        server(mode="production", host="0.0.0.0"), auth=AuthSettings(hs256_secret_file=str(secret))
    )
    shop = running(settings)
    assert ask(shop, "POST", "/dev/token", None, json={"user_id": "7"}).status_code == 404
    assert get(shop, "/recommendations?user_id=ann").status_code == 200


def test_pictures_are_drawn_for_items_that_there_are(shop: Running) -> None:
    pytest.importorskip("shortlist.demo.pictures")
    answer = get(shop, "/images/a%2Fb%20%E2%98%95.svg", None)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/svg+xml")
    assert "sandbox" in answer.headers["content-security-policy"]
    assert get(shop, "/images/nope.svg", None).status_code == 404
    assert get(shop, "/images/i0.png", None).status_code == 404


# --- the reference -----------------------------------------------------------------------------------


def reference(shop: Running) -> dict[str, Any]:
    found: dict[str, Any] = get(shop, "/docs/openapi.json", None).json()
    return found


def test_the_reference_has_every_route_and_its_problems(shop: Running) -> None:
    paths = reference(shop)["paths"]
    routes = {f"{method.upper()} {path}" for path, methods in paths.items() for method in methods}
    assert routes >= {
        "GET /recommendations", "POST /recommendations", "GET /similar", "POST /rank", "POST /events",
        "GET /items", "POST /items", "GET /items/{item_id}", "PATCH /items/{item_id}",
        "DELETE /items/{item_id}", "GET /categories", "GET /users/{user_id}", "DELETE /users/{user_id}",
        "PUT /users/{user_id}", "GET /rules", "POST /rules", "PATCH /rules/{rule_id}",
        "DELETE /rules/{rule_id}", "POST /rules/dry-run",
        "GET /explanations/{request_id}", "GET /health/live", "GET /health/ready", "GET /metrics",
        "GET /images/{name}.svg", "GET /personas", "POST /dev/token",
    }  # fmt: skip
    assert {"200", "400", "401", "403", "429"} <= paths["/recommendations"]["get"]["responses"].keys()
    names = [parameter["name"] for parameter in paths["/recommendations"]["get"]["parameters"]]
    assert names == ["user_id", "limit", "page", "context", "category", "exclude", "filter"]
    assert all(p["description"] for p in paths["/recommendations"]["get"]["parameters"])
    assert all(operation["summary"] for path in paths.values() for operation in path.values())


def test_every_reference_inside_the_reference_leads_somewhere(shop: Running) -> None:
    found = reference(shop)
    schemas = found["components"]["schemas"]

    def references(node: Any) -> list[str]:
        if isinstance(node, dict):
            here = [node["$ref"]] if isinstance(node.get("$ref"), str) else []
            return here + [r for value in node.values() for r in references(value)]
        return [r for value in node for r in references(value)] if isinstance(node, list) else []

    assert {r.removeprefix("#/components/schemas/") for r in references(found)} <= schemas.keys()


def test_documented_routes_ask_for_a_token_unless_they_say_that_they_are_open(shop: Running) -> None:
    for path, methods in reference(shop)["paths"].items():
        for method, operation in methods.items():
            url = path.replace("{", "").replace("}", "")
            status = ask(shop, method.upper(), url, None, json={}).status_code
            assert (status == 401) is ("security" in operation), f"{method} {path}: {status}"


def test_settings_reach_the_routes(running: Callable[..., Running]) -> None:
    assert Settings().serving.max_limit == 100
    assert get(running(), "/recommendations?user_id=ann&limit=100").status_code == 200
