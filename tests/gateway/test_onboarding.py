"""The survey's answers and guests who log in, over HTTP."""

import asyncio
from typing import Any

import pytest

from shortlist.events.event import Event, EventType, decode, encode
from shortlist.events.log import EVENTS, Record
from tests.gateway.conftest import Running
from tests.gateway.test_app import ask


def submit(shop: Running, **changes: Any) -> Any:
    body = {"user_id": "ann", "categories": ["light"], "ratings": {"i1": 4}} | changes
    return ask(shop, "POST", "/onboarding/submit", json=body)


def test_answers_are_an_event_in_the_log(shop: Running) -> None:
    answer = submit(shop, event_id="mine")
    assert (answer.status_code, answer.json()) == (202, {"user_id": "ann", "event_id": "mine"})
    event = decode(shop.log.records[0].value)
    assert (event.type, event.user_id, event.categories, event.ratings) == (
        "preferences", "ann", ("light",), {"i1": 4.0},
    )  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "status", "why"),
    [
        ({"categories": ["lihgt"]}, 400, "no category 'lihgt'"),
        ({"categories": []}, 400, "skipped: true"),
        ({"ratings": {"i9": 4}}, 400, "no item 'i9'"),
        ({"ratings": {"i1": 6}}, 400, "1 to 5 stars"),
        ({"ratings": {"i1": "five"}}, 400, "ratings"),
        ({"stars": {}}, 400, "stars"),
        ({"user_id": "bob"}, 403, "another user"),
    ],
)
def test_what_cannot_be_is_refused_by_name_and_leaves_nothing(
    shop: Running, changes: dict[str, Any], status: int, why: str
) -> None:
    answer = submit(shop, **changes)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert why in answer.json()["detail"]
    assert shop.log.records == []


def guest_viewed(shop: Running, item_id: str = "i0") -> None:
    event = Event(event_id="e", user_id="guest-1", type=EventType.VIEW, item_id=item_id, ts=1)
    asyncio.run(shop.log.append(EVENTS, [Record("guest-1", encode(event))]))


def merge(shop: Running, *scopes: str, subject: str = "ann", **proof: str) -> Any:
    return ask(shop, "POST", "/users/ann/merge", subject, *scopes, json={"guest": "guest-1", **proof})


def test_a_login_brings_the_guests_past(shop: Running) -> None:
    guest_viewed(shop)
    answer = merge(shop, guest_token=shop.token("guest-1"))
    assert (answer.status_code, answer.json()) == (202, {"user_id": "ann", "guest": "guest-1", "events": 1})
    event = decode(shop.log.records[-1].value)
    assert (event.user_id, event.guest, [told.event.item_id for told in event.past]) == (
        "ann",
        "guest-1",
        ["i0"],
    )


def test_a_guest_becomes_one_user_and_the_first_login_stands(shop: Running) -> None:
    guest_viewed(shop)
    assert merge(shop, "service", subject="backend").status_code == 202
    logged = len(shop.log.records)
    other = ask(shop, "POST", "/users/bob/merge", "backend", "service", json={"guest": "guest-1"})
    assert (other.status_code, other.json()["type"]) == (409, "/problems/guest-taken")
    assert "another id" in other.json()["detail"]
    assert "ann" not in other.json()["detail"]
    assert len(shop.log.records) == logged
    assert merge(shop, "service", subject="backend").status_code == 202  # the same one, again


def test_nobody_takes_the_past_of_somebody_they_cannot_prove_to_be(shop: Running) -> None:
    guest_viewed(shop)
    assert merge(shop).status_code == 403
    assert merge(shop, guest_token=shop.token("ann")).status_code == 403
    assert merge(shop, guest_token=shop.token("guest-2")).status_code == 403
    assert merge(shop, guest_token="x").status_code == 403  # not 401: the caller's own token holds
    assert merge(shop, subject="bob", guest_token=shop.token("guest-1")).status_code == 403
    assert len(shop.log.records) == 1
    assert merge(shop, "service", subject="backend").json()["events"] == 1


def test_nobody_is_their_own_guest(shop: Running) -> None:
    answer = ask(shop, "POST", "/users/ann/merge", "backend", "service", json={"guest": "ann"})
    assert (answer.status_code, answer.json()["type"].rpartition("/")[2]) == (400, "bad-request")
