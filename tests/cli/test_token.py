"""`shortlist token`: what it prints opens what it says."""

import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from shortlist.cli.token import command
from shortlist.gateway.auth import Authority, Caller, TokenRefused
from shortlist.gateway.keys import open_keys
from shortlist.home import Home, HomeMissing
from shortlist.settings import Settings


def printed(home: Home, *args: str) -> str:
    done = CliRunner().invoke(command, [*args, "--home", str(home.path)])
    assert done.exit_code == 0, done.output
    return done.output.strip()


def caller(home: Home, token: str, later_s: float = 0.0) -> Caller:
    authority = Authority(open_keys(home, Settings()), Settings().auth, clock=lambda: time.time() + later_s)
    return authority.caller(b"Bearer " + token.encode())


@pytest.mark.parametrize(
    ("option", "scopes"), [((), set()), (("--admin",), {"admin"}), (("--service",), {"service"})]
)
def test_it_prints_a_token_that_opens_what_it_says(
    home: Home, option: tuple[str, ...], scopes: set[str]
) -> None:
    found = caller(home, printed(home, "☕ 42", *option))
    assert (found.subject, found.scopes) == ("☕ 42", frozenset(scopes))


def test_it_holds_as_long_as_asked(home: Home) -> None:
    token = printed(home, "42", "--ttl", "15m")
    assert caller(home, token, later_s=14 * 60).subject == "42"
    with pytest.raises(TokenRefused, match="expired"):
        caller(home, token, later_s=16 * 60)


def test_no_home_is_made_by_asking_for_a_token(tmp_path: Path) -> None:
    nowhere = tmp_path / "nowhere"
    done = CliRunner().invoke(command, ["42", "--home", str(nowhere)])
    assert isinstance(done.exception, HomeMissing)
    assert f"no shop at {nowhere}" in str(done.exception)
    assert "`shortlist import PATH`" in str(done.exception)
    assert not nowhere.exists()


def test_a_token_of_another_home_is_refused_with_the_way_out(home: Home, tmp_path: Path) -> None:
    token = printed(Home(tmp_path / "other").make(), "42")
    with pytest.raises(
        TokenRefused, match="does not fit this server's key: was it made in another home"
    ) as no:
        caller(home, token)
    assert f"shortlist token USER --home {home.path}" in str(no.value)


@pytest.mark.parametrize("ttl", ["0", "-5", "soon", "5y", ""])
def test_an_odd_time_is_refused_with_an_example(home: Home, ttl: str) -> None:
    done = CliRunner().invoke(command, ["42", "--home", str(home.path), "--ttl", ttl])
    assert done.exit_code == 2
    assert "write 90s" in done.output
