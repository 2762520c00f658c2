"""The same page on a real `shortlist serve`: what a click does, from the browser to the disk and back."""

import json
import urllib.request
from collections.abc import Iterator

import pytest
from bench._server import Server, serving, token
from tests.storefront.conftest import Browser
from tests.storefront.toy import products

from shortlist.home import Home

pytestmark = [pytest.mark.browser, pytest.mark.server]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that knows 36 products and nobody."""
    home = Home(tmp_path_factory.mktemp("served") / "home").make().path
    with serving(home) as server:
        rows = [{k: v for k, v in row.items() if k != "category" and v is not None} for row in products()]
        request = urllib.request.Request(  # our own server
            f"http://127.0.0.1:{server.port}/items",
            data=json.dumps(rows).encode(),
            headers={
                "content-type": "application/json",
                "authorization": f"Bearer {token(home, 's', 'admin')}",
            },
        )
        with urllib.request.urlopen(request) as answer:
            assert answer.status == 200
        yield server
    server._said.close()


@pytest.fixture
def shop(server: Server) -> str:
    """The front page of the real shop."""
    return f"http://127.0.0.1:{server.port}/"


def known(browser: Browser) -> dict[str, object]:
    """What the server knows of the page's user, asked by the page."""
    found: dict[str, object] = browser.driver.execute_async_script(
        "const done = arguments[0]; shortlist.shop.loadFeatures().then(() => done(shortlist.shop.features));"
    )
    return found


def test_a_slate_with_reasons_from_the_first_visit_on(browser: Browser, shop: str) -> None:
    browser.open(shop)
    assert len(browser.slate()) == 10
    assert all(reason.text for reason in browser.all("[data-slate] .reason"))
    assert "shortlist train" in browser.text("[data-notice=no-model]")
    assert browser.errors() == []


def test_a_click_is_durable_and_becomes_a_feature(browser: Browser, shop: str) -> None:
    before = browser.open(shop).slate()
    browser.click(f"[data-item='{before[2]}'] h3 a")
    browser.wait_for("document.querySelector('[data-box=log] [data-type=click][data-state=sent]')")
    browser.until(lambda: known(browser)["last_5"] == [before[2]])
    browser.wait_for("document.querySelector('.detail h1')?.textContent.length > 3")
    browser.wait_for("shortlist.shop.slate.features.interaction_count === 1")
    assert browser.errors() == []


def test_what_is_bought_or_unwanted_leaves_the_slate_at_once(browser: Browser, shop: str) -> None:
    unwanted, bought, *_ = browser.open(shop).slate()
    browser.click(f"[data-item='{unwanted}'] [data-act=dislike]")
    browser.until(lambda: unwanted not in browser.slate())
    browser.click(f"[data-item='{bought}'] h3 a")
    browser.click("[data-act=purchase]")
    browser.until(lambda: bought not in browser.ranks())
    assert unwanted not in browser.ranks()


def test_categories_and_pages(browser: Browser, shop: str) -> None:
    first = browser.open(shop).slate()
    browser.click(".pager [rel=next]")
    browser.wait_for("shortlist.shop.slate.page === 2")
    assert not set(first) & set(browser.slate())
    browser.click("[data-category=Books]")
    browser.wait_for("shortlist.shop.slate.category === 'Books'")
    assert {item.split("-")[0] for item in browser.slate()[:6]} == {"books"}


def test_a_category_that_is_none_is_named_with_the_way_back(browser: Browser, shop: str) -> None:
    browser.open(f"{shop}#/?category=Bookz")
    browser.wait_for("document.querySelector('.notice[data-problem]')")
    assert "did you mean Books?" in browser.text("[data-problem]")
    browser.click("[data-problem] a")
    browser.wait_for("shortlist.shop.slate?.category === null")


def test_any_user_of_the_data_may_be_tried(browser: Browser, shop: str) -> None:
    browser.open(shop).slate()
    browser.js("document.querySelector('[data-anybody] input').value = 'user 7 🎈'")
    browser.click("[data-anybody] button")
    browser.wait_for("shortlist.shop.slate?.user_id === 'user 7 🎈'")
    assert "user 7 🎈" in browser.text("h1")


def test_the_reference_has_every_route_and_tries_them(browser: Browser, shop: str) -> None:
    browser.open(f"{shop}docs")
    browser.one("[data-op='get /recommendations']")
    routes = {box.get_attribute("data-op") for box in browser.all("[data-op]")}
    assert {
        "post /events",
        "get /similar",
        "post /rank",
        "get /users/{user_id}",
        "get /health/ready",
    } <= routes
    browser.click("[data-op='get /recommendations'] summary")
    browser.click("[data-op='get /recommendations'] [type=submit]")
    browser.until(lambda: browser.text("[data-op='get /recommendations'] .answer .tag") == "200")
    assert browser.errors() == []
