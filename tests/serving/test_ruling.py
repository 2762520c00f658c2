"""Operators' work with real stores: rules followed, attributes known, drafts tried on what was served."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from tests.serving.conftest import Shop, ids

from shortlist.catalog.engine import open_engine
from shortlist.catalog.rule import Rule, RuleInvalid
from shortlist.catalog.rules_store_sql import SqlRules
from shortlist.catalog.users_store_sql import SqlUsers
from shortlist.database import open_database
from shortlist.home import Home
from shortlist.models.model import Model
from shortlist.serving.attributes import UserAttributes
from shortlist.serving.dry_run import sample_of
from shortlist.serving.profiles import Profiles
from shortlist.serving.ruling import Ruling
from shortlist.serving.serving import Serving
from shortlist.serving.slate import Ask

HIDE = Rule(id="hide", action="hide", where="category = Lamps")


class Desk:
    """An operator's desk: a serving shop, and the stores its process and another one write to."""

    def __init__(
        self, serving: Serving, ruling: Ruling, profiles: Profiles, rules: SqlRules, users: SqlUsers
    ):
        self.serving, self.ruling, self.profiles = serving, ruling, profiles
        self.rules, self.users = rules, users

    async def kinds(self, user: str = "u", **more: Any) -> set[str]:
        """First letters of what a user is shown."""
        return {item[0] for item in ids(await self.serving.recommend(Ask(user_id=user, **more)))}


Scene = Callable[[Desk], Awaitable[None]]


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    """A shop with a log of its own: what others were served is none of its business."""
    with closing(open_database(Home(tmp_path / "home"))) as database:
        made = Shop(database)
        yield made
        made.log.close()


@pytest.fixture
def at_desk(shop: Shop, model: Model, tmp_path: Path) -> Callable[[Scene], None]:
    """Run a test's coroutine at a desk."""

    async def main(scene: Scene) -> None:
        async with open_engine("sqlite:", tmp_path / "catalog.sqlite") as engine:
            rules, users = SqlRules(engine), SqlUsers(engine)
            attributes = UserAttributes(users, await users.version(), read_s=10.0)
            with shop.serving(model=model, attributes=attributes) as serving:
                ruling = Ruling(rules, serving, shop.log)
                await ruling.follow()
                await scene(Desk(serving, ruling, Profiles(users, attributes, serving), rules, users))

    return lambda scene: asyncio.run(main(scene))


def test_rules_are_followed_once_written_here_and_at_the_next_look_when_written_elsewhere(
    at_desk: Callable[[Scene], None],
) -> None:
    async def scene(desk: Desk) -> None:
        assert "l" in await desk.kinds()
        await desk.ruling.create(HIDE)
        assert "l" not in await desk.kinds()
        await desk.ruling.patch("hide", {"enabled": False})
        assert "l" in await desk.kinds()
        assert [(one.state, one.matches) for one in await desk.ruling.listed()] == [("off", None)]
        await desk.rules.patch("hide", {"enabled": True}, lambda rule: None)
        await desk.ruling.follow()
        assert "l" not in await desk.kinds()
        assert [(one.state, one.matches) for one in await desk.ruling.listed()] == [("on", 10)]
        await desk.ruling.delete("hide")
        assert "l" in await desk.kinds()

    at_desk(scene)


def test_what_no_item_has_now_is_warned_of_until_one_comes(
    at_desk: Callable[[Scene], None], shop: Shop
) -> None:
    async def scene(desk: Desk) -> None:
        rule = Rule(id="r", action="boost", where="glow > 5 and price < 9", categories=("Lamp",))
        made = await desk.ruling.create(rule)
        assert [said.split("; ")[0] for said in made.warnings] == [
            'where: no item has an attribute "glow"',
            'categories: no item has the category "Lamp"',
        ]
        assert made.warnings[1].endswith("did you mean Lamps?")
        assert (await desk.ruling.dry_run(rule, 5)).warnings == made.warnings
        shop.change("l0", attributes={"glow": 9}, categories=("Lamp",))
        assert [one.warnings for one in await desk.ruling.listed()] == [()]
        shop.change("l0", deleted=True)
        (listed,) = await desk.ruling.listed()
        assert len(listed.warnings) == 2, "had, and has no more"

    at_desk(scene)


def test_a_rule_of_another_version_that_cannot_be_read_costs_only_itself(
    at_desk: Callable[[Scene], None],
) -> None:
    async def scene(desk: Desk) -> None:
        await desk.rules.create(HIDE)
        await desk.rules.create(Rule(id="odd", action="hide", where="price ~ 5"))
        await desk.ruling.follow()
        assert "l" not in await desk.kinds()
        with pytest.raises(RuleInvalid):
            await desk.ruling.create(Rule(id="odd2", action="hide", where="price ~ 5"))
        assert [rule.id for rule in (await desk.rules.rules())[1]] == ["hide", "odd"]
        assert (await desk.ruling.listed())[1].warnings[0].startswith("it is left out: where, at character 6")

    at_desk(scene)


