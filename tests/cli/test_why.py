"""Why a user gets an item, in words."""

import asyncio
import json
import re
import shutil
from pathlib import Path

import msgspec
from click.testing import CliRunner
from tests.cli.conftest import BIKES, TEA, shop_events

from shortlist.app.catalog import catalog
from shortlist.catalog.item import Item
from shortlist.cli.why import command
from shortlist.errors import ShortlistError
from shortlist.home import Home
from shortlist.settings import CandidateSettings, load


def why(home: Home, *args: str) -> str:
    result = CliRunner().invoke(command, ["--home", str(home.path), *args])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.output


def refusal(home: Home, *args: str) -> str:
    """The one line that a shell would show."""
    result = CliRunner().invoke(command, ["--home", str(home.path), *args])
    assert isinstance(result.exception, ShortlistError)
    assert not result.output
    return str(result.exception)


def new_to(user: str, items: list[str]) -> str:
    seen = {event.item_id for event in shop_events() if event.user_id == user}
    return next(item for item in items if item not in seen)


def test_an_item_of_the_users_taste_is_in_with_its_place_and_sources(trained_home: Home) -> None:
    said = why(trained_home, "u3", new_to("u3", TEA), "--limit", "15")

    assert said.startswith("Yes: “Tea ")
    assert "Under it stands:" in said
    assert "transitions" in said


def test_an_item_that_ranks_too_low_says_how_low(trained_home: Home) -> None:
    said = why(trained_home, "u3", "bike6", "--limit", "1")

    assert said.startswith("No:")
    assert "items rank above it, and the slate has 1" in said
    found = re.search(r"It ranks (\d+) of 15 candidates", said)
    assert found is not None
    assert int(found[1]) > len(TEA)


def test_what_was_bought_or_disliked_is_named_with_its_setting(trained_home: Home) -> None:
    assert "the user bought it (rules.repeat_purchases" in why(trained_home, "buyer", "tea0")
    assert "the user disliked it" in why(trained_home, "buyer", "tea2")


def test_programs_read_the_answer_as_json(trained_home: Home) -> None:
    told = json.loads(why(trained_home, "u3", "bike6", "--json"))
    assert (told["user_id"], told["item_id"], told["rank"] > 0) == ("u3", "bike6", True)


def test_what_cannot_be_served_says_why(trained_home: Home) -> None:
    assert "it is hidden" in why(trained_home, "u3", "tea hidden")


def test_who_or_what_was_never_heard_of_is_one_line_and_a_failure(trained_home: Home) -> None:
    assert "no item 'nowhere' in the catalog" in refusal(trained_home, "u3", "nowhere")
    assert "no event of user 'stranger' in the log" in refusal(trained_home, "stranger", "tea0")


def test_a_name_that_variants_go_by_is_no_item_that_was_deleted(trained_home: Home, tmp_path: Path) -> None:
    home = Home(tmp_path / "copy")
    shutil.copytree(trained_home.path, home.path)

    async def add() -> None:
        async with catalog(load(home.path, {})[0], home) as items:
            await items.put([Item(item_id="mug red", variant_of="mug")])

    asyncio.run(add())
    assert "no item 'mug' in the catalog: only a name that variants go by" in refusal(home, "u3", "mug")


def test_an_item_that_nobody_proposes_is_not_said_to_rank(trained_home: Home, tmp_path: Path) -> None:
    home = Home(tmp_path / "copy")
    shutil.copytree(trained_home.path, home.path)
    numbers = msgspec.to_builtins(CandidateSettings())
    off = "".join(f"{name} = 0\n" for name in numbers if name not in ("deadline_ms", "pool", "popular"))
    (home.path / "shortlist.toml").write_text(f"[candidates]\n{off}popular = 1\n")

    said = why(home, "u3", "bike6")

    assert "no source proposes it for this user." in said
    assert "Were it a candidate, it would rank" in said
    assert "It ranks" not in said


def test_a_cap_that_left_no_place_is_named(trained_home: Home) -> None:
    outputs = [why(trained_home, "u3", item, "--limit", "6") for item in TEA]

    assert any("3 of Tea rank above it already (rules.max_per_category)" in said for said in outputs)


def test_every_bike_gets_an_answer(trained_home: Home) -> None:
    assert all(why(trained_home, "u12", item, "--features") for item in BIKES)
