from collections import Counter

import pytest

from shortlist.catalog.item import Item
from shortlist.demo.personas import ROLES
from shortlist.demo.shop import DAYS, END_MS, Shop, make_shop
from shortlist.events.event import EventType

DAY_MS = 86_400_000


@pytest.fixture(scope="module")
def made() -> Shop:
    return make_shop(seed=3)


@pytest.fixture(scope="module")
def items(made: Shop) -> dict[str, Item]:
    return {item.item_id: item for item in made.items}


def test_equal_seeds_make_equal_shops_and_others_others() -> None:
    shop = make_shop(seed=3, sessions=300)
    assert make_shop(seed=3, sessions=300) == shop
    assert make_shop(seed=4, sessions=300).events != shop.events


def test_the_shop_is_as_big_as_one_would_want_to_look_around_in(made: Shop) -> None:
    assert len(made.items) == 2_000
    assert 100_000 < len(made.events) < 150_000
    assert 1_200 < len({event.user_id for event in made.events}) <= 1_500
    assert len({item.category for item in made.items}) == 15


def test_every_item_has_all_that_a_page_shows(made: Shop) -> None:
    assert len({item.title for item in made.items}) == len(made.items)
    for item in made.items:
        assert item.title
        assert item.description
        assert item.brand
        assert len(item.categories) == 2
        assert item.price is not None
        assert 1 <= item.price < 5_000
        assert item.currency == "EUR"
        assert item.margin is not None
        assert 0 <= item.margin < 0.8
        assert 0 < item.added_ms < END_MS


def test_the_rules_find_something_to_do(made: Shop) -> None:
    assert 20 < sum(item.stock == 0 for item in made.items) < 200
    assert 40 < sum((item.margin or 0) < 0.05 for item in made.items) < 250
    assert sum(item.added_ms > END_MS - 21 * DAY_MS for item in made.items) > 100


def test_events_are_in_order_within_the_days_and_about_items_that_were_there(
    made: Shop, items: dict[str, Item]
) -> None:
    times = [event.ts for event in made.events]
    assert times == sorted(times)
    assert END_MS - DAYS * DAY_MS <= times[0] < times[-1] <= END_MS
    assert {event.type for event in made.events} >= {
        EventType.VIEW,
        EventType.CLICK,
        EventType.CART,
        EventType.PURCHASE,
    }
    too_early = sum(event.ts < items[event.item_id].added_ms for event in made.events)
    assert too_early < len(made.events) / 100, "but for what goes along with something"


def test_a_user_buys_a_thing_once(made: Shop) -> None:
    bought = Counter((e.user_id, e.item_id) for e in made.events if e.type == EventType.PURCHASE)
    assert len(bought) > 3_000
    assert max(bought.values()) == 1


def test_few_items_get_most_of_the_looks(made: Shop) -> None:
    looks = sorted(Counter(e.item_id for e in made.events).values(), reverse=True)
    assert 0.3 < sum(looks[:200]) / len(made.events) < 0.6
    assert len(looks) > 1_900, "and nearly all get some"


def test_sessions_stay_mostly_inside_a_department(made: Shop, items: dict[str, Item]) -> None:
    last: dict[str, str | None] = {}
    same = moves = 0
    for event in made.events:
        assert event.session_id is not None
        category = items[event.item_id].category
        if event.session_id in last:
            moves += 1
            same += last[event.session_id] == category
        last[event.session_id] = category
    assert 0.75 < same / moves < 0.95


def test_helmets_are_bought_along_with_bikes_more_than_by_chance(made: Shop, items: dict[str, Item]) -> None:
    carts: dict[str, set[str]] = {}
    for event in made.events:
        if event.type == EventType.PURCHASE and event.session_id:
            carts.setdefault(event.session_id, set()).add(items[event.item_id].categories[1])
    with_bike = [kinds for kinds in carts.values() if "Bikes" in kinds]
    along = sum(bool(kinds & {"Helmets", "Bike lights", "Locks"}) for kinds in with_bike) / len(with_bike)
    anyway = sum(bool(kinds & {"Helmets", "Bike lights", "Locks"}) for kinds in carts.values()) / len(carts)
    assert along > 3 * anyway


def test_cheap_and_dear_tastes_look_at_different_prices(made: Shop, items: dict[str, Item]) -> None:
    def share_premium(user: str) -> float:
        looked = [items[e.item_id].attributes["style"] for e in made.events if e.user_id == user]
        return looked.count("premium") / len(looked)

    assert share_premium("home-barista") > share_premium("dog-owner") + 0.2


@pytest.mark.parametrize("role", ROLES, ids=lambda role: role.persona.user_id)
def test_a_persona_has_a_past_of_its_own_taste(made: Shop, items: dict[str, Item], role: object) -> None:
    persona = next(r for r in ROLES if r is role).persona
    mine = [e for e in made.events if e.user_id == persona.user_id]
    assert 40 < len(mine) < 300
    assert mine[-1].ts > END_MS - DAY_MS, "was here today"
    favourite, count = Counter(items[e.item_id].category for e in mine).most_common(1)[0]
    wished = next(r for r in ROLES if r is role).tastes
    kinds = {item.categories[1] for item in made.items if item.category == favourite}
    assert favourite in wished or kinds & set(wished)
    assert count > 0.4 * len(mine)


def test_no_persona_is_named_like_a_person(made: Shop) -> None:
    assert [p.user_id for p in made.personas] == [role.persona.user_id for role in ROLES]
    assert 6 <= len(made.personas) <= 8
    assert all(p.blurb and p.avatar for p in made.personas)
