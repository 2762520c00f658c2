"""Slates that a server has served, explained and made again from the command line."""

import asyncio
import shutil
import time
from pathlib import Path

import httpx
import pytest
from click.testing import CliRunner

from shortlist import settings as settings_tree
from shortlist.app.serve import running
from shortlist.cli import replay, why
from shortlist.errors import ShortlistError
from shortlist.gateway.auth import token_for
from shortlist.gateway.keys import signing_secret
from shortlist.home import Home


@pytest.fixture(scope="module")
def served(trained_home: Home, tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A home whose server has answered three requests."""
    home = Home(tmp_path_factory.mktemp("served") / "shop")
    shutil.copytree(trained_home.path, home.path)
    settings = settings_tree.load(home.path, {})[0]

    async def serve() -> None:
        async with running(settings, home) as gateway:
            bearer = token_for(
                signing_secret(home, settings), "shop", scopes=("service",), ttl_s=600.0, now_s=time.time()
            )
            async with httpx.AsyncClient(
                transport=httpx.ASGITransport(gateway),
                base_url="http://127.0.0.1:8000",
                headers={"authorization": f"Bearer {bearer}"},
            ) as client:
                for number, user in enumerate(("u3", "u12", "nobody")):
                    headers = {"x-request-id": f"request-{number}"}
                    (await client.get(f"/recommendations?user_id={user}", headers=headers)).raise_for_status()
                told = (await client.get("/explanations/request-0?replay=true&against=today")).json()
                assert told["replay"]["verdict"] == "equal"

    asyncio.run(serve())
    return home


def run(command: object, home: Home, *args: str) -> str:
    result = CliRunner().invoke(command, ["--home", str(home.path), *args])  # type: ignore[arg-type]
    if result.exception:
        raise result.exception
    return result.output


def test_the_last_slates_are_made_again(served: Home) -> None:
    assert run(replay.command, served).splitlines() == ["3 slates: 3 equal, 0 with an input gone, 0 differ"]


def test_a_deleted_model_is_named(served: Home, tmp_path: Path) -> None:
    home = Home(tmp_path / "shop")
    shutil.copytree(served.path, home.path)
    (version,) = (home.models / "versions").iterdir()
    shutil.copytree(version, home.models / "versions" / "9")
    pointer = home.models / "serving.json"
    pointer.write_text(
        pointer.read_text()
        .replace(f'"{version.name}"', '"9"')
        .replace(f"versions/{version.name}", "versions/9")
    )
    shutil.rmtree(version)
    said = run(replay.command, home)
    assert said.startswith("3 slates: 0 equal, 3 with an input gone, 0 differ")
    assert "was deleted (setting training.keep_versions" in said


def test_a_request_is_explained_in_words(served: Home) -> None:
    said = run(why.command, served, "request-0", "--replay", "--today")
    assert "for u3" in said
    assert "Last before it: view “Tea" in said
    assert "equal, bit for bit" in said
    assert "0 places have another item" in said
    with pytest.raises(ShortlistError, match="USER ITEM"):
        run(why.command, served, "request-9")
