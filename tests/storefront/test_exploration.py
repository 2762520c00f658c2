"""The page of new items, in a real browser, before a server that knows one token."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import msgspec
import pytest
from tests.storefront.conftest import Browser

from shortlist.coldstart.accounts import Account, Accounts
from shortlist.coldstart.ledger import Decision
from shortlist.storefront import assets

pytestmark = pytest.mark.browser

TOKEN = "a token of a service"  # of nobody


def account(
    item_id: str, status: str, delivered: int, clicks: int, decision: Decision | None = None
) -> Account:
    return Account(
        item_id=item_id,
        title=f"<b>{item_id}</b>",
        status=status,
        share={"exploring": 0.05, "promoted": 0.2}.get(status, 0.0),
        promised=delivered + 40,
        delivered=delivered,
        until_decision=1_000 - delivered if status == "exploring" else None,
        clicks=clicks,
        purchases=clicks // 9,
        ctr=clicks / delivered if delivered else None,
        ctr_low=0.7 * clicks / max(1, delivered),
        ctr_high=1.4 * clicks / delivered if delivered else 1.0,
        place_ctr=0.04,
        cost=0.04 * delivered - clicks,
        decision=decision,
    )


ITEMS = [
    account("kettle", "exploring", 640, 25),
    account("lamp", "promoted", 1_480, 71, Decision("lamp", "promoted", "above", 1, 1_000, 48)),
    account("chair", "waiting", 0, 0),
    account("rug", "retired", 1_000, 9, Decision("rug", "retired", "below", 1, 1_000, 9)),
]
LEDGER = Accounts(
    enabled=True, share=0.05, promoted_share=0.2, impressions=1_000, limit=10_000, ctr=0.03, confidence=0.95,
    per_user=3, promised=3_280, delivered=3_120, clicks=105, cost=19.8, items=ITEMS,
)  # fmt: skip


class Handler(BaseHTTPRequestHandler):
    """GET /exploration and the files, as the gateway has them."""

    def do_GET(self) -> None:
        wants_page = "text/html" in self.headers.get("accept", "")
        if self.path == "/exploration" and not wants_page:
            if self.headers.get("authorization") == f"Bearer {TOKEN}":
                self._answer(200, "application/json", msgspec.json.encode(LEDGER), {})
            else:
                problem = b'{"title": "Not allowed", "detail": "a service or admin token is needed"}'
                self._answer(403, "application/problem+json", problem, {})
            return
        path = "/static/exploration.html" if self.path == "/exploration" else self.path
        asset = assets().get(path)
        if asset is None:
            self._answer(404, "text/plain", b"no such file", {})
        else:
            self._answer(200, asset.content_type, asset.body, asset.headers)

    def do_POST(self) -> None:
        """The development server's token for operators."""
        assert self.path == "/dev/operator"
        self._answer(200, "application/json", msgspec.json.encode({"token": TOKEN}), {})

    def _answer(self, status: int, kind: str, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {**headers, "content-type": kind, "content-length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the parent's name
        """Say nothing."""


@pytest.fixture(scope="module")
def page() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/exploration"
    server.shutdown()
    server.server_close()
    thread.join()


def enter(browser: Browser, token: str) -> None:
    browser.one("#key").send_keys(token)
    browser.click("[data-key] [type=submit]")


def test_it_asks_for_a_token_and_says_when_one_does_not_do(browser: Browser, page: str) -> None:
    browser.open(page)
    enter(browser, "a user's")
    assert browser.text("[role=alert]") == "a service or admin token is needed"
    enter(browser, TOKEN)
    browser.one("[data-item]")
    assert not browser.one("[data-key]").is_displayed()
    assert browser.errors() == []


def test_in_development_it_can_get_one_itself(browser: Browser, page: str) -> None:
    browser.open(page)
    browser.click("[data-dev]")
    assert browser.ids("main") == ["kettle", "lamp", "chair", "rug"]


def test_every_item_says_where_it_stands(browser: Browser, page: str) -> None:
    browser.open(page)
    enter(browser, TOKEN)
    assert browser.ids("main") == ["kettle", "lamp", "chair", "rug"]
    kettle = browser.text("[data-item=kettle]")
    assert "<b>kettle</b>" in kettle  # a title is only ever text
    assert "640 of 680" in kettle
    assert "judged in 360 more" in kettle
    assert "+0.6" in kettle
    assert "proved above 3.0 % with 48 of 1,000" in browser.text("[data-item=lamp]")
    assert "stopped" in browser.text("[data-item=rug]")


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (1280, "dark"), (390, "light")])
def test_it_fits_the_window(browser: Browser, page: str, width: int, scheme: str) -> None:
    browser.size(width, 900)
    browser.media(prefers_color_scheme=scheme)
    browser.open(page)
    enter(browser, TOKEN)
    browser.one("[data-item]")
    assert browser.js("return document.documentElement.scrollWidth <= innerWidth")
    assert browser.js("return document.documentElement.dataset.theme") == scheme
