"""First slates: of the share that was promised, stable between events, personal after ten interactions."""

import msgspec
import pytest
from tests.serving.conftest import Shop, ids, run

from shortlist.models.model import Model
from shortlist.serving.slate import Ask, Slate

CHOSEN = ("Kettles", "Lamps", "Chairs")
# No caps: five categories are too few for seven that explore beside three of each.
FREE = {"max_per_category": 0, "max_per_brand": 0}


def explores(slate: Slate) -> int:
    return sum(item.reason_code == "variety" for item in slate.items)


def test_the_first_slate_is_three_popular_in_the_categories_and_seven_that_explore(
    shop: Shop, model: Model
) -> None:
    shop.use(rules=FREE)
    with shop.serving(model=model) as serving:

        async def scenario() -> None:
            shop.fold("u", "preferences", "", categories=CHOSEN)
            slate = await serving.recommend(Ask(user_id="u"))
            popular = [item for item in slate.items if item.reason_code == "popular_category"]
            assert (slate.tier, len(popular), explores(slate)) == ("onboarding", 3, 7)
            assert {item.item_id[0] for item in popular} == {"k", "l", "c"}
            assert popular[0].reason == "Popular in Kettles"
            different = next(item for item in slate.items if item.reason_code == "variety")
            assert different.reason.startswith("Something different: ")
            assert different.sources == ["variety"]
            again = await serving.recommend(Ask(user_id="u"))
            hit = serving.instant("u")
            assert ids(again) == ids(slate)
            assert hit is not None
            assert ids(hit) == ids(slate)
            shop.fold("v", "preferences", "", categories=CHOSEN)
            assert ids(await serving.recommend(Ask(user_id="v"))) != ids(slate)
            second = await serving.recommend(Ask(user_id="u", page=2))
            assert not set(ids(second)) & set(ids(slate))

        run(scenario)


def test_with_every_few_clicks_less_explores_and_after_ten_nothing(shop: Shop, model: Model) -> None:
    shop.use(rules=FREE)
    with shop.serving(model=model) as serving:

        async def scenario() -> None:
            shop.fold("u", "preferences", "", categories=CHOSEN)
            shares, tiers = [], []
            for n in range(11):
                slate = await serving.recommend(Ask(user_id="u"))
                shares.append(explores(slate))
                tiers.append(slate.tier)
                personal = [item for item in slate.items if item.reason_code == "viewed"]
                assert bool(personal) == (n > 0)
                shop.fold("u", "view", f"k{n % 4}")
            assert shares == [7, 6, 6, 5, 5, 4, 4, 3, 3, 3, 0]
            assert (tiers[0], tiers[-1]) == ("onboarding", "fresh")

        run(scenario)


def test_a_guest_who_was_not_asked_gets_what_is_popular_and_then_the_chain(shop: Shop, model: Model) -> None:
    with shop.serving(model=model) as serving:

        async def scenario() -> None:
            slate = await serving.recommend(Ask(user_id="guest"))
            assert (slate.items[0].reason_code, explores(slate)) == ("popular", 0)
            shop.fold("guest", "view", "k0")
            slate = await serving.recommend(Ask(user_id="guest"))
            assert (slate.tier, explores(slate)) == ("fresh", 0)

        run(scenario)


def test_who_skips_the_survey_explores_and_everyone_new_does_if_the_shop_says_so(
    shop: Shop, model: Model
) -> None:
    shop.use(rules=FREE, coldstart={"explores": "everyone"})
    with shop.serving(model=model) as serving:

        async def scenario() -> None:
            shop.fold("skipped", "preferences", "")
            for user in ("skipped", "stranger"):
                slate = await serving.recommend(Ask(user_id=user))
                assert (slate.tier, explores(slate)) == ("onboarding", 7)

        run(scenario)


def test_turned_off_a_new_user_gets_popular_in_the_categories_and_then_the_chain(
    shop: Shop, model: Model
) -> None:
    shop.use(rules=FREE, coldstart={"explores": "off"})
    with shop.serving(model=model) as serving:

        async def scenario() -> None:
            shop.fold("u", "preferences", "", categories=("Toys", "Books"))
            slate = await serving.recommend(Ask(user_id="u"))
            assert {item.item_id[0] for item in slate.items[:4]} == {"t", "b"}
            assert explores(slate) == 0
            shop.fold("u", "view", "k0")
            slate = await serving.recommend(Ask(user_id="u"))
            assert (slate.tier, slate.items[0].reason_code) == ("fresh", "viewed")

        run(scenario)


def test_stars_speak_of_taste_once_the_slate_is_personal_and_bad_ones_keep_an_item_away(
    shop: Shop, model: Model
) -> None:
    shop.use(coldstart={"explores": "off"})
    with shop.serving(model=model) as serving:

        async def scenario() -> None:
            shop.fold("u", "preferences", "", categories=CHOSEN, ratings={"b1": 5.0, "k0": 1.0})
            assert "k0" not in ids(await serving.recommend(Ask(user_id="u", limit=40)))
            shop.fold("u", "view", "c5")
            slate = await serving.recommend(Ask(user_id="u", limit=40))
            assert "Because you liked Book 1" in [item.reason for item in slate.items]
            assert "k0" not in ids(slate)

        run(scenario)


def test_what_is_shown_in_vain_sinks_when_it_was_once_too_often_and_not_before(
    shop: Shop, model: Model
) -> None:
    shop.use(rules=FREE)
    with shop.serving(model=model) as serving:

        async def scenario() -> None:
            shop.fold("u", "view", "k1")
            shown = await serving.recommend(Ask(user_id="u"))
            first = shown.items[0].item_id
            for _ in range(5):
                assert serving.instant("u") is not None  # an impression leaves the bytes be
                shop.fold("u", "impression", first)
            assert serving.instant("u") is None
            after = await serving.recommend(Ask(user_id="u"))
            before = {item.item_id: item.score for item in shown.items}
            now = {item.item_id: item.score for item in after.items}
            assert now[first] == pytest.approx(before[first] / 2, rel=1e-5)
            assert all(now[item] == before[item] for item in now.keys() & before.keys() - {first})

        run(scenario)


def test_the_survey_has_categories_with_pictures_and_items_that_may_be_shown(
    shop: Shop, model: Model
) -> None:
    with shop.serving(model=model) as serving:

        async def scenario() -> None:
            shop.change("k0", hidden=True)
            shop.fold("u", "purchase", "k1")
            asked = msgspec.json.decode((await serving.survey("u")).body)
            assert [c["category"] for c in asked["categories"]] == [
                "Kettles",
                "Lamps",
                "Chairs",
                "Books",
                "Toys",
            ]
            assert [c["items"] for c in asked["categories"]] == [10, 10, 8, 6, 4]
            assert asked["categories"][0]["image"] == "/images/k2.svg"
            assert len({card["item_id"] for card in asked["items"]} - {"k0", "k1"}) == 5

        run(scenario)


@pytest.mark.parametrize("limit", [1, 7, 40])
def test_a_first_slate_of_any_size_is_full(shop: Shop, model: Model, limit: int) -> None:
    with shop.serving(model=model) as serving:

        async def scenario() -> None:
            shop.fold("u", "preferences", "", categories=("Toys",))
            assert len(set(ids(await serving.recommend(Ask(user_id="u", limit=limit))))) == min(limit, 40)

        run(scenario)
