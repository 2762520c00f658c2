"""The storefront, in a real browser: it shows a slate with reasons, and the slate reacts."""

import pytest
from tests.storefront.conftest import Browser
from tests.storefront.toy import XSS, Toy

pytestmark = pytest.mark.browser


def test_a_slate_is_shown_with_a_reason_under_every_item(browser: Browser, shop: str) -> None:
    browser.open(shop)
    assert len(browser.slate()) == 10
    assert all(reason.text for reason in browser.all("[data-slate] .reason"))
    assert len(browser.all("[data-slate] .reason")) == 10
    assert browser.text("[data-slate] .card-facts b").startswith("€")
    assert browser.errors() == []


def test_a_click_is_sent_at_once_with_its_slate_and_the_slate_changes_within_a_second(
    browser: Browser, shop: str, toy: Toy
) -> None:
    before = browser.open(shop).slate()
    browser.click(f"[data-item='{before[2]}'] h3 a")
    browser.until(lambda: toy.of("click"))
    [click] = toy.of("click")
    assert (click["item_id"], click["position"], click["request_id"]) == (before[2], 2, "req-ada-0-None-1")
    assert browser.wait_for("shortlist.shop.reactionMs") < 1000
    assert browser.wait_for("document.querySelectorAll('[data-ranks] [data-mark=new]').length") > 0
    browser.click(".crumb")
    after = browser.slate()
    assert after != before
    assert "Because you viewed" in browser.text("[data-slate] .reason")
    assert browser.errors() == []


def test_the_slate_changes_in_place_when_an_item_is_liked(browser: Browser, shop: str, toy: Toy) -> None:
    before = browser.open(shop).slate()
    browser.click(f"[data-item='{before[4]}'] [data-act=like]")
    browser.wait_for("document.querySelectorAll('[data-slate] [data-mark]').length")
    assert browser.slate() != before
    assert len(browser.slate()) == 10
    assert [event["position"] for event in toy.of("like")] == [4]
    assert "changed" in browser.js("return document.querySelector('[data-announce]').textContent")


def test_the_slate_beside_an_item_has_ten_others(browser: Browser, shop: str) -> None:
    opened = browser.open(shop).slate()[0]
    browser.click(f"[data-item='{opened}'] h3 a")
    assert opened not in browser.ranks()
    browser.wait_for("shortlist.shop.slate.without === arguments[0]", opened)
    browser.until(lambda: len(set(browser.ranks()) - {opened}) == 10)
    browser.click(".crumb")
    browser.wait_for("shortlist.shop.slate.without === null")
    assert len(browser.slate()) == 10


def test_what_is_not_for_me_leaves_the_slate_and_may_come_back(browser: Browser, shop: str, toy: Toy) -> None:
    unwanted = browser.open(shop).slate()[0]
    browser.click(f"[data-item='{unwanted}'] [data-act=dislike]")
    browser.until(lambda: unwanted not in browser.slate())
    browser.click(".toast button")
    browser.until(lambda: [event["item_id"] for event in toy.of("like")] == [unwanted])


def test_a_bought_item_leaves_the_slate(browser: Browser, shop: str, toy: Toy) -> None:
    bought = browser.open(shop).slate()[0]
    browser.click(f"[data-item='{bought}'] h3 a")
    browser.click("[data-act=purchase]")
    browser.until(lambda: toy.of("purchase"))
    [purchase] = toy.of("purchase")
    assert (purchase["quantity"], purchase["currency"], purchase["position"]) == (1, "EUR", 0)
    browser.until(lambda: bought not in browser.ranks())


def test_seen_items_are_reported_in_one_batch(browser: Browser, shop: str, toy: Toy) -> None:
    slate = browser.open(f"{shop}?flush_ms=100").slate()
    browser.until(lambda: toy.of("impression"))
    first = toy.of("impression")[0]
    assert first["request_id"] == "req-ada-0-None-1"
    assert slate[first["position"]] == first["item_id"]
    assert len(toy.batches[0]) > 1


def test_opening_an_item_by_its_address_is_a_view_and_shows_what_is_similar(
    browser: Browser, shop: str, toy: Toy
) -> None:
    browser.open(f"{shop}?flush_ms=50#/item/coffee-2")
    assert browser.wait_for("document.querySelector('.detail h1')?.textContent === 'Espresso Cup Set'")
    browser.wait_for("document.querySelectorAll('.carousel [data-item]').length >= 5")
    assert "long time" in browser.text(".detail-text")
    browser.until(lambda: [event["item_id"] for event in toy.of("view")] == ["coffee-2"])


def test_a_similar_item_s_click_names_the_similar_request(browser: Browser, shop: str, toy: Toy) -> None:
    browser.open(f"{shop}#/item/coffee-2")
    browser.click(".carousel [data-item='coffee-1'] h3 a")
    browser.until(lambda: toy.of("click"))
    assert (toy.of("click")[0]["request_id"], toy.of("click")[0]["position"]) == ("sim-1", 1)


