"""A real browser, a shop behind the real contract, and what the tests say about pages in words."""

import json
import os
import shutil
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import WebDriverWait
from tests.storefront.toy import Toy, movies, products, serving

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
CHROMEDRIVER = shutil.which("chromedriver")
OPTIONS = (
    "--headless=new --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --disable-extensions --disable-dev-shm-usage --hide-scrollbars"
)
PATIENCE_S = 8.0  # two busy cores; a page that works needs a fraction of it


class Browser:
    """The browser in the words of the tests. `errors()` is what the page said went wrong."""

    def __init__(self, driver: webdriver.Chrome) -> None:
        self.driver = driver

    def open(self, url: str) -> "Browser":
        """Go to `url` as a new visitor: nothing stored."""
        self.driver.get(url.split("#")[0].split("?")[0] + "static/favicon.svg")
        self.js("localStorage.clear(); sessionStorage.clear()")
        self.errors()  # those of the page before are not ours
        self.driver.get(url)
        return self

    def js(self, script: str, *arguments: Any) -> Any:
        return self.driver.execute_script(script, *arguments)

    def wait_for(self, script: str, *arguments: Any) -> Any:
        """The first true value of a JavaScript expression. Raises TimeoutException."""
        return self.until(lambda: self.js(f"return {script}", *arguments), script)

    def until(self, check: Callable[[], Any], what: str = "") -> Any:
        return WebDriverWait(self.driver, PATIENCE_S, 0.04).until(lambda _: check(), what)

    def all(self, css: str) -> list[WebElement]:
        return self.driver.find_elements(By.CSS_SELECTOR, css)

    def one(self, css: str) -> WebElement:
        found: WebElement = self.until(lambda: next(iter(self.all(css)), None), css)
        return found

    def text(self, css: str) -> str:
        """The visible text of the first element found, read in one step: pages redraw while we look."""
        return str(self.wait_for("document.querySelector(arguments[0])?.innerText", css))

    def click(self, css: str) -> None:
        """Press what is found, in one step."""
        found = "document.querySelector(arguments[0])"
        self.wait_for(f"((found) => {{ found?.click(); return Boolean(found); }})({found})", css)

    def slate(self) -> list[str]:
        """The ids on the front page, in order, once there are any."""
        return self.ids("[data-slate]")

    def ranks(self) -> list[str]:
        """The ids of the slate beside an item, in order, once there are any."""
        return self.ids("[data-ranks]")

    def ids(self, css: str) -> list[str]:
        """The ids below an element, in order, once there are any."""
        found = f"[...document.querySelectorAll('{css} [data-item]')].map((one) => one.dataset.item)"
        return list(self.wait_for(f"((ids) => ids.length ? ids : null)({found})"))

    def size(self, width: int, height: int) -> None:
        self.driver.execute_cdp_cmd(
            "Emulation.setDeviceMetricsOverride",
            {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600},
        )

    def media(self, **features: str) -> None:
        named = [{"name": name.replace("_", "-"), "value": value} for name, value in features.items()]
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": named})

    def errors(self) -> list[str]:
        """Errors that the page caused; a refused or failed request is the server's, and is none."""
        log = self.driver.get_log("browser")  # type: ignore[no-untyped-call]  # selenium has no type here
        rows = [row for row in log if row["level"] == "SEVERE"]
        return [row["message"] for row in rows if "Failed to load resource" not in row["message"]]


@pytest.fixture(scope="session")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdriver.Chrome]:
    """One browser for all tests; each starts with empty storage."""
    if CHROMIUM is None or CHROMEDRIVER is None:
        reason = "no chromium and chromedriver here: apt install chromium chromium-driver"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    options = Options()
    options.binary_location = CHROMIUM
    for option in (*OPTIONS.split(), f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(option)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(CHROMEDRIVER))
    try:
        yield driver
    finally:
        driver.quit()


@pytest.fixture
def browser(chromium: webdriver.Chrome) -> Iterator[Browser]:
    """The browser at desktop size, in the light."""
    browser = Browser(chromium)
    browser.size(1280, 900)
    browser.media(prefers_color_scheme="light", prefers_reduced_motion="no-preference")
    yield browser
    chromium.get("about:blank")  # pages of one test send nothing into the next


@pytest.fixture(scope="session")
def toy_server() -> Iterator[tuple[Toy, str]]:
    toy = Toy(products())
    with serving(toy) as address:
        yield toy, address


@pytest.fixture
def toy(toy_server: tuple[Toy, str]) -> Toy:
    """The shop's insides, with nothing in it."""
    toy_server[0].forget()
    return toy_server[0]


@pytest.fixture
def shop(toy: Toy, toy_server: tuple[Toy, str]) -> str:
    """The shop's front page."""
    return f"{toy_server[1]}/"


@pytest.fixture
def cinema() -> Iterator[str]:
    """The front page of a shop whose items have neither price nor brand nor description."""
    with serving(Toy(movies())) as address:
        yield f"{address}/"


@pytest.fixture
def blank(shop: str, browser: Browser) -> Browser:
    """An empty page of the shop's origin, with the tracker at hand as `Tracker` and the events it reports."""
    browser.open(f"{shop}static/favicon.svg")
    arm(browser)
    return browser


def arm(browser: Browser) -> None:
    """Load the tracker into the page that is open."""
    browser.js("window.said = []; import('/client.js').then(({ Tracker }) => { window.Tracker = Tracker; });")
    browser.wait_for("window.Tracker !== undefined")


def track(browser: Browser, *lines: str, **options: Any) -> None:
    """A tracker of user ada with `options`, then `lines` of JavaScript that use it as `tracker`."""
    browser.js(
        "window.tokens = 0; window.tracker = new Tracker({ userId: 'ada', "
        "token: async (user) => { window.tokens++; const said = await fetch('/dev/token', "
        "{ method: 'POST', body: JSON.stringify({ user_id: user }) }); return (await said.json()).token; }, "
        "onEvent: ({ type, item_id }, state, why) => window.said.push([type, item_id, state, why ?? null]), "
        f"...{json.dumps(options)} }}); {' '.join(lines)}"
    )
