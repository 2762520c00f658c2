"""Requests of every kind beside changes of the catalog, the rules and the model: all are answered."""

import asyncio
import random
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress

import pytest
from tests.serving.conftest import CATEGORIES, Noted, Shop, catalog
from tests.serving.vectors import with_vectors

from shortlist.catalog.item import Item
from shortlist.catalog.rule import Rule
from shortlist.catalog.store import Change
from shortlist.coldstart.exploration import Exploration
from shortlist.ops import telemetry
from shortlist.serving.serving import Serving
from shortlist.serving.slate import Ask, AskInvalid
from shortlist.settings import ExplorationSettings

CHANGES, SWAPS = 300, 4
RULES = [
    Rule(id="h", action="hide", where="colour = red"),
    Rule(id="p", action="pin", where="category = Toys", position=1),
    Rule(id="b", action="boost", where="age_days < 3", users="plan = pro"),
]
FILTERS = [
    "colour = blue",
    "price < 15",
    "stock = null and brand != x",
    *(f"colour = {n}" for n in range(20)),
]


class Trends:
    def top(self, category: str | None, n: int) -> Sequence[str]:
        return ["k0", "t3", "l1"] if category is None else []

    def weights(self) -> Mapping[str, float]:
        return {}


@pytest.fixture
def hasty() -> Iterator[None]:
    """Threads that take turns all the time, so that one is interrupted anywhere."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(before)


def changed(shop: Shop, serving: Serving) -> None:
    rng = random.Random(1)
    for number in range(CHANGES):
        old = f"{rng.choice('kl')}{rng.randrange(5)}"
        item_id = f"n{number}" if rng.random() < 0.5 else old
        item = Item(
            item_id=item_id,
            title=f"Kettle {number}",
            categories=(rng.choice((*CATEGORIES, f"New {number % 7}")),),
            variant_of=rng.choice([None, None, "k0", f"x{number % 5}"]),
            attributes={"colour": rng.choice(["red", "blue", number])},
            added_ms=shop.now,
        )
        serving.apply([Change(2 + number, item_id, None if rng.random() < 0.1 else item)])


def swapped(serving: Serving) -> None:
    for number in range(SWAPS):
        serving.rule(RULES[: 1 + number % 3])
        serving.swap(with_vectors(f"{number}", list(reversed(catalog()))))


async def asked(serving: Serving, rng: random.Random) -> None:
    with suppress(AskInvalid):  # of a category or attribute that no item has now
        await asked_of_anything(serving, rng)


async def asked_of_anything(serving: Serving, rng: random.Random) -> None:
    user = f"u{rng.randrange(6)}"
    where = rng.choice(FILTERS)
    match rng.randrange(8):
        case 0:
            serving.instant(user)
            await serving.recommend(Ask(user_id=user))
        case 1:
            await serving.recommend(Ask(user_id=user, filter=where))
        case 2:
            category = rng.choice(["Kettles", "New 3", "Boats"])
            await serving.recommend(Ask(user_id=user, category=category, page=rng.choice([1, 2])))
        case 3:
            await serving.similar(rng.choice(["k0", "l1"]), 10, user, where=rng.choice(["", where]))
        case 4:
            await serving.rank(["k0", "l1", "n3", "n9", "nothing"], user_id=user)
        case 5:
            await serving.survey(user)
        case 6:
            await serving.recommend_history(["k0", "l1"], where=rng.choice(["", where]))
        case _:
            await serving.recommend(Ask(user_id=user, limit=30, exclude=("k0", "n1")))


def caught() -> list[float]:
    """What edges caught so far: a slate that could not be computed, a source that failed."""
    counters = (telemetry.FAILURES, telemetry.SOURCE_MISSING)
    return [sample.value for each in counters for metric in each.collect() for sample in metric.samples]


@pytest.mark.usefixtures("hasty")
def test_no_request_fails_beside_changes_of_catalog_rules_and_model(shop: Shop) -> None:
    failed: list[Exception] = []
    before = caught()

    def kept(work: Callable[[], None]) -> None:
        try:
            work()
        except Exception as error:
            failed.append(error)

    async def scenario(serving: Serving) -> None:
        works = [lambda: changed(shop, serving), lambda: swapped(serving)]
        threads = [threading.Thread(target=kept, args=(work,)) for work in works]
        for thread in threads:
            thread.start()

        async def visitor(number: int) -> None:
            rng = random.Random(number)
            while any(thread.is_alive() for thread in threads):
                await asked(serving, rng)

        await asyncio.gather(*(visitor(number) for number in range(4)))

    noted = Noted()
    exploration = Exploration(ExplorationSettings(share=1.0), noted)
    with shop.serving(
        model=with_vectors("first", list(reversed(catalog()))),
        exploration=exploration,
        trends=Trends(),
        rules=RULES,
        attributes=lambda user: {"plan": "pro"} if user == "u1" else {},
    ) as serving:
        asyncio.run(scenario(serving))
    assert not failed
    assert caught() == before
