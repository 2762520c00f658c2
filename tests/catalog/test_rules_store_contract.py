"""What every store of rules must do, whatever its engine. Add an adapter to STORES and it is held to it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from shortlist.catalog import rules_store_sql
from shortlist.catalog.engine import open_engine
from shortlist.catalog.rule import Rule, RuleInvalid
from shortlist.catalog.rules_store import RuleExists, RuleStore, RuleUnknown, TooManyRules
from shortlist.catalog.rules_store_sql import SqlRules

Test = Callable[[RuleStore], Awaitable[None]]


@asynccontextmanager
async def in_sqlite(folder: Path) -> AsyncIterator[RuleStore]:
    async with open_engine("sqlite:", folder / "catalog.sqlite") as engine:
        yield SqlRules(engine)


STORES: dict[str, Callable[[Path], AbstractAsyncContextManager[RuleStore]]] = {"sqlite": in_sqlite}

FULL = Rule(
    id="sale",
    name="Sale “now” 🫖",
    action="boost",
    where="brand = 'Oro' and price < 50",
    factor=1.5,
    contexts=("home",),
    categories=("Tea", "Coffee"),
    users="plan = pro",
    start=datetime(2026, 11, 27, tzinfo=UTC),
    end=datetime(2026, 11, 30, 12, 0, 0, 5000, tzinfo=UTC),
    priority=-3,
)
BARE = Rule(id="bare", action="hide", where="stock < 2")


@pytest.fixture(params=list(STORES))
def run(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[Test], None]:
    """Run a test's coroutine on an open, empty store."""

    def run_test(test: Test) -> None:
        async def main() -> None:
            async with STORES[request.param](tmp_path) as store:
                await test(store)

        asyncio.run(main())

    return run_test


def anything(rule: Rule) -> None:
    """Every rule may be."""


def test_rules_come_back_as_they_were_by_id_with_the_number_of_the_last_change(
    run: Callable[[Test], None],
) -> None:
    async def test(store: RuleStore) -> None:
        assert await store.rules() == (0, [])
        assert await store.create(FULL) == 1
        assert await store.create(BARE) == 2
        assert await store.rules() == (2, [BARE, FULL])
        assert await store.delete("sale") == 3
        assert await store.rules() == (3, [BARE])
        assert await store.version() == 3

    run(test)


def test_a_patch_changes_what_it_names_and_null_takes_away(run: Callable[[Test], None]) -> None:
    async def test(store: RuleStore) -> None:
        await store.create(FULL)
        changed = await store.patch("sale", {"enabled": False, "end": None, "contexts": []}, anything)
        assert (changed.enabled, changed.end, changed.contexts, changed.factor) == (False, None, (), 1.5)
        assert await store.rules() == (2, [changed])

    run(test)


def test_what_changes_nothing_or_is_refused_leaves_the_number_alone(run: Callable[[Test], None]) -> None:
    def refuse(rule: Rule) -> None:
        raise RuleInvalid("no")

    async def test(store: RuleStore) -> None:
        await store.create(BARE)
        await store.patch("bare", {"enabled": True}, anything)
        for changes, check in (
            ({"action": "sing"}, anything),
            ({"colour": 1}, anything),
            ({"id": "b"}, anything),
            ({"where": ""}, anything),
            ({"enabled": False}, refuse),
        ):
            with pytest.raises(RuleInvalid):
                await store.patch("bare", changes, check)
        with pytest.raises(RuleExists):
            await store.create(BARE)
        with pytest.raises(RuleUnknown):
            await store.patch("none", {}, anything)
        with pytest.raises(RuleUnknown):
            await store.delete("none")
        assert await store.rules() == (1, [BARE])

    run(test)


def test_there_are_only_so_many_rules(run: Callable[[Test], None], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rules_store_sql, "MAX_RULES", 1)

    async def test(store: RuleStore) -> None:
        await store.create(BARE)
        with pytest.raises(TooManyRules):
            await store.create(FULL)
        assert await store.version() == 1

    run(test)
