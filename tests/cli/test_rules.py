"""`shortlist rules` without a server: in the database, tried on what was served, followed by commands."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from shortlist.cli import shortlist
from shortlist.cli.rules import line
from shortlist.home import Home, HomeMissing


@pytest.fixture
def said(trained_home: Home, tmp_path: Path) -> Callable[..., str]:
    """Run a command in a home of its own with a trained model; what it said."""
    home = shutil.copytree(trained_home.path, tmp_path / "home")

    def run(*words: str, fails: bool = False) -> str:
        done = CliRunner().invoke(shortlist, ["--home", str(home), *words])
        if fails:
            assert done.exit_code != 0
            return f"{done.output}{done.exception}"
        assert done.exit_code == 0, done.output + repr(done.exception)
        return done.output

    return run


def test_a_rule_is_added_listed_changed_and_removed(said: Callable[..., str]) -> None:
    assert "no rules" in said("rules", "list")
    said(
        "rules",
        "add",
        "tea",
        "hide",
        "--where",
        "category = Tea",
        "--context",
        "cart",
        "--start",
        "2030-01-01T00:00:00Z",
    )
    assert "hide where category = Tea in cart from 2030-01-01 00:00" in said("rules", "list")
    assert "(disabled)" in said("rules", "set", "tea", "--disabled", "--unset", "start", "--unset", "context")
    (rule,) = json.loads(said("rules", "list", "--json"))
    assert (rule["enabled"], rule["start"], rule["contexts"]) == (False, None, [])
    assert "removed tea" in said("rules", "remove", "tea")
    assert "no rules" in said("rules", "list")


def test_what_cannot_be_is_said_in_one_line(said: Callable[..., str]) -> None:
    assert "where, at character 10" in said("rules", "add", "a", "hide", "--where", "category =", fails=True)
    assert "no rule 'none'" in said("rules", "remove", "none", fails=True)
    assert "factor" in said("rules", "add", "a", "boost", "--where", "a = 1", "--factor", "0.5", fails=True)


def test_what_no_item_has_is_warned_of(said: Callable[..., str]) -> None:
    warning = '! where: no item has an attribute "prize"; did you mean price?'
    assert warning in said("rules", "add", "cheap", "hide", "--where", "prize < 5")
    assert warning in said("rules", "list")
    assert warning in said("rules", "dry-run", "cheap")
    assert warning[2:] in json.loads(said("rules", "list", "--json"))[0]["warnings"]
    assert "!" not in said("rules", "set", "cheap", "--where", "price < 5")


def test_a_factor_that_is_no_number_is_refused_rather_than_left_out(said: Callable[..., str]) -> None:
    for factor in ("nan", "inf"):
        words = ("rules", "add", "a", "boost", "--where", "price < 5", "--factor", factor)
        assert "must be a number above 0" in said(*words, fails=True)
    assert "no rules" in said("rules", "list")


@pytest.mark.parametrize("words", [("rules", "list"), ("exploration",)])
def test_looking_makes_no_home(tmp_path: Path, words: tuple[str, ...]) -> None:
    nowhere = tmp_path / "nowhere"
    with pytest.raises(HomeMissing):
        CliRunner().invoke(shortlist, ["--home", str(nowhere), *words], catch_exceptions=False)
    assert not nowhere.exists()


def test_mistakes_are_said_in_the_commands_own_words(said: Callable[..., str]) -> None:
    for words in (("dry-run", "none"), ("set", "none", "--disabled"), ("remove", "none")):
        assert "no rule 'none'; `shortlist rules list` lists them" in said("rules", *words, fails=True)
    assert "--where" in said("rules", "add", "tea", "hide", fails=True)
    assert "--where" in said("rules", "dry-run", "--action", "hide", fails=True)
    assert "--action" in said("rules", "dry-run", "--where", "category = Tea", fails=True)
    tea = ("rules", "add", "tea", "hide", "--where", "category = Tea")
    said(*tea)
    assert "there already; `shortlist rules set tea …` changes it" in said(*tea, fails=True)


def test_batch_and_why_follow_the_rules(said: Callable[..., str], tmp_path: Path) -> None:
    said("rules", "add", "tea", "hide", "--where", "item_id = tea7")
    said("rules", "add", "top", "pin", "--where", "item_id = bike5")
    out = tmp_path / "out.csv"
    said("recommend", "--users", "all", "--include-seen", "--limit", "5", "--out", str(out))
    rows = [row.split(",") for row in out.read_text().splitlines()[1:]]
    assert rows
    assert "tea7" not in {row[1] for row in rows}
    assert {row[1] for row in rows if row[2] == "1"} == {"bike5"}
    assert "the operator's rule tea (hide) keeps it out" in said("why", "u1", "tea7")


def test_a_dry_run_of_a_shop_that_served_nobody_says_so(said: Callable[..., str]) -> None:
    assert "no slates were served" in said(
        "rules", "dry-run", "--action", "hide", "--where", "category = Tea"
    )
    found = json.loads(said("rules", "dry-run", "--json"))
    assert found["slates"] == 0


def test_every_command_shows_an_example() -> None:
    for name in ("list", "add", "set", "remove", "dry-run"):
        said = CliRunner().invoke(shortlist, ["rules", name, "--help"]).output
        assert "Example" in said, name


def test_a_rule_fits_a_line() -> None:
    from shortlist.catalog.rule import Rule

    assert line(Rule(id="a", action="boost", where="x = 1")) == "a                    boost × 2 where x = 1"
