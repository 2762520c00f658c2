"""What must never break (3): no path and no tier gives what was bought, disliked or taken from the shop, or
what an operator's rule takes out; and of variants of one item, a slate has one."""

import asyncio
from collections import defaultdict
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.serving.conftest import NOW, Noted, Shop, catalog, fitted, ids
from tests.serving.vectors import with_vectors

from shortlist.catalog.rule import Rule
from shortlist.catalog.store import ItemUnknown
from shortlist.coldstart.exploration import Exploration
from shortlist.models.model import Model
from shortlist.serving.batch import Batch, Case
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


def fits(where: str, item_id: str, item: dict[str, Any]) -> bool:
    """Whether a request's filter lets an item pass, worked out by hand. Prices are 10 and the id's number."""
    number = int(item_id[1:])
    if where == CHEAP:
        bare = 99.0 if item.get("bare") else 10.0 + number
        return bool(item.get("price", bare) < 15 or item.get("stock") == 5)
    return not item.get("bare") and number % 6 in (1, 2) and item_id[0] != "t"


CHEAP = "price < 15 or stock = 5"
BRANDS = 'brand in ("brand 1", "brand 2") and not category = Toys'
HOUR = timedelta(hours=1)
START = datetime.fromtimestamp(NOW / 1000, UTC)


def hidden_by(
    number: int, item_id: str, *, is_bare: bool, is_late: bool, plan: str | None, context: str
) -> bool:
    """Whether the rule of this number takes an item out, worked out by hand. is_late: an hour has gone by."""
    kind = "" if is_bare else item_id[0]  # what comes back after deletion has no category
    match number:
        case 0:
            return kind == "k"
        case 1:
            return item_id in ("l1", "l2", "c0", "t0") and plan == "pro"
        case 2:
            return kind not in ("k", "l", "b") and context == "browsing"
        case 3:
            return kind == "b" and is_late
        case 4:
            return kind == "l" and not is_late
        case _:
            return False


def rule(number: int) -> Rule:
    rules: list[dict[str, Any]] = [
        {"action": "hide", "where": "category = Kettles"},
        {"action": "hide", "where": "item_id in (l1, l2, c0, t0)", "users": "plan = pro"},
        {"action": "filter", "where": "category in (Kettles, Lamps, Books)", "contexts": ("browsing",)},
        {"action": "hide", "where": "category = Books", "start": START + HOUR},
        {"action": "hide", "where": "category = Lamps", "end": START + HOUR},
        {"action": "pin", "where": "category in (Kettles, Lamps)", "position": 1},
    ]
    return Rule(id=f"r{number}", **rules[number])


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
                    {"title": "Kettle and lamp"},
                    {"variant_of": "k0"},
                    {"variant_of": "lamps of glass"},
                    {"variant_of": None},
                ]
            ),
        ),
        st.tuples(st.just("ask"), users, st.sampled_from([1, 10, 40]), st.sampled_from([1, 2])),
        st.tuples(st.just("category"), users, st.sampled_from(["Kettles", "Toys"])),
        st.tuples(st.just("similar"), users, item_ids),
        st.tuples(st.just("rank"), users),
        st.tuples(st.just("past"), st.lists(st.sampled_from(ITEMS), max_size=4)),
        st.tuples(st.just("batch"), users, st.sampled_from([3, 50])),
        st.tuples(st.just("answer"), users, st.sampled_from([(), ("Toys",), ("Kettles", "Books", "Lamps")])),
        st.tuples(st.just("see"), users, item_ids),
        st.tuples(st.just("later"), st.sampled_from([1_000, 3_700_000, 90_000_000])),
        st.tuples(st.just("swap"), st.sampled_from(["1", "2", ""])),
        st.tuples(st.just("break"), st.booleans()),
        st.tuples(st.just("rules"), st.lists(st.sampled_from(range(6)), max_size=3, unique=True)),
        st.tuples(st.just("filter"), users, st.sampled_from([CHEAP, BRANDS])),
        st.tuples(st.just("attributes"), users, st.sampled_from(["pro", "free"])),
        st.tuples(st.just("breathe")),
    ),
    min_size=4,
    max_size=25,
)


class Truth:
    """What may not be served, kept as plainly as can be."""

    def __init__(self) -> None:
        self.items: dict[str, dict[str, Any]] = {item_id: {} for item_id in ITEMS}
        self.items |= {item_id: {"bare": True} for item_id in NEW}
        self.bought: dict[tuple[str, str], int] = defaultdict(int)
        self.disliked: set[tuple[str, str]] = set()
        self.rules: list[int] = []
        self.plans: dict[str, str] = {}

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
            self.items.setdefault(item_id, {"bare": True}).update(changes)

    def forbidden(self, user: str, now_ms: int, context: str = "browsing") -> set[str]:
        by_rules = {
            item_id
            for item_id, item in self.items.items()
            for number in self.rules
            if hidden_by(
                number,
                item_id,
                is_bare="bare" in item,
                is_late=now_ms >= NOW + 3_600_000,
                plan=self.plans.get(user),
                context=context,
            )
        }
        return by_rules | self.gone(user)

    def gone(self, user: str) -> set[str]:
        gone = {
            item_id
            for item_id in ITEMS + NEW
            if item_id not in self.items
            or self.items[item_id].get("hidden")
            or self.items[item_id].get("stock") == 0
        }
        mine = {item for (who, item), n in self.bought.items() if who == user and n}
        mine |= {item for who, item in self.disliked if who == user}
        groups = {self.group(item) for item in mine}
        return gone | mine | {item for item in self.items if self.group(item) in groups}

    def group(self, item_id: str) -> str:
        """What an item stands for: itself, or what it is a variant of."""
        return self.items.get(item_id, {}).get("variant_of") or item_id


