"""A tiny shop with two tastes, trained once for all tests of the commands that need a model."""

import asyncio
from pathlib import Path

import pytest

from shortlist import settings as settings_tree
from shortlist.app.catalog import catalog
from shortlist.app.loop import owned, processor
from shortlist.catalog.item import Item
from shortlist.events.event import Event, EventType, encode
from shortlist.events.log import EVENTS, Record
from shortlist.home import Home

DAY_MS = 86_400_000
START_MS = 1_700_000_000_000
# Lopsided on purpose: 11 like tea, 7 like bikes; 8 and 7 items.
TEA = [f"tea{n}" for n in range(8)]
BIKES = [f"bike{n}" for n in range(7)]


def shop_events() -> list[Event]:
    """Everybody views most of what their kind likes, in an order that differs, some time apart."""
    events = []
    for user in range(18):
        theirs = TEA if user < 11 else BIKES
        for step in range(5):
            item = theirs[(user * 3 + step) % len(theirs)]
            ts = START_MS + step * DAY_MS + user * 60_000
            events.append(made(f"u{user}", "view", item, ts))
    events.append(made("buyer", "purchase", "tea0", START_MS))
    events.append(made("buyer", "view", "tea1", START_MS + 1_000))
    events.append(made("buyer", "dislike", "tea2", START_MS + 2_000))
    return events


def made(user: str, kind: str, item: str, ts: int) -> Event:
    return Event(
        event_id=f"{user}-{item}-{kind}-{ts}", user_id=user, type=EventType(kind), item_id=item, ts=ts
    )


def shop_items() -> list[Item]:
    tea = [Item(item_id=i, title=f"Tea {i[-1]}", categories=("Tea",)) for i in TEA]
    bikes = [Item(item_id=i, title=f"Bike {i[-1]}", categories=("Bikes",)) for i in BIKES]
    return [*tea, *bikes, Item(item_id="tea hidden", categories=("Tea",), hidden=True)]


async def fill(home: Home) -> None:
    settings = settings_tree.load(home.path, {})[0]
    async with catalog(settings, home) as items:
        await items.put(shop_items())
    with owned(settings, home) as loop:
        await loop.log.append(EVENTS, [Record(e.user_id, encode(e)) for e in shop_events()])
        processor(settings, loop).fold_all()


@pytest.fixture(scope="session")
def trained_home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A home whose shop is imported and trained. Shared: tests only read it."""
    from shortlist.cli.train import run

    home = Home(tmp_path_factory.mktemp("trained") / "home").make()
    asyncio.run(fill(home))
    run(home, settings_tree.load(home.path, {})[0])
    return home


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where a test writes its files."""
    return tmp_path
