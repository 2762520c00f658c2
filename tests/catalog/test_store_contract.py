"""What every catalog store must do, whatever its engine. Add an adapter to STORES and it is held to it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shortlist.catalog.item import Item
from shortlist.catalog.store import CatalogStore, Change, ItemExists, ItemInvalid, ItemUnknown
from shortlist.catalog.store_sql import open_sql

Open = Callable[[], AbstractAsyncContextManager[CatalogStore]]
Test = Callable[[CatalogStore], Awaitable[None]]

STORES: dict[str, Callable[[Path], AbstractAsyncContextManager[CatalogStore]]] = {
    "sqlite": lambda folder: open_sql("sqlite:", folder / "catalog.sqlite"),
}

FULL = Item(
    item_id="kettle",
    title="Kettle “Oro” 🫖",
    description="Boils.\nQuickly.",
    categories=("Kitchen", "Tea"),
    brand="Oro",
    price=19.99,
    currency="EUR",
    margin=0.25,
    stock=3,
    image="https://example.org/k.jpg",
    hidden=True,
    added_ms=1_700_000_000_123,
    attributes={"colour": "red", "sizes": [1, 2], "more": {"a": None}},
    variant_of="kettles",
)


@pytest.fixture(params=list(STORES))
def run(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[Test], None]:
    """Run a test's coroutine on an open, empty store."""

    def run_test(test: Test) -> None:
        async def main() -> None:
            async with STORES[request.param](tmp_path) as store:
                await test(store)

        asyncio.run(main())

    return run_test


async def listed(items: AsyncIterator[Item]) -> list[str]:
    return [item.item_id async for item in items]


def test_an_empty_catalog_has_version_zero_and_nothing_in_it(run: Callable[[Test], None]) -> None:
    async def test(store: CatalogStore) -> None:
        assert await store.version() == 0
        assert await store.get(["a"]) == [None]
        assert await store.get([]) == []
        assert await listed(store.all()) == []
        assert await store.changes(0, 10) == []
        assert await store.put([]) == 0
        assert await store.add_missing([]) == 0

    run(test)


def test_items_come_back_as_they_were_put_in_the_order_asked(run: Callable[[Test], None]) -> None:
    async def test(store: CatalogStore) -> None:
        bare = Item(item_id="bare")
        assert await store.put([FULL, bare]) == 2
        assert await store.get(["bare", "none", "kettle", "bare"]) == [bare, None, FULL, bare]

    run(test)


def test_every_write_gets_the_next_number_and_stands_in_the_feed(run: Callable[[Test], None]) -> None:
    async def test(store: CatalogStore) -> None:
        a, b, c = (Item(item_id=i) for i in "abc")
        assert await store.put([a, b]) == 2
        assert await store.create(c) == 3
        changed = await store.patch("a", {"title": "A"})
        assert await store.delete("b") == 5
        assert await store.version() == 5
        assert await store.changes(0, 10) == [
            Change(3, "c", c),
            Change(4, "a", changed),
            Change(5, "b", None),
        ]
        assert await store.changes(3, 1) == [Change(4, "a", changed)]
        assert await store.changes(5, 10) == []

    run(test)


def test_putting_what_is_already_so_changes_nothing(run: Callable[[Test], None]) -> None:
    async def test(store: CatalogStore) -> None:
        await store.put([FULL, Item(item_id="b")])
        assert await store.put([FULL, Item(item_id="b")]) == 2
        assert await store.put([FULL, Item(item_id="b", title="new")]) == 3
        assert [c.item_id for c in await store.changes(2, 10)] == ["b"]

    run(test)


def test_of_two_items_with_one_id_the_last_counts(run: Callable[[Test], None]) -> None:
    async def test(store: CatalogStore) -> None:
        await store.put([Item(item_id="a", title="1"), Item(item_id="a", title="2")])
        assert await store.get(["a"]) == [Item(item_id="a", title="2")]
        assert len(await store.changes(0, 10)) == 1

    run(test)