MODELS: dict[str, Model | None] = {
    "1": fitted("1"),
    "2": with_vectors("2", list(reversed(catalog()))),  # new items are put into its indexes meanwhile
    "": None,
}


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

    def attributes(user: str) -> dict[str, Any]:
        return {"plan": truth.plans[user]} if user in truth.plans else {}

    with shop.serving(model=MODELS["1"], exploration=exploration, attributes=attributes) as serving:
        for item_id in NEW:
            shop.change(item_id, title=item_id)
        shown: dict[str, list[str]] = {}

        def named(item: str | int, user: str) -> str:
            last = shown.get(user) or ITEMS
            return item if isinstance(item, str) else last[item % len(last)]

        def check(
            user: str, slate: list[str], limit: int, page: int = 1, category: str = "", where: str = ""
        ) -> None:
            forbidden = truth.forbidden(user, shop.now)
            if where:
                forbidden |= {i for i, item in truth.items.items() if not fits(where, i, item)}
            assert not forbidden & set(slate)
            assert len({truth.group(item_id) for item_id in slate}) == len(slate)
            able = [i for i in truth.items if i not in forbidden]
            if category:
                able = [i for i in able if i[0] == category[0].lower()]
            left = {truth.group(item_id) for item_id in able}
            assert len(slate) == max(0, min(limit, len(left) - limit * (page - 1)))
            shown[user] = slate

        async def like(item_id: str, user: str, **asked: Any) -> list[str]:
            try:
                return [item for item, _ in (await serving.similar(item_id, 10, user, **asked)).items]
            except ItemUnknown:
                assert item_id not in truth.items
                return []

        def is_whole() -> bool:
            chain = serving._snapshot.chain
            return chain is None or chain.ranker is not broken

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
                    found = await like(item_id, user)
                    forbidden = truth.forbidden(user, shop.now, "similar")
                    near = [truth.group(item) for item in found]
                    assert not forbidden & set(found)
                    assert len({*near, truth.group(item_id)}) == len(near) + 1
                case "past", history:  # of somebody without a name
                    check("", ids(await serving.recommend_history(history)), 10)
                case "rank", user if is_whole():
                    asked = [*ITEMS[:20], *NEW, "nothing"]
                    order = await serving.rank(asked, user_id=user)
                    came = {item.item_id for item in order.items}
                    assert not came & truth.forbidden(user, shop.now)
                    assert came | set(order.left_out) == set(asked) & truth.items.keys()
                    assert sorted([*came, *order.left_out, *order.unknown]) == sorted(asked)
                case "batch", user, limit if serving._snapshot.chain is not None and is_whole():
                    (features,) = shop.features.read([user], shop.now)
                    person = Case(user, features, attributes=attributes(user))
                    batch = Batch(serving._snapshot, shop.settings, limit, now_ms=shop.now)
                    check(user, [row.item for row in batch.rows(person)], limit)
                    past = Case("", history=("k0", "nothing", "l1"))
                    check("", [row.item for row in batch.rows(past)], limit)
                    every = np.arange(len(serving.table), dtype=np.int32)
                    ordered = {row.item for row in batch.rows(replace(person, among=every))}
                    assert not ordered & truth.forbidden(user, shop.now)
                case "answer", user, categories:
                    shop.fold(user, "preferences", "", categories=categories, ratings={ITEMS[3]: 5.0})
                    await look(user)
                    asked = msgspec.json.decode((await serving.survey(user)).body)
                    assert not truth.forbidden(user, shop.now) & {card["item_id"] for card in asked["items"]}
                case "see", user, item:
                    for _ in range(5):
                        shop.fold(user, "impression", named(item, user))
                    await look(user)
                case "later", ms:
                    shop.now += ms
                case "rules", numbers:
                    truth.rules = numbers
                    serving.rule([rule(number) for number in numbers])
                    for user in USERS:
                        await look(user)
                case "filter", user, where:
                    slate = await serving.recommend(Ask(user_id=user, filter=where, is_shop=True))
                    check(user, ids(slate), 10, where=where)
                    found = await like("k0", user, where=where, is_shop=True)
                    assert all(fits(where, item, truth.items[item]) for item in found)
                case "attributes", user, plan_name:
                    truth.plans[user] = plan_name
                    await serving.forget(user)
                    await look(user)
                case "swap", version:
                    serving.swap(MODELS[version])
                case "break", is_broken:
                    chain = serving._snapshot.chain
                    if chain is not None:
                        chain.ranker = broken if is_broken else None
                case _:
                    await asyncio.sleep(0.001)
