"""The tracker, in a real browser: what it sends, when, and what it does when that does not work."""

from pathlib import Path

import pytest
from tests.storefront.conftest import Browser, arm, track
from tests.storefront.toy import Toy

from shortlist.storefront import assets

pytestmark = pytest.mark.browser

LONG_MS = 600_000  # "never" within a test
CARD = "const card = document.createElement('div'); document.body.append(card); card.style.height = '200px';"


@pytest.fixture
def page(shop: str, browser: Browser) -> Browser:
    """A page with room for elements, outside the storefront's own code."""
    browser.open(f"{shop}docs")
    browser.wait_for("document.querySelector('[data-op]')")
    browser.js("document.body.replaceChildren()")
    arm(browser)
    return browser


def test_clicks_and_purchases_go_at_once_with_where_they_came_from(blank: Browser, toy: Toy) -> None:
    track(blank, "tracker.click('a', { request_id: 'r1', position: 3 });", intervalMs=LONG_MS)
    blank.until(lambda: toy.of("click"))
    track(blank, "tracker.purchase('b', { price: 9.5, currency: 'EUR', quantity: 2 });", intervalMs=LONG_MS)
    blank.until(lambda: toy.of("purchase"))
    [click], [purchase] = toy.of("click"), toy.of("purchase")
    assert (click["user_id"], click["item_id"], click["request_id"], click["position"]) == (
        "ada",
        "a",
        "r1",
        3,
    )
    assert (purchase["price"], purchase["currency"], purchase["quantity"]) == (9.5, "EUR", 2)
    assert click["session_id"] == purchase["session_id"]
    assert len(click["event_id"]) == 36


def test_other_events_wait_for_ten_of_them(blank: Browser, toy: Toy) -> None:
    track(blank, "for (let n = 0; n < 9; n++) tracker.view(`v${n}`);", intervalMs=LONG_MS)
    assert toy.batches == []
    blank.js("tracker.view('v9')")
    blank.until(lambda: toy.batches)
    assert [event["item_id"] for event in toy.batches[0]] == [f"v{n}" for n in range(10)]


def test_or_for_the_interval(blank: Browser, toy: Toy) -> None:
    track(blank, "tracker.view('a'); tracker.view('b');", intervalMs=60)
    blank.until(lambda: toy.of("view"))
    assert [event["item_id"] for event in toy.batches[0]] == ["a", "b"]


def test_what_could_not_be_sent_survives_a_reload_under_its_own_event_id(blank: Browser, toy: Toy) -> None:
    toy.fail("/events", 0, times=50)
    track(blank, "window.noted = tracker.click('a').event_id; tracker.view('b');", intervalMs=LONG_MS)
    event_id = blank.js("return noted")
    blank.until(lambda: "POST /events" in toy.requests)
    blank.driver.refresh()
    toy.fail("/events", 0, times=0)
    arm(blank)
    track(blank, intervalMs=LONG_MS)
    blank.until(lambda: toy.of("view"))
    assert [event["event_id"] for event in toy.of("click")] == [event_id]
    blank.wait_for("tracker.pending === 0 && !Object.keys(localStorage).some((key) => key.includes('queue'))")


def test_a_broken_connection_is_tried_again_with_the_same_id(blank: Browser, toy: Toy) -> None:
    toy.fail("/events", 0, times=2)
    track(blank, "tracker.click('a');")
    blank.until(lambda: toy.of("click"))
    assert toy.requests.count("POST /events") >= 2
    assert len(toy.of("click")) == 1


def test_the_server_s_retry_after_is_waited_for_even_by_a_click(blank: Browser, toy: Toy) -> None:
    toy.fail("/events", 429, retry_after="600")
    track(blank, "tracker.click('a');")
    blank.until(lambda: "POST /events" in toy.requests)
    blank.wait_for("tracker.pending === 1")
    blank.js("return tracker.flush()")
    blank.js("tracker.click('b'); return tracker.flush()")
    assert toy.requests.count("POST /events") == 1
    assert blank.js("return tracker.pending") == 2