def test_missing_items_are_added_bare_and_known_ones_stay(run: Callable[[Test], None]) -> None:
    async def test(store: CatalogStore) -> None:
        await store.put([FULL])
        assert await store.add_missing(["kettle", "x", "y", "x"]) == 2
        assert await store.get(["kettle", "x"]) == [FULL, Item(item_id="x")]
        assert await store.add_missing(["x", "y"]) == 0
        assert await store.version() == 3

    run(test)


def test_a_deleted_item_stays_deleted_until_it_is_put_again(run: Callable[[Test], None]) -> None:
    async def test(store: CatalogStore) -> None:
        await store.put([FULL])
        await store.delete("kettle")
        assert await store.get(["kettle"]) == [None]
        assert await listed(store.all()) == []
        assert await store.add_missing(["kettle"]) == 0
        assert await store.get(["kettle"]) == [None]
        await store.create(FULL)
        assert await store.get(["kettle"]) == [FULL]
        await store.delete("kettle")
        await store.put([FULL])
        assert await store.get(["kettle"]) == [FULL]

    run(test)


def test_what_is_there_cannot_be_created_and_what_is_not_cannot_be_changed(
    run: Callable[[Test], None],
) -> None:
    async def test(store: CatalogStore) -> None:
        await store.create(FULL)
        with pytest.raises(ItemExists, match="kettle"):
            await store.create(Item(item_id="kettle"))
        with pytest.raises(ItemUnknown, match="nobody"):
            await store.patch("nobody", {"title": "x"})
        with pytest.raises(ItemUnknown, match="nobody"):
            await store.delete("nobody")
        await store.delete("kettle")
        with pytest.raises(ItemUnknown):
            await store.patch("kettle", {"title": "x"})
        with pytest.raises(ItemUnknown):
            await store.delete("kettle")
        assert await store.version() == 2, "a refused write takes no number"

    run(test)


def test_a_patch_changes_the_named_fields_alone(run: Callable[[Test], None]) -> None:
    async def test(store: CatalogStore) -> None:
        await store.put([FULL])
        changed = await store.patch("kettle", {"stock": None, "categories": ["Sale"], "price": 5})
        assert changed == msgspec.structs.replace(FULL, stock=None, categories=("Sale",), price=5.0)
        assert await store.get(["kettle"]) == [changed]
        await store.patch("kettle", {"price": 5.0})
        assert await store.version() == 2, "nothing changed, no new number"

    run(test)


@pytest.mark.parametrize(
    ("changes", "names"),
    [
        ({"price": -1}, "price"),
        ({"price": "dear"}, "price"),
        ({"stock": 1.5}, "stock"),
        ({"colour": "red"}, "colour"),
        ({"item_id": "other"}, "id"),
        ({"title": None}, "title"),
    ],
)
def test_a_patch_that_makes_no_item_names_the_field_and_changes_nothing(
    run: Callable[[Test], None], changes: dict[str, Any], names: str
) -> None:
    async def test(store: CatalogStore) -> None:
        await store.put([FULL])
        with pytest.raises(ItemInvalid, match=names):
            await store.patch("kettle", changes)
        assert await store.get(["kettle"]) == [FULL]
        assert await store.version() == 1

    run(test)


def test_all_items_come_by_id_however_many_there_are(run: Callable[[Test], None]) -> None:
    async def test(store: CatalogStore) -> None:
        many = [Item(item_id=f"{n:05}") for n in range(10_000)]
        await store.put(many[::-1])
        await store.delete("00007")
        assert await listed(store.all()) == [i.item_id for i in many if i.item_id != "00007"]
        assert len(await store.get([i.item_id for i in many])) == 10_000

    run(test)


@pytest.mark.parametrize("item_id", ["🥕", "é" * 512, "../../etc", "a'b\"c", "%s", "x;DROP TABLE items", " "])
def test_ids_of_every_kind_round_trip(run: Callable[[Test], None], item_id: str) -> None:
    async def test(store: CatalogStore) -> None:
        item = Item(item_id=item_id, title=item_id, attributes={item_id: item_id})
        await store.put([item])
        assert await store.get([item_id]) == [item]
        assert await store.changes(0, 1) == [Change(1, item_id, item)]

    run(test)


