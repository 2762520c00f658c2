"""Somebody new says what they like, and sees what each of the first clicks does to the list."""

from tests.storefront.conftest import Browser
from tests.storefront.toy import Toy

KINDS = "[...document.querySelectorAll('[data-journey] [data-clicks=\"{}\"] i')].map((one) => one.className)"


def arrive(browser: Browser, shop: str) -> None:
    browser.open(shop).slate()
    browser.click("[data-new]")
    browser.one("[data-choose]")


def answered(browser: Browser, toy: Toy) -> dict[str, object]:
    user = browser.wait_for("shortlist.shop.slate?.user_id")
    browser.until(lambda: user in toy.answered)
    return dict(toy.answered[user])


def test_somebody_new_chooses_rates_and_gets_a_first_list(browser: Browser, shop: str, toy: Toy) -> None:
    arrive(browser, shop)
    assert browser.one("[data-act=submit]").get_attribute("disabled") is not None
    names = [tile.get_attribute("data-choose") for tile in browser.all("[data-choose]")][:2]
    for name in names:
        browser.click(f"[data-choose='{name}']")
    item = browser.all("[data-sample]")[1].get_attribute("data-sample")
    browser.click(f"[data-sample='{item}'] input[value='4']")
    assert "2 chosen, 1 more would help · 1 rated" in browser.text(".welcome-end p")
    browser.click("[data-act=submit]")
    browser.slate()
    told = answered(browser, toy)
    assert (told["categories"], told["ratings"]) == (names, {item: 4})
    assert str(told["user_id"]).startswith("guest-")
    assert browser.wait_for("shortlist.shop.slate.tier") == "onboarding"
    assert "find out" in browser.text(".slate-head .tag")
    assert f"You said you like {names[0]} and {names[1]}" in browser.text(".slate-head p")
    known = browser.js("return document.querySelector('[data-box=user]').textContent")
    assert f"Said to like{names[0]}{names[1]}1 item rated in the survey." in known
    assert "preferences" not in known
    assert browser.errors() == []


def test_the_survey_may_be_skipped(browser: Browser, shop: str, toy: Toy) -> None:
    arrive(browser, shop)
    browser.click("[data-act=skip]")
    browser.slate()
    assert answered(browser, toy)["skipped"] is True
    assert "Skipped the survey." in browser.js("return document.querySelector('[data-box=user]').textContent")


def test_on_a_phone_the_survey_s_buttons_stand_above_the_strip(browser: Browser, shop: str, toy: Toy) -> None:
    browser.size(390, 844)
    arrive(browser, shop)
    for name in (".welcome-end .button.is-main", "[data-act=skip]", ".welcome-end p"):
        box = "const { left, top, width, height } = arguments[0].getBoundingClientRect();"
        hit = f"{box} return document.elementFromPoint(left + width / 2, top + height - 2)"
        assert browser.js(hit, browser.one(name)) == browser.one(name)


def test_each_of_the_first_clicks_adds_a_column_that_shows_what_changed(
    browser: Browser, shop: str, toy: Toy
) -> None:
    arrive(browser, shop)
    browser.click("[data-choose]")
    browser.click("[data-act=submit]")
    browser.slate()
    first = browser.wait_for(f"((kinds) => kinds.length ? kinds : null)({KINDS.format(0)})")
    assert [kind for kind in first if "is-fresh" in kind] == []
    assert first.count("is-explores") == 7
    browser.click("[data-slate] [data-act=like]")
    second = browser.wait_for(f"((kinds) => kinds.length ? kinds : null)({KINDS.format(1)})")
    assert sum("is-explores" in kind for kind in second) == 6
    assert any("is-personal" in kind for kind in second)
    spoken = browser.one("[data-journey] [data-clicks='1'] [role=img]").get_attribute("aria-label")
    assert spoken is not None
    assert spoken.startswith("after 1 clicks: ")
    browser.click("[data-user=ada]")
    browser.until(lambda: not browser.all("[data-journey]:not([hidden])"))  # a persona is no guest


def test_a_survey_that_cannot_be_had_says_so_and_can_be_left(browser: Browser, shop: str, toy: Toy) -> None:
    toy.fail("/onboarding", 503, times=3)
    browser.open(shop).slate()
    browser.click("[data-new]")
    assert "Told to fail" in browser.text(".welcome [data-problem]")
    browser.click("[data-act=skip]")
    assert browser.slate()


def test_answers_that_are_refused_stay_on_the_page(browser: Browser, shop: str, toy: Toy) -> None:
    toy.fail("/onboarding/submit", 400)
    arrive(browser, shop)
    browser.click("[data-choose]")
    browser.click("[data-act=submit]")
    assert "Told to fail" in browser.text(".welcome [data-problem]")
    browser.click("[data-act=submit]")
    assert browser.slate()