def test_a_503_s_retry_after_ends(blank: Browser, toy: Toy) -> None:
    toy.fail("/events", 503, retry_after="0.05")
    track(blank, "tracker.click('a');")
    blank.until(lambda: toy.of("click"))


def test_refused_events_are_dropped_and_named_and_the_good_ones_kept(blank: Browser, toy: Toy) -> None:
    toy.refuse_item = "bad"
    track(blank, "tracker.view('bad'); tracker.click('good');", intervalMs=LONG_MS)
    blank.until(lambda: toy.of("click"))
    blank.wait_for("tracker.pending === 0")
    assert ["view", "bad", "refused", "item_id is not an id"] in blank.js("return said")
    assert ["click", "good", "sent", None] in blank.js("return said")


def test_a_batch_without_any_good_event_is_dropped_too(blank: Browser, toy: Toy) -> None:
    toy.refuse_item = "bad"
    track(blank, "tracker.click('bad');")
    blank.wait_for("said.some(([, , state]) => state === 'refused')")
    assert blank.js("return tracker.pending") == 0


def test_a_refused_token_is_asked_for_again(blank: Browser, toy: Toy) -> None:
    track(blank, "tracker.click('a');")
    blank.until(lambda: toy.of("click"))
    toy.tokens.clear()  # all of them ran out
    blank.js("tracker.click('b')")
    blank.until(lambda: len(toy.of("click")) == 2)
    assert blank.js("return tokens") == 2


def test_what_waits_keeps_its_user_and_goes_with_that_user_s_token(blank: Browser, toy: Toy) -> None:
    track(blank, "tracker.view('a'); tracker.setUser('bo'); tracker.click('b');", intervalMs=LONG_MS)
    blank.until(lambda: toy.of("click") and toy.of("view"))
    assert (toy.of("view")[0]["user_id"], toy.of("click")[0]["user_id"]) == ("ada", "bo")
    assert toy.of("view")[0]["session_id"] != toy.of("click")[0]["session_id"]


def test_who_signs_in_leaves_another_guest_to_whoever_comes_after(blank: Browser, toy: Toy) -> None:
    track(
        blank,
        "tracker.setUser(null); const guest = tracker.userId;",
        "window.said = [guest, tracker.signIn('bo'), tracker.userId];",
        "tracker.setUser(null); window.said.push(tracker.userId);",
    )
    was, merged, user, after = blank.js("return window.said")
    assert was == merged
    assert user == "bo"
    assert after != was


def test_a_session_ends_after_its_silence(blank: Browser, toy: Toy) -> None:
    track(
        blank,
        "const first = tracker.view('a'); const second = tracker.view('b');",
        "const kept = JSON.parse(localStorage['shortlist.session']);",
        "localStorage['shortlist.session'] = JSON.stringify({ ...kept, last: kept.last - 31 * 60e3 });",
        "window.sessions = [first, second, tracker.view('c')].map((event) => event.session_id);",
        intervalMs=LONG_MS,
    )
    first, second, third = blank.js("return sessions")
    assert first == second != third


def test_the_queue_is_bounded_and_gives_up_impressions_first(blank: Browser, toy: Toy) -> None:
    toy.fail("/events", 0, times=1000)
    track(
        blank,
        "tracker.view('first'); for (let n = 0; n < 40; n++) tracker.track('impression', n);",
        "for (let n = 0; n < 19; n++) tracker.view(n);",
        intervalMs=LONG_MS,
        batchSize=1000,
        maxQueue=20,
    )
    assert blank.js("return tracker.pending") == 20
    dropped = [row for row in blank.js("return said") if row[2] == "dropped"]
    assert {row[0] for row in dropped} == {"impression"}
    assert len(dropped) == 40


def test_leaving_the_page_sends_what_waits(blank: Browser, toy: Toy, shop: str) -> None:
    track(blank, "tracker.click('a');", intervalMs=LONG_MS)  # the token is known from here on
    blank.until(lambda: toy.of("click"))
    blank.js("tracker.view('left')")
    blank.driver.get(f"{shop}static/favicon.svg?next")
    blank.until(lambda: toy.of("view"))


