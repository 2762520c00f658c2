"""`shortlist exploration`: the ledger of a trained shop, read from its log."""

import asyncio
import shutil
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner

from shortlist import app
from shortlist import settings as settings_tree
from shortlist.catalog.item import Item
from shortlist.cli.exploration import command
from shortlist.coldstart.accounts import Accounts
from shortlist.events.event import Event, EventType, encode
from shortlist.events.log import EVENTS, SERVED, Record
from shortlist.home import Home

NOW = 1_700_900_000_000


@pytest.fixture
def shop(trained_home: Home, tmp_path: Path) -> Home:
    """A trained shop into which "kettle" came afterwards; three saw it, one clicked."""
    home = Home(tmp_path / "home")
    shutil.copytree(trained_home.path, home.path)
    asyncio.run(fill(home))
    return home


async def fill(home: Home) -> None:
    settings = settings_tree.load(home.path, {})[0]
    async with app.catalog(settings, home) as catalog:
        await catalog.create(Item(item_id="kettle", title="A kettle with a very long name indeed"))
    slates = [
        {
            "request_id": f"r{n}", "ts": NOW, "user_id": f"u{n}", "trace_id": "t", "page": 1,
            "context": "browsing", "category": "", "items": ["kettle"],
            "explored": [{"item_id": "kettle", "position": 8, "propensity": 1.0, "candidates": ["kettle"]}],
        }
        for n in range(4)
    ]  # fmt: skip
    happened = [("impression", 0), ("impression", 1), ("click", 1), ("impression", 2)]
    events = [
        Event(
            event_id=f"{kind}{n}", user_id=f"u{n}", type=EventType(kind), item_id="kettle", ts=NOW,
            request_id=f"r{n}", position=8,
        )
        for kind, n in happened
    ]  # fmt: skip
    with app.owned(settings, home) as loop:
        value = msgspec.json.encode({"kind": "slates", "slates": slates})
        await loop.log.append(SERVED, [Record("1", value)])
        await loop.log.append(EVENTS, [Record(event.user_id, encode(event)) for event in events])
        app.processor(settings, loop).fold_all()


def run(home: Home, *args: str) -> str:
    result = CliRunner().invoke(command, ["--home", str(home.path), *args])
    if result.exception is not None:
        raise result.exception
    return result.output


def test_it_shows_every_new_item_as_of_now(shop: Home) -> None:
    said = run(shop).splitlines()
    assert said[1].split() == [
        "kettle", "A", "kettle", "with", "a", "very…", "exploring", "5%", "4", "3", "1", "0",
        "33.33%", "[7.83%,", "74.65%]", "?", "judged", "in", "997",
    ]  # fmt: skip
    assert said[2] == "4 places promised, 3 seen, 1 clicks; cost in clicks: not known yet"


def test_programs_get_the_same_as_json(shop: Home) -> None:
    found = msgspec.json.decode(run(shop, "--json"), type=Accounts)
    assert [(item.item_id, item.promised, item.delivered, item.clicks) for item in found.items] == [
        ("kettle", 4, 3, 1)
    ]
    assert not shop.exploration.exists()  # it reads, and keeps nothing


def test_a_shop_without_new_items_says_so(trained_home: Home) -> None:
    assert run(trained_home).startswith("no new items since the last training")


def test_a_shop_that_tries_nothing_out_says_so(shop: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHORTLIST_EXPLORATION__ENABLED", "false")
    assert "exploration is off" in run(shop)