def test_writes_at_the_same_time_get_numbers_of_their_own(run: Callable[[Test], None]) -> None:
    async def test(store: CatalogStore) -> None:
        versions = await asyncio.gather(*(store.create(Item(item_id=f"i{n}")) for n in range(20)))
        assert sorted(versions) == list(range(1, 21))
        feed = await store.changes(0, 100)
        assert [c.version for c in feed] == list(range(1, 21))

    run(test)


def test_a_write_that_fails_midway_leaves_nothing(run: Callable[[Test], None]) -> None:
    async def test(store: CatalogStore) -> None:
        await store.put([FULL])
        with pytest.raises(Exception):  # noqa: B017,PT011  # whatever the engine says
            await store.put([Item(item_id="a"), Item(item_id="b", categories=(object(),))])  # type: ignore[arg-type]
        assert await store.version() == 1
        assert await listed(store.all()) == ["kettle"]

    run(test)


def test_more_attributes_than_every_process_can_hold_are_refused_with_nothing_written(
    run: Callable[[Test], None],
) -> None:
    async def test(store: CatalogStore) -> None:
        await store.create(Item(item_id="a", attributes={"colour": "red"}))
        much = {"words": "x" * 100_000}
        with pytest.raises(
            ItemInvalid, match="item 'b': attributes: 100012 bytes of JSON; there may be 16384"
        ):
            await store.put([Item(item_id="c"), Item(item_id="b", attributes=much)])
        with pytest.raises(ItemInvalid, match="100012 bytes"):
            await store.create(Item(item_id="b", attributes=much))
        with pytest.raises(ItemInvalid, match="100012 bytes"):
            await store.patch("a", {"attributes": much})
        assert await store.version() == 1

    run(test)


@pytest.mark.parametrize("name", STORES)
def test_what_was_written_is_there_after_closing(tmp_path: Path, name: str) -> None:
    async def main() -> None:
        async with STORES[name](tmp_path) as store:
            await store.put([FULL])
        async with STORES[name](tmp_path) as one, STORES[name](tmp_path) as other:
            assert await one.get(["kettle"]) == [FULL]
            await one.patch("kettle", {"stock": 9})
            assert (await other.changes(1, 5))[0].version == 2, "a second opener reads what the first writes"

    asyncio.run(main())


IDS = st.sampled_from("abcd")
STEPS = st.one_of(
    st.tuples(st.just("put"), st.lists(st.tuples(IDS, st.integers(0, 2)), max_size=4)),
    st.tuples(st.just("missing"), st.lists(IDS, max_size=4)),
    st.tuples(st.just("delete"), IDS),
    st.tuples(st.just("patch"), IDS),
)


@pytest.mark.parametrize("name", STORES)
@settings(max_examples=25, deadline=None)
@given(steps=st.lists(STEPS, max_size=8))
def test_whoever_follows_the_feed_has_the_catalog(
    tmp_path_factory: pytest.TempPathFactory, name: str, steps: list[tuple[str, Any]]
) -> None:
    async def main() -> None:
        followed: dict[str, Item | None] = {}
        seen = 0
        async with STORES[name](tmp_path_factory.mktemp("feed")) as store:
            for verb, what in steps:
                try:
                    if verb == "put":
                        await store.put([Item(item_id=i, stock=n) for i, n in what])
                    elif verb == "missing":
                        await store.add_missing(what)
                    elif verb == "delete":
                        await store.delete(what)
                    else:
                        await store.patch(what, {"title": "patched"})
                except ItemUnknown:
                    pass
                for change in await store.changes(seen, 100):
                    assert change.version > seen
                    seen = change.version
                    followed[change.item_id] = change.item
                assert seen == await store.version()
            held = {item.item_id: item async for item in store.all()}
        assert held == {i: item for i, item in followed.items() if item is not None}

    asyncio.run(main())
