"""What must never break (3): no slate of any tier holds what was bought, disliked or taken from the shop."""

import asyncio
from collections import defaultdict
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.serving.conftest import Noted, Shop, catalog, fitted, ids

from shortlist.coldstart.exploration import Exploration
from shortlist.models.model import Model
from shortlist.serving.slate import Ask
from shortlist.settings import ExplorationSettings

ITEMS = [item.item_id for item in catalog()]
NEW = ["n1", "n2"]  # came after the training, and may be tried out on everybody
USERS = ("u1", "u2", "u3")

users = st.sampled_from(USERS)
# An item by its id, or by its place in what the user was shown last: a cache would serve that again.
item_ids = st.sampled_from(ITEMS[:16] + ITEMS[-4:] + NEW) | st.integers(0, 5)
TYPES = ("purchase", "dislike", "view", "cancel", "like")
CHANGES = ({"hidden": True}, {"hidden": False}, {"stock": 0}, {"stock": 5}, {"deleted": True}, {"price": 9.0})
steps = st.lists(
    st.one_of(
        st.tuples(
            st.just("fold"),
            users,
            st.sampled_from(["view", "purchase", "cancel", "dislike", "like", "impression"]),
            item_ids,
        ),
        st.tuples(
            st.just("change"),
            item_ids,
            st.sampled_from(
                [
                    {"hidden": True},
                    {"hidden": False},
                    {"stock": 0},
                    {"stock": 5},
                    {"deleted": True},
                    {"price": 9.0},
                ]
            ),
        ),
        st.tuples(st.just("ask"), users, st.sampled_from([1, 10, 40]), st.sampled_from([1, 2])),
        st.tuples(st.just("category"), users, st.sampled_from(["Kettles", "Toys"])),
        st.tuples(st.just("similar"), users, item_ids),
        st.tuples(st.just("later"), st.sampled_from([1_000, 3_700_000, 90_000_000])),
        st.tuples(st.just("swap"), st.sampled_from(["1", "2", ""])),
        st.tuples(st.just("break"), st.booleans()),
        st.tuples(st.just("breathe")),
    ),
    min_size=4,
    max_size=25,
)


class Truth:
    """What may not be served, kept as plainly as can be."""

    def __init__(self) -> None:
        self.items: dict[str, dict[str, Any]] = {item_id: {} for item_id in ITEMS + NEW}
        self.bought: dict[tuple[str, str], int] = defaultdict(int)
        self.disliked: set[tuple[str, str]] = set()

    def fold(self, user: str, type_: str, item_id: str) -> None:
        pair = (user, item_id)
        if type_ == "purchase":
            self.bought[pair] += 1
        elif type_ == "cancel":
            self.bought[pair] = max(0, self.bought[pair] - 1)
        elif type_ == "dislike":
            self.disliked.add(pair)
        if type_ in ("purchase", "like"):
            self.disliked.discard(pair)

    def change(self, item_id: str, changes: dict[str, Any]) -> None:
        if "deleted" in changes:
            self.items.pop(item_id, None)
        else:
            self.items.setdefault(item_id, {}).update(changes)

    def forbidden(self, user: str) -> set[str]:
        gone = {
            item_id
            for item_id in ITEMS + NEW
            if item_id not in self.items
            or self.items[item_id].get("hidden")
            or self.items[item_id].get("stock") == 0
        }
        mine = {item for (who, item), n in self.bought.items() if who == user and n}
        return gone | mine | {item for who, item in self.disliked if who == user}


MODELS: dict[str, Model | None] = {"1": fitted("1"), "2": fitted("2", list(reversed(catalog()))), "": None}


@given(steps)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_slate_of_any_tier_holds_what_must_not_be_served(shop: Shop, plan: list[tuple[Any, ...]]) -> None:
    shop.clear()
    asyncio.run(_walk(shop, plan))


async def _walk(shop: Shop, plan: list[tuple[Any, ...]]) -> None:
    truth = Truth()
    broken: Any = object()  # no scorer at all: whatever is asked of it raises, and a fallback answers
    noted = Noted()
    shop.listeners = [noted.on_folded]
    exploration = Exploration(ExplorationSettings(share=1.0), noted)
    with shop.serving(model=MODELS["1"], exploration=exploration) as serving:
        for item_id in NEW:
            shop.change(item_id, title=item_id)
        shown: dict[str, list[str]] = {}

        def named(item: str | int, user: str) -> str:
            last = shown.get(user) or ITEMS
            return item if isinstance(item, str) else last[item % len(last)]

        def check(user: str, slate: list[str], limit: int, page: int = 1, category: str = "") -> None:
            forbidden = truth.forbidden(user)
            assert not forbidden & set(slate)
            assert len(set(slate)) == len(slate)
            left = [i for i in truth.items if i not in forbidden]
            if category:
                left = [i for i in left if i[0] == category[0].lower()]
            assert len(slate) == max(0, min(limit, len(left) - limit * (page - 1)))
            shown[user] = slate

        async def look(user: str) -> None:
            """Whatever moved: the ready body, if there is one, then a slate, then the body it left."""
            for _ in range(2):
                body = serving.instant(user)
                if body is not None:
                    check(user, ids(body), 10)
                check(user, ids(await serving.recommend(Ask(user_id=user))), 10)

        for user in USERS:
            await look(user)
        for step in plan:
            match step:
                case "fold", user, type_, item:
                    item_id = named(item, user)
                    truth.fold(user, type_, item_id)
                    shop.fold(user, type_, item_id)
                    await look(user)
                case "change", item, changes:
                    item_id = named(item, USERS[0])
                    if item_id in truth.items or "deleted" not in changes:
                        truth.change(item_id, changes)
                        shop.change(item_id, **changes)
                    await look(USERS[0])
                case "ask", user, limit, page:
                    slate = await serving.recommend(Ask(user_id=user, limit=limit, page=page))
                    check(user, ids(slate), limit, page)
                case "category", user, category:
                    slate = await serving.recommend(Ask(user_id=user, category=category))
                    if "deleted" not in str(plan):  # what comes back after deletion has no category
                        check(user, ids(slate), 10, category=category)
                case "similar", user, item:
                    item_id = named(item, user)
                    found = await serving.similar(item_id, 10, user)
                    assert not (truth.forbidden(user) | {item_id}) & {item for item, _ in found.items}
                case "later", ms:
                    shop.now += ms
                case "swap", version:
                    serving.swap(MODELS[version])
                case "break", is_broken:
                    chain = serving._snapshot.chain
                    if chain is not None:
                        chain.ranker = broken if is_broken else None
                case _:
                    await asyncio.sleep(0.001)