def test_without_a_token_the_beacon_takes_it(blank: Browser, toy: Toy, shop: str) -> None:
    blank.js(
        "window.beacons = [];"
        "navigator.sendBeacon = (url, body) => { beacons.push([url, body.type]); return true; };"
        "window.tracker = new Tracker({ userId: 'ada', intervalMs: 600000 }); tracker.view('a');"
        "dispatchEvent(new Event('pagehide'));"
    )
    assert blank.js("return beacons") == [["/events", "application/json"]]
    assert blank.js("return tracker.pending") == 0


def test_half_of_an_item_on_screen_for_a_while_is_an_impression_once(page: Browser, toy: Toy) -> None:
    watch = "tracker.observe(card, { item_id: 'seen', request_id: 'r1', position: 4 });"
    track(page, CARD, watch, "window.card = card;", visibleMs=60, batchSize=1)
    page.until(lambda: toy.of("impression"))
    page.js(watch)  # the same slate drawn again
    page.js("tracker.observe(card, { item_id: 'seen', request_id: 'r2', position: 0 })")  # another slate
    page.until(lambda: len(toy.of("impression")) == 2)
    assert [(e["item_id"], e["request_id"], e["position"]) for e in toy.of("impression")] == [
        ("seen", "r1", 4),
        ("seen", "r2", 0),
    ]


def test_what_is_below_the_fold_or_shown_by_a_third_is_not_seen(page: Browser, toy: Toy) -> None:
    track(
        page,
        "const box = (style) => { const made = document.createElement('div'); made.style.cssText = style;",
        "document.body.append(made); return made; };",
        "document.body.style.margin = 0; box(`height: ${innerHeight - 60}px`);",
        "const third = box('height: 200px'); const far = box('margin-top: 2000px; height: 100px');",
        "const near = box('position: fixed; top: 0; height: 80px; width: 80px');",
        "tracker.observe(third, { item_id: 'third' }); tracker.observe(far, { item_id: 'far' });",
        "setTimeout(() => tracker.observe(near, { item_id: 'near' }), 80);",
        visibleMs=60,
        batchSize=1,
    )
    page.until(lambda: toy.of("impression"))  # `near` came last and waited longest
    assert [event["item_id"] for event in toy.of("impression")] == ["near"]


def test_elements_that_left_the_page_are_let_go(page: Browser) -> None:
    track(
        page,
        "window.kept = [];",
        "for (let n = 0; n < 300; n++) {",
        "  const box = document.createElement('div'); document.body.append(box);",
        "  tracker.observe(box, { item_id: n }); box.remove(); kept.push(new WeakRef(box)); }",
        "const shown = document.createElement('div'); document.body.append(shown);",
        "shown.style.height = '50px'; tracker.observe(shown, { item_id: 'shown' });",
        intervalMs=LONG_MS,
        visibleMs=20,
    )
    page.wait_for("said.length > 0")
    page.driver.execute_cdp_cmd("HeapProfiler.collectGarbage", {})
    page.wait_for("kept.filter((box) => box.deref()).length < 10")


def test_it_never_throws_into_the_page(blank: Browser) -> None:
    returned = blank.js(
        "const tracker = new Tracker({ userId: 'ada', token: () => { throw new Error('no'); },"
        "onEvent: () => { throw 1; } }); const circle = {}; circle.self = circle;"
        "tracker.track('click', 'a', circle); tracker.click('b'); tracker.observe(null, {});"
        "tracker.observe(document.body, {}); tracker.unobserve(null); tracker.close(); return 'still here';"
    )
    assert returned == "still here"


def test_the_plain_script_sets_a_global(browser: Browser, shop: str) -> None:
    source = assets()["/client.classic.js"].body.decode()
    browser.open(f"{shop}static/favicon.svg")  # no policy here that forbids a script made of text
    browser.js("(0, eval)(arguments[0])", source)
    assert browser.js("return typeof Shortlist.Tracker + typeof globalThis.Tracker") == "functionundefined"


def test_the_file_needs_no_build_and_says_how_it_is_used() -> None:
    source = Path(__file__).parents[2] / "src/shortlist/storefront/static/client.js"
    text = source.read_text(encoding="utf-8")
    assert text.startswith("/**")
    assert 'import { Tracker } from "https://' in text.split("*/")[0]
