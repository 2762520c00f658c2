"""The API reference, in a real browser."""

import pytest
from tests.storefront.conftest import Browser
from tests.storefront.toy import Toy

pytestmark = pytest.mark.browser


def test_every_route_is_shown_by_its_tag_with_a_curl(browser: Browser, shop: str) -> None:
    browser.open(f"{shop}docs")
    browser.one("[data-op='get /recommendations']")
    routes = [box.get_attribute("data-op") for box in browser.all("[data-op]")]
    assert routes == ["get /recommendations", "post /events", "get /items/{item_id}"]
    assert [head.text for head in browser.all(".group > h2")] == ["Recommendations", "Events", "Catalog"]
    assert "user_id=ada" in browser.text("[data-op='get /recommendations'] pre")
    body = browser.js("return document.querySelector('textarea').value")
    assert '"type": "view"' in body
    assert "…" not in body  # an example is sent as it stands
    assert browser.errors() == []


def test_a_route_is_tried_with_a_development_token(browser: Browser, shop: str, toy: Toy) -> None:
    browser.open(f"{shop}docs")
    browser.click("[data-op='get /recommendations'] summary")
    browser.click("[data-op='get /recommendations'] [type=submit]")
    browser.until(lambda: '"tier"' in browser.text("[data-op='get /recommendations'] .try pre"))
    assert browser.text("[data-op='get /recommendations'] .answer .tag") == "200"


def test_a_body_is_sent_as_it_stands(browser: Browser, shop: str, toy: Toy) -> None:
    browser.open(f"{shop}docs")
    browser.one("[data-op='post /events'] textarea")
    browser.js(
        "const box = document.querySelector(\"[data-op='post /events'] textarea\");"
        "box.value = JSON.stringify([{ event_id: 'e', user_id: 'ada', type: 'view', item_id: 'books-1' }]);"
    )
    browser.click("[data-op='post /events'] [type=submit]")
    browser.until(lambda: [event["item_id"] for event in toy.of("view")] == ["books-1"])


def test_a_missing_description_is_said(browser: Browser, shop: str, toy: Toy) -> None:
    toy.fail("/docs/openapi.json", 503)
    browser.open(f"{shop}docs")
    assert "HTTP 503" in browser.text("[role=alert]")
