"""`shortlist exploration`: the ledger of a trained shop, read from its log."""

import asyncio
import shutil
import time
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner

from shortlist import settings as settings_tree
from shortlist.app.beside import accounts_of
from shortlist.app.catalog import catalog
from shortlist.app.loop import owned, processor
from shortlist.app.serve import running
from shortlist.catalog.item import Item
from shortlist.cli.exploration import command
from shortlist.coldstart.accounts import Accounts
from shortlist.events.event import Event, EventType, encode
from shortlist.events.log import EVENTS, SERVED, Record
from shortlist.gateway.app import Gateway
from shortlist.gateway.auth import token_for
from shortlist.gateway.keys import signing_secret
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
    async with catalog(settings, home) as items:
        await items.create(Item(item_id="kettle", title="A kettle with a very long name indeed"))
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
    with owned(settings, home) as loop:
        value = msgspec.json.encode({"kind": "slates", "slates": slates})
        await loop.log.append(SERVED, [Record("1", value)])
        await loop.log.append(EVENTS, [Record(event.user_id, encode(event)) for event in events])
        processor(settings, loop).fold_all()


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


async def asked(gateway: Gateway, token: str, method: str, url: str, body: object = None) -> Any:
    """What the gateway answers, without a server before it."""
    path, _, query = url.partition("?")
    said: list[dict[str, Any]] = []
    sent = [{"type": "http.request", "body": msgspec.json.encode(body) if body is not None else b""}]
    headers = [(b"authorization", f"Bearer {token}".encode()), (b"content-type", b"application/json")]
    scope = {
        "type": "http", "method": method, "path": path, "raw_path": path.encode(), "headers": headers,
        "query_string": query.encode(), "http_version": "1.1", "client": ("127.0.0.1", 1), "scheme": "http",
        "server": ("127.0.0.1", 8000), "root_path": "",
    }  # fmt: skip

    async def receive() -> dict[str, Any]:
        return sent.pop(0) if sent else {"type": "http.disconnect"}

    async def send(message: dict[str, Any]) -> None:
        said.append(message)

    await gateway(scope, receive, send)
    assert said[0]["status"] < 300, said
    return msgspec.json.decode(b"".join(message.get("body", b"") for message in said))


def test_a_running_shop_tries_an_item_out_and_learns_from_a_click(trained_home: Home, tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    shutil.copytree(trained_home.path, home.path)
    settings = settings_tree.load(home.path, {"SHORTLIST_EXPLORATION__SHARE": "1.0"})[0]

    async def scenario() -> None:
        async with running(settings, home) as gateway:
            token = token_for(
                signing_secret(home, settings), "shop", scopes=["service"], ttl_s=60, now_s=time.time(),
                settings=settings.auth,
            )  # fmt: skip
            ask = partial(asked, gateway, token)
            await ask("POST", "/items", {"item_id": "kettle", "title": "Kettle"})
            slate = await ask("GET", "/recommendations?user_id=u3&limit=5")
            (new,) = [item for item in slate["recommendations"] if item["reason_code"] == "new"]
            assert (new["item_id"], new["position"], new["sources"]) == ("kettle", 4, ["exploration"])
            of = {"user_id": "u3", "item_id": "kettle", "request_id": slate["request_id"], "position": 4}
            for kind in ("impression", "click"):
                assert (await ask("POST", "/events", {**of, "type": kind}))["accepted"] == 1
            for _ in range(200):
                (account,) = (await ask("GET", "/exploration"))["items"]
                if account["clicks"]:
                    break
                await asyncio.sleep(0.05)
            assert (account["promised"], account["delivered"], account["clicks"]) == (1, 1, 1)
            assert account["status"] == "exploring"
            beside = await accounts_of(settings, home)  # what the command reads, from the same log
            assert [(item.item_id, item.clicks) for item in beside.items] == [("kettle", 1)]

    asyncio.run(scenario())
    assert home.exploration.exists()
    assert run(home).splitlines()[1].split()[:6] == ["kettle", "Kettle", "exploring", "5%", "1", "1"]