def test_a_title_with_markup_is_text(browser: Browser, shop: str) -> None:
    browser.open(f"{shop}#/item/coffee-1")
    browser.wait_for("document.querySelector('.detail h1')?.textContent === arguments[0]", XSS)
    browser.wait_for("document.querySelectorAll('.carousel [data-item]').length")
    browser.driver.get(f"{shop}#/?category=Coffee")
    assert "coffee-1" in browser.slate()
    assert browser.js("return window.pwned") is None
    assert browser.all("main b b, main img[src=x]") == []


def test_another_persona_has_another_slate_and_is_remembered(browser: Browser, shop: str, toy: Toy) -> None:
    ada = browser.open(shop).slate()
    browser.click("[data-user=bo]")
    browser.wait_for("document.querySelector('h1')?.textContent === 'Picked for Bo Lindgren'")
    browser.until(lambda: browser.slate() != ada)
    browser.driver.refresh()
    browser.slate()
    assert browser.one("[data-user=bo]").get_attribute("aria-pressed") == "true"


def test_a_guest_is_the_same_guest_after_a_reload(browser: Browser, shop: str) -> None:
    browser.open(shop).slate()
    browser.click("[data-user^=guest]")
    browser.wait_for("shortlist.shop.slate?.user_id.startsWith('guest-')")
    guest = browser.js("return shortlist.shop.user.user_id")
    browser.driver.refresh()
    assert browser.wait_for("globalThis.shortlist?.shop.slate?.user_id") == guest


def test_a_category_narrows_the_slate_and_pages_go_on(browser: Browser, shop: str) -> None:
    first = browser.open(shop).slate()
    browser.click(".pager [rel=next]")
    browser.wait_for("shortlist.shop.slate.page === 2")
    assert not set(first) & set(browser.slate())
    browser.click("[data-category=Books]")
    browser.wait_for("shortlist.shop.slate.category === 'Books'")
    assert {item.split("-")[0] for item in browser.slate()} == {"books"}
    browser.driver.back()
    browser.wait_for("shortlist.shop.slate.page === 2")


def test_the_strip_says_what_just_happened(browser: Browser, shop: str) -> None:
    browser.size(1440, 900)
    before = browser.open(shop).slate()
    browser.click(f"[data-item='{before[1]}'] [data-act=like]")
    browser.wait_for("document.querySelector('[data-box=log] [data-type=like][data-state=sent]')")
    browser.wait_for("document.querySelectorAll('[data-box=user] .last a').length === 1")
    strip = browser.text("[data-strip]")
    wanted = [
        "fresh",
        "1.7 ms",
        "v1",
        "2026-11-24.3",
        "1 h old",
        "1 interaction",
        "item to item",
        "transitions",
    ]
    assert [said for said in wanted if said not in strip] == []


def test_a_source_that_was_missing_is_named(
    browser: Browser, shop: str, toy: Toy, monkeypatch: pytest.MonkeyPatch
) -> None:
    slate = toy.slate
    monkeypatch.setattr(toy, "slate", lambda *asked: slate(*asked) | {"missing_sources": {"als": "late"}})
    browser.size(1440, 900)
    browser.open(shop).slate()
    assert browser.text(".missing") == "Without als (late)"


def test_a_token_that_ran_out_is_renewed(browser: Browser, shop: str, toy: Toy) -> None:
    before = browser.open(shop).slate()
    toy.tokens.clear()
    browser.click(f"[data-item='{before[3]}'] [data-act=like]")
    browser.until(lambda: toy.of("like"))
    browser.until(lambda: browser.slate() != before)


def test_too_many_requests_say_when_to_come_back(browser: Browser, shop: str, toy: Toy) -> None:
    toy.fail("/recommendations", 429, retry_after="30")
    browser.open(shop)
    notice = browser.one("[data-problem='429']")
    assert "Trying again in" in notice.text
    browser.click("[data-problem] button")
    assert len(browser.slate()) == 10
    assert browser.all("[data-problem]") == []


def test_a_server_that_is_gone_is_said_and_waited_for(browser: Browser, shop: str, toy: Toy) -> None:
    toy.fail("/recommendations", 0, times=1000)
    browser.open(shop)
    assert "does not answer" in browser.text("[data-problem='0']")
    assert browser.text("[data-live]") == "offline"
    toy.fail("/recommendations", 0, times=0)
    assert len(browser.slate()) == 10  # by itself
    assert browser.text("[data-live]") == "live"


def test_a_fallback_is_looked_at_again_for_what_was_computed_meanwhile(
    browser: Browser, shop: str, toy: Toy
) -> None:
    toy.take([{"event_id": "e", "user_id": "ada", "type": "view", "item_id": "books-1", "ts": 1}])
    toy.tier = "popular_category"
    browser.open(shop).slate()
    assert "popular in the categories" in browser.text(".slate-head .tag")
    toy.tier = "fresh"
    browser.wait_for("shortlist.shop.slate.tier === 'fresh'")


