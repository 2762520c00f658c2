"""The operator's page, in a real browser, before a server that knows one token."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote

import msgspec
import pytest
from tests.storefront.conftest import Browser

from shortlist.catalog.rule import Rule, RuleInvalid, patched, rule_of
from shortlist.ranking.rules import compiled
from shortlist.serving.dry_run import DryRun, Moved
from shortlist.storefront import assets

pytestmark = pytest.mark.browser

TOKEN = "a token of an operator"  # of nobody
FOUND = DryRun(
    12, 480, 93, 0.1938, [Moved("p1", "<b>Kettle</b>", 61)], [Moved("p3", "Rug", 70)], 2, 0, 5, 1, 2, 310.0
)  # fmt: skip


class Shop:
    """The rules as the server has them."""

    def __init__(self) -> None:
        self.rules: dict[str, Rule] = {}
        self.tried: list[Any] = []

    def listed(self) -> list[dict[str, Any]]:
        return [
            {
                "rule": msgspec.to_builtins(rule),
                "state": "on" if rule.enabled else "off",
                "matches": 12,
                "warnings": [f"no item has <b>{rule.where}</b>"] if "prize" in rule.where else [],
            }
            for rule in self.rules.values()
        ]

    def write(self, method: str, path: str, body: Any) -> tuple[int, Any]:
        """As the gateway does."""
        rule_id = unquote(path.removeprefix("/rules").strip("/"))
        try:
            if path == "/rules/dry-run":
                self.tried.append(body["rule"])
                return 200, FOUND
            if method == "POST":
                rule = compiled(rule_of(body | {"id": body.get("id") or "rule-1"})).rule
            elif method == "PATCH":
                rule = compiled(patched(self.rules[rule_id], body)).rule
            else:
                return 204, self.rules.pop(rule_id) and None
        except RuleInvalid as error:
            return 400, {"title": "The request cannot be understood", "detail": str(error)}
        self.rules[rule.id] = rule
        return 200, rule


SHOP = Shop()


class Handler(BaseHTTPRequestHandler):
    """/rules, a development token and the files, as the gateway has them."""

    def do_GET(self) -> None:
        if self.path != "/rules":
            asset = assets().get(self.path)
            if asset is not None:
                self._answer(200, asset.body, asset.headers)
            else:
                self._answer(404, b"no such file", {})
        elif self._is_known():
            self._json(200, {"rules": SHOP.listed()})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers.get("content-length") or 0)) or "null")
        if self.path == "/dev/operator":
            self._json(200, {"token": TOKEN, "user_id": "operator", "expires_s": 1})
        elif self._is_known():
            self._json(*SHOP.write(self.command, self.path, body))

    do_PATCH = do_DELETE = do_POST  # noqa: N815  # the parent's names

    def _is_known(self) -> bool:
        known = self.headers.get("authorization") == f"Bearer {TOKEN}"
        if not known:
            self._json(
                403, {"title": "Not allowed", "detail": "this needs a token with scope admin or service"}
            )
        return known

    def _json(self, status: int, value: Any) -> None:
        body = b"" if status == 204 else msgspec.json.encode(value)
        self._answer(status, body, {"content-type": "application/json"})

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
    yield f"http://127.0.0.1:{server.server_port}/operator"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def signed_in(browser: Browser, page: str) -> Browser:
    """The page of somebody who has a token, in a shop without rules."""
    SHOP.rules.clear()
    SHOP.tried.clear()
    browser.open(page)
    browser.click("[data-dev]")
    browser.wait_for("document.querySelector('.rules .empty') !== null")
    return browser


def write(browser: Browser, **values: str) -> None:
    for name, value in values.items():
        browser.js(
            "const field = document.querySelector('[data-editor]').elements[arguments[0]];"
            "field.value = arguments[1]; field.dispatchEvent(new Event('change', { bubbles: true }));",
            name,
            value,
        )


def rows(browser: Browser) -> list[str]:
    found: list[str] = browser.js(
        "return [...document.querySelectorAll('[data-rule]')].map((r) => r.innerText)"
    )
    return found


def test_only_a_token_of_the_shop_opens_the_page(browser: Browser, page: str) -> None:
    browser.open(page)
    browser.one("#key").send_keys("somebody else's")
    browser.click("[data-key] .is-main")
    assert "scope admin or service" in browser.text(".refused")
    browser.one("#key").send_keys(TOKEN)
    browser.click("[data-key] .is-main")
    browser.wait_for("document.querySelector('[data-key]').hidden")
    assert browser.js("return localStorage.length") == 0
    assert browser.errors() == []


def test_a_rule_is_written_turned_off_changed_and_deleted(signed_in: Browser) -> None:
    browser = signed_in
    browser.click("[data-new]")
    write(browser, id="sale", name="<i>Sale</i>", action="boost", factor="1.5", where="price < 50")
    write(browser, contexts="home, cart", start="2030-01-02T03:04")
    browser.click("[data-editor] [type=submit]")
    browser.wait_for("document.querySelector('[data-rule=sale]') !== null")
    (said,) = rows(browser)
    assert "<i>Sale</i>" in said
    assert "boost × 1.5" in said
    assert "in home, cart" in said
    assert (SHOP.rules["sale"].factor, SHOP.rules["sale"].contexts) == (1.5, ("home", "cart"))
    assert SHOP.rules["sale"].start is not None

    browser.click("[data-rule=sale] .actions button:nth-child(1)")
    browser.wait_for("document.querySelector('[data-rule=sale]').dataset.state === 'off'")
    browser.click("[data-rule=sale] .actions button:nth-child(2)")
    assert browser.js("return document.querySelector('[name=start]').value") == "2030-01-02T03:04"
    write(browser, action="hide", where="price < 40", start="")
    browser.click("[data-editor] [type=submit]")
    browser.wait_for("document.querySelector('[data-rule=sale]').innerText.includes('price < 40')")
    assert SHOP.rules["sale"] == Rule(
        id="sale",
        name="<i>Sale</i>",
        action="hide",
        where="price < 40",
        contexts=("home", "cart"),
        enabled=False,
    )

    browser.js("window.confirm = () => true")
    browser.click("[data-rule=sale] .actions button:nth-child(3)")
    browser.wait_for("document.querySelector('.rules .empty') !== null")
    assert SHOP.rules == {}
    assert browser.errors() == []


def test_a_rule_that_names_what_no_item_has_is_marked(signed_in: Browser) -> None:
    for name, where in (("typo", "prize < 5"), ("good", "price < 5")):
        SHOP.rules[name] = Rule(id=name, action="hide", where=where)
    signed_in.js("location.reload()")
    signed_in.wait_for("document.querySelector('[data-rule=good]') !== null")
    assert signed_in.text("[data-rule=typo] .warned") == "no item has <b>prize < 5</b>"
    assert not signed_in.all("[data-rule=good] .warned")


def test_a_refusal_stands_at_its_field_and_nothing_is_lost(signed_in: Browser) -> None:
    browser = signed_in
    browser.click("[data-new]")
    write(browser, action="hide", where="price <")
    browser.click("[data-editor] [type=submit]")
    assert browser.text("[name=where] + .refused").startswith("where, at character 7: expected a value")
    assert browser.js("return document.activeElement.name") == "where"
    assert browser.js("return document.querySelector('[name=where]').value") == "price <"
    write(browser, where="price < 50", action="boost", factor="0.5")
    browser.click("[data-try]")
    browser.click("[data-editor] [type=submit]")
    assert browser.text("[name=factor] + .refused") == "factor of a boost is more than 1, not 0.5"
    assert browser.all("[name=where] + .refused") == []
    assert SHOP.rules == {}


def test_a_draft_is_tried_out_before_it_is_saved(signed_in: Browser) -> None:
    browser = signed_in
    browser.click("[data-new]")
    write(browser, action="pin", position="2", where="item_id = p1")
    browser.click("[data-try]")
    said = browser.text(".result")
    assert "19.4 %" in said
    assert "<b>Kettle</b>" in said
    assert "Rug" in said
    assert SHOP.tried[0]["position"] == 2
    assert SHOP.rules == {}


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_it_fits_a_phone_in_both_themes(signed_in: Browser, theme: str) -> None:
    browser = signed_in
    browser.media(prefers_color_scheme=theme)
    browser.size(390, 844)
    browser.click("[data-new]")
    write(browser, where="brand in (" + ", ".join(f"brand{n}" for n in range(40)) + ")", action="hide")
    browser.click("[data-try]")
    browser.text(".result")
    browser.click("[data-editor] [type=submit]")
    browser.wait_for("document.querySelector('[data-rule]') !== null")
    assert browser.js("return document.documentElement.scrollWidth") <= 390