def test_attributes_decide_which_rules_a_user_meets_wherever_they_were_written(
    at_desk: Callable[[Scene], None],
) -> None:
    async def scene(desk: Desk) -> None:
        await desk.ruling.create(Rule(id="r", action="filter", where="category = Books", users="plan = pro"))
        assert await desk.kinds() != {"b"}
        await desk.profiles.put("u", {"plan": "pro"})
        assert await desk.kinds() == {"b"}
        assert await desk.kinds("other") != {"b"}
        await desk.users.put("u", {"plan": "free"})
        await desk.profiles.follow()
        assert await desk.kinds() != {"b"}
        await desk.profiles.put("u", {"plan": "pro"})
        await desk.profiles.delete("u")
        await desk.serving.forget("u")
        assert await desk.kinds() != {"b"}

    at_desk(scene)


def test_a_dry_run_says_what_a_draft_would_change_and_changes_nothing(
    shop: Shop, at_desk: Callable[[Scene], None]
) -> None:
    async def scene(desk: Desk) -> None:
        ends = shop.log.ends("recommendation.impressions")
        for partition, end in enumerate(ends):  # the slates of other tests are none of ours
            shop.log.truncate("recommendation.impressions", partition, end)
        shop.fold("u", "view", "l0")
        shown = ids(await desk.serving.recommend(Ask(user_id="u")))
        await desk.serving.recommend(Ask(user_id="u", category="Books"))
        await desk.serving.recommend_history(["c1"])
        desk.serving._served.flush()
        shop.log.wait("recommendation.impressions", ends, 5.0)
        sampled = sample_of(shop.log, 1_000)
        assert [slate.items for slate in sampled.slates].count(shown) == 1
        assert len(sampled.slates) == len(sampled.pools) == 3
        one = sample_of(shop.log, 1)
        assert [*one.pools] == [slate.trace_id for slate in one.slates]  # others are not kept in memory

        before = await desk.ruling.dry_run(None, 1_000)
        assert (before.affected, before.lost) == (0, [])
        found = await desk.ruling.dry_run(HIDE, 1_000)
        assert found.slates == 3
        assert found.matches == 10
        assert 0 < found.affected < found.slates
        assert found.lost[0].item_id[0] == "l"  # others may be moved to another page
        assert found.lost[0].title.startswith("Lamp")
        assert found.gained
        assert all(item.item_id[0] != "l" for item in found.gained)
        assert found.short == found.short_before
        pinned = await desk.ruling.dry_run(Rule(id="p", action="pin", where="item_id = t3"), 1_000)
        assert pinned.gained[0].item_id == "t3"
        nothing = Rule(id="f", action="filter", where="item_id = b1")
        assert (await desk.ruling.dry_run(nothing, 1_000)).short > found.short
        assert ids(await desk.serving.recommend(Ask(user_id="u"))) == shown
        assert await desk.ruling.listed() == []

    at_desk(scene)


def test_a_dry_run_leaves_out_what_the_request_left_out(shop: Shop, at_desk: Callable[[Scene], None]) -> None:
    async def scene(desk: Desk) -> None:
        shop.fold("u", "view", "k1")
        shown = ids(await desk.serving.recommend(Ask(user_id="other")))
        await desk.serving.recommend(Ask(user_id="u", exclude=tuple(shown)))
        desk.serving._served.flush()
        await desk.serving.aside(lambda: shop.log.wait("recommendation.impressions", [0, 0], 1.0))
        hide = Rule(id="h", action="hide", where=f"item_id in ({', '.join(shown)})")
        found = await desk.ruling.dry_run(hide, 1_000)
        assert (found.slates, found.affected) == (2, 1)

    at_desk(scene)


def test_a_dry_run_takes_off_the_boosts_of_the_time(shop: Shop, at_desk: Callable[[Scene], None]) -> None:
    async def scene(desk: Desk) -> None:
        shop.use(rules={"max_per_category": 0})
        boost = Rule(id="b", action="boost", where="category = Books", factor=900)
        await desk.ruling.create(boost)
        shop.fold("u", "view", "c1")
        await desk.serving.recommend(Ask(user_id="u"))
        desk.serving._served.flush()
        await desk.serving.aside(lambda: shop.log.wait("recommendation.impressions", [0, 0], 1.0))
        same = await desk.ruling.dry_run(boost, 1)
        assert same.affected == 0
        await desk.ruling.delete("b")
        again = await desk.ruling.dry_run(boost, 1_000)
        assert again.affected > 0

    at_desk(scene)


def test_what_is_kept_of_users_is_bounded_in_bytes(tmp_path: Path) -> None:
    async def main() -> None:
        async with open_engine("sqlite:", tmp_path / "catalog.sqlite") as engine:
            users = SqlUsers(engine)
            await users.put("first", {"a": 1})
            known = UserAttributes(users, await users.version(), kept_bytes=100_000, read_s=10.0)
            for n in range(50):
                known.learn(f"u{n}", {"words": "x" * 16_000})
                known.learn(f"u{n}", {"words": "y" * 16_000})
                assert known._bytes <= 100_000
            assert len(known._kept) == 6
            assert await asyncio.to_thread(known, "u49") == {"words": "y" * 16_000}
            assert await asyncio.to_thread(known, "u0") == {}  # read anew: the store never had them
            known.drop("u49")
            for user_id in list(known._kept):
                known.drop(user_id)
            assert known._bytes == 0

    asyncio.run(main())
