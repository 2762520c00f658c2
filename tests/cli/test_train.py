"""Items that only events speak of are learned from; what was deleted stays deleted."""

import asyncio
import re

import pytest
from click.testing import CliRunner
from tests.cli.conftest import BIKES, DAY_MS, START_MS, TEA, fill, made

from shortlist import settings as settings_tree
from shortlist.app.catalog import catalog, catalog_stores
from shortlist.app.loop import owned, processor
from shortlist.catalog.item import Item
from shortlist.cli import shortlist
from shortlist.events.event import encode
from shortlist.events.log import EVENTS, Record
from shortlist.home import Home


def run(home: Home, *words: object) -> str:
    done = CliRunner().invoke(shortlist, ["--home", str(home.path), *map(str, words)])
    if done.exception:
        raise done.exception
    return done.output


async def unheard_of(home: Home) -> None:
    """Everybody who likes tea views an item that no import named, and one that was deleted."""
    settings = settings_tree.load(home.path, {})[0]
    async with catalog(settings, home) as items:
        await items.put([Item(item_id="gone")])
        await items.delete("gone")
    with owned(settings, home) as loop:
        events = [
            made(f"u{user}", "view", item, START_MS + 5 * DAY_MS + user)
            for user in range(9)
            for item in ("tea unheard of", "gone")
        ]
        await loop.log.append(EVENTS, [Record(e.user_id, encode(e)) for e in events])
        processor(settings, loop).fold_all()


def test_an_item_known_by_events_alone_is_learned_and_recommended(home: Home) -> None:
    asyncio.run(fill(home))
    asyncio.run(unheard_of(home))

    said = run(home, "train")

    assert "new in the catalog: 1 items that only events speak of" in said
    assert re.search(r"left out: 9 of \d+ events, whose items were deleted", said)
    run(home, "recommend", "--users", "all", "--limit", 20, "--out", home.path / "recs.csv")
    lines = (home.path / "recs.csv").read_text().splitlines()
    tea_lovers = {line.split(",")[0] for line in lines if line.split(",")[1] == "tea unheard of"}
    assert {"u9", "u10"} <= tea_lovers  # who did not see it yet
    assert not any(line.split(",")[1] == "gone" for line in lines)
    assert any(line.split(",")[1] in TEA for line in lines)
    assert "new in the catalog" not in run(home, "train")


def test_attributes_named_in_the_settings_are_learned_and_told_apart(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def introduce() -> None:
        likes = {
            "tea": [*(f"u{user}" for user in range(11)), "ann"],
            "bikes": [*(f"u{n}" for n in range(11, 18)), "ben"],
        }
        async with catalog_stores(settings_tree.load(home.path, {})[0], home) as stores:
            for taste, users in likes.items():
                for user in users:
                    await stores.users.put(user, {"taste": taste})

    asyncio.run(fill(home))
    asyncio.run(introduce())
    (home.path / "new.csv").write_text("user\nann\nben\n")
    monkeypatch.setenv("SHORTLIST_TRAINING__USER_ATTRIBUTES", "taste")
    run(home, "train")
    monkeypatch.delenv("SHORTLIST_TRAINING__USER_ATTRIBUTES")  # the model knows what it learned from
    run(
        home,
        "recommend",
        "--users",
        home.path / "new.csv",
        "--limit",
        3,
        "--no-rules",
        "--out",
        home.path / "recs.csv",
    )
    rows = [line.split(",") for line in (home.path / "recs.csv").read_text().splitlines()[1:]]
    assert {item for user, item, *_ in rows if user == "ann"} < set(TEA)
    assert {item for user, item, *_ in rows if user == "ben"} < set(BIKES)
