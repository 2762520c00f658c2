"""The page that says why a slate is as it is, in a real browser, before a server that knows one token."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import msgspec
import pytest
from tests.storefront.conftest import Browser

from shortlist.catalog.rule import Rule
from shortlist.serving.effects import LeftOut
from shortlist.serving.explained import Explained, ItemTold, PoolTold, Step
from shortlist.serving.remade import EQUAL, NAMED, Missing, Part, Replay
from shortlist.serving.today import Shift, Today
from shortlist.storefront import assets

pytestmark = pytest.mark.browser

TOKEN = "a token of a service"  # of nobody
RULE = Rule(id="kettles first", action="boost", where="category = Kettles", factor=2.0)
TOLD = Explained(
    request_id="r/1",
    served_ms=1_700_000_000_000,
    user_id="ann",
    tier="cache",
    context="browsing",
    page=1,
    limit=3,
    items=[
        ItemTold(
            "k1", "<b>Kettle</b>", 0, 0.31, 1, "Because you viewed Cup", "viewed", {"item_knn": 2.5}, 2.0
        ),
        ItemTold("n1", "Mug", 1, reason="New in our shop", propensity=0.25, candidates=tuple("abcd")),
        ItemTold("t1", "Tray", 2, 0.1, 9, pinned_by="tray", features={"item_knn:share": 0.5}),
    ],
    pool=PoolTold(
        "p", 1_700_000_000_000, "fresh", "3", 12, 771, 87, 100, "miss", 250, {"als": "late"}, [], [RULE]
    ),
    past=[Step("c", "Cup", "view", 1_699_999_000_000)],
)  # fmt: skip
AGAIN = msgspec.structs.replace(
    TOLD,
    left_out=[LeftOut("k2", "Kettle 2", 2, 0.3, "3 of Kettles are shown (rules.max_per_category)")],
    replay=Replay(
        "r/1", NAMED, Part(NAMED, missing=[Missing("model", "model 3 was deleted")]), Part(EQUAL, 3)
    ),
    today=Today(
        "3", "4", 1, [Shift("k1", 1, 0, 0.31, None, "it is out of stock"), Shift("k9", 0, 1, None, 0.4)]
    ),
)


class Handler(BaseHTTPRequestHandler):
    """One explanation, a development token and the files, as the gateway has them."""

    def do_GET(self) -> None:
        path, _, query = self.path.partition("?")
        asset = assets().get(path)
        if asset is not None:
            self._answer(200, asset.body, asset.headers)
        elif self.headers.get("authorization") != f"Bearer {TOKEN}":
            self._json(403, {"title": "Not allowed", "detail": "this needs a token with scope service"})
        elif path == "/explanations/r%2F1":
            self._json(200, AGAIN if "replay=true" in query and "against=today" in query else TOLD)
        else:
            self._json(404, {"title": "Not found", "detail": "no slate with this request_id"})

    def do_POST(self) -> None:
        self._json(200, {"token": TOKEN, "user_id": "operator", "expires_s": 1})

    def _json(self, status: int, value: object) -> None:
        self._answer(status, msgspec.json.encode(value), {"content-type": "application/json"})

    def _answer(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {**headers, "content-length": str(len(body))}.items():
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
    yield f"http://127.0.0.1:{server.server_port}/explain"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def explained(browser: Browser, page: str) -> Browser:
    """The page of a request, come to by a link."""
    browser.open(f"{page}?request=r%2F1")
    browser.click("[data-dev]")
    browser.wait_for("document.querySelectorAll('.items > li').length === 3")
    return browser


def text(browser: Browser) -> str:
    return str(browser.js("return document.querySelector('main').innerText"))


def test_a_link_with_a_request_id_shows_past_scores_rules_and_the_draw(explained: Browser) -> None:
    said = text(explained)
    for part in (
        "ann", "87 interactions", "250 candidates", "als (late)", "<b>Kettle</b>", "Because you viewed Cup",
        "item knn 2.500", "drawn among 4", "25 %", "Rule tray put it here", "kettles first", "boost × 2",
    ):  # fmt: skip
        assert part in said, part
    shares = "(i) => i.style.getPropertyValue('--share')"
    bars = explained.js(f"return [...document.querySelectorAll('.items .bar i')].map({shares})")
    assert bars[0] == "1"
    assert float(bars[2]) == pytest.approx(0.1 / 0.31)


def test_a_replay_names_what_is_gone_and_shows_today(explained: Browser) -> None:
    explained.click("[data-replay]")
    explained.wait_for("document.querySelector('[data-verdict]') !== null")
    assert explained.js("return document.querySelector('[data-verdict]').dataset.verdict") == "named"
    said = text(explained)
    for part in ("model 3 was deleted", "equal, bit for bit", "it is out of stock", "rules.max_per_category"):
        assert part in said, part
    assert "Model 4 instead of 3" in said


def test_what_is_unknown_or_not_allowed_is_said(explained: Browser) -> None:
    explained.js(
        "document.querySelector('#request').value = 'x'; document.querySelector('[data-ask] .button').click()"
    )
    explained.wait_for("document.querySelector('.refused') !== null")
    assert "no slate with this request_id" in text(explained)
    explained.js("sessionStorage.setItem('shortlist.service-token', 'another'); location.reload()")
    explained.wait_for("document.querySelector('.refused')?.textContent.includes('scope service')")
    assert "scope service" in text(explained)


@pytest.mark.parametrize("width", [360, 1280])
def test_nothing_runs_out_of_the_page(explained: Browser, width: int) -> None:
    explained.size(width, 900)
    explained.click("[data-replay]")
    explained.wait_for("document.querySelector('[data-verdict]') !== null")
    assert explained.js("return document.documentElement.scrollWidth") <= width