def test_a_guest_may_start_over(browser: Browser, shop: str, toy: Toy) -> None:
    browser.size(1440, 900)
    browser.open(shop).slate()
    browser.click("[data-user^=guest]")
    browser.wait_for("shortlist.shop.slate?.user_id.startsWith('guest-')")
    guest = browser.js("return shortlist.shop.user.user_id")
    browser.click("[data-slate] [data-act=like]")
    browser.click("[data-act=start-over]")
    browser.wait_for("shortlist.shop.slate && shortlist.shop.slate.user_id !== arguments[0]", guest)
    assert browser.wait_for("shortlist.shop.slate.tier") == "popular"


def test_no_model_yet_is_explained_beside_what_is_popular(browser: Browser, shop: str, toy: Toy) -> None:
    toy.model = None
    browser.open(shop).slate()
    assert "shortlist train" in browser.text("[data-notice=no-model]")


def test_an_empty_catalog_says_what_to_do(
    browser: Browser, shop: str, toy: Toy, monkeypatch: pytest.MonkeyPatch
) -> None:
    slate = toy.slate
    monkeypatch.setattr(
        toy, "slate", lambda *asked: slate(*asked) | {"recommendations": [], "next_page": None}
    )
    browser.open(shop)
    assert "shortlist import" in browser.text("[data-empty]")


@pytest.mark.parametrize("place", ["", "#/item/coffee-2", "docs"])
def test_a_phone_never_scrolls_sideways(browser: Browser, shop: str, place: str) -> None:
    browser.size(360, 740)
    browser.open(f"{shop}{place}")
    browser.wait_for("document.querySelector('[data-slate] [data-item], .carousel [data-item], [data-op]')")
    assert browser.js("return document.documentElement.scrollWidth") <= 360
    browser.size(1280, 900)


def test_dark_follows_the_system_and_the_toggle_wins(browser: Browser, shop: str) -> None:
    browser.media(prefers_color_scheme="dark")
    browser.open(shop).slate()
    dark = browser.js("return getComputedStyle(document.body).backgroundColor")
    browser.click("[data-theme-toggle]")
    light = browser.js("return getComputedStyle(document.body).backgroundColor")
    assert (dark, light) == ("rgb(15, 19, 17)", "rgb(245, 246, 243)")
    browser.driver.refresh()
    browser.slate()
    assert browser.js("return document.documentElement.dataset.theme") == "light"


def test_the_cards_do_not_move_while_they_load(browser: Browser, shop: str, toy: Toy) -> None:
    toy.delay_s = 0.15
    browser.open(shop)
    waiting = browser.wait_for("document.querySelector('.card.is-waiting')?.getBoundingClientRect().height")
    loaded = browser.wait_for(
        "document.querySelector('[data-slate] [data-item]')?.getBoundingClientRect().height"
    )
    assert abs(waiting - loaded) <= 1
    shift = browser.js(
        "return new Promise((done) => new PerformanceObserver((list) => done(list.getEntries()"
        ".reduce((sum, entry) => sum + entry.value, 0))).observe({ type: 'layout-shift', buffered: true })"
        " ?? setTimeout(() => done(0), 300))"
    )
    assert shift < 0.05


def test_it_works_by_keyboard(browser: Browser, shop: str, toy: Toy) -> None:
    slate = browser.open(shop).slate()
    browser.js("document.querySelector('[data-slate] [data-item] [data-act=like]').focus()")
    browser.driver.switch_to.active_element.send_keys("\ue007")
    browser.until(lambda: [event["item_id"] for event in toy.of("like")] == [slate[0]])
    browser.until(lambda: browser.slate() != slate)
    assert browser.js("return document.activeElement.dataset.act") == "like"  # the focus stayed in the slate


def test_every_control_has_a_name(browser: Browser, shop: str) -> None:
    browser.open(shop).slate()
    nameless = browser.js(
        "return [...document.querySelectorAll('button, a')].map((one) => "
        "[one.getAttribute('aria-label') || one.textContent.trim(), one.outerHTML]).filter(([name]) => !name)"
    )
    assert nameless == []


def test_reduced_motion_moves_nothing(browser: Browser, shop: str) -> None:
    browser.media(prefers_reduced_motion="reduce")
    before = browser.open(shop).slate()
    browser.js("window.moved = 0; Element.prototype.animate = () => { window.moved++; throw 'moved'; }")
    browser.click(f"[data-item='{before[4]}'] [data-act=like]")
    browser.until(lambda: browser.slate() != before)
    assert browser.js("return moved") == 0


def test_movies_without_price_or_brand_are_rated(browser: Browser, cinema: str) -> None:
    before = browser.open(cinema).slate()
    assert {fact.text for fact in browser.all("[data-slate] .card-facts b")} == {""}
    browser.click(f"[data-item='{before[0]}'] h3 a")
    browser.click(".stars label:nth-of-type(4) input")
    browser.wait_for("document.querySelector('[data-box=log] [data-type=rating][data-state=sent]')")
    assert "undefined" not in browser.text("main")
    assert "null" not in browser.text("main")
    assert browser.errors() == []
