"""Options that several commands take."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from shortlist import settings
from shortlist.home import Home, find_home
from shortlist.settings import Settings

Command = TypeVar("Command", bound=Callable[..., Any])


def _home(ctx: click.Context, param: click.Parameter, value: str | None) -> Home:
    return find_home(named_home(ctx, value))


def named_home(ctx: click.Context, value: str | None) -> str | None:
    """The --home given to a command, else the one before it: `shortlist --home DIR train` works, too."""
    return value or ctx.find_root().params.get("home")


def home_option(command: Command) -> Command:
    """`--home`, given to the command as the argument `home: Home`."""
    option: Callable[[Command], Command] = click.option(
        "--home",
        callback=_home,
        metavar="DIR",
        help="Folder with all state. Default: SHORTLIST_HOME, else the nearest .shortlist upwards.",
    )
    return option(command)


def json_option(command: Command) -> Command:
    """`--json`, given to the command as `as_json`: what it found is printed as one JSON value."""
    option: Callable[[Command], Command] = click.option(
        "--json", "as_json", is_flag=True, help="One line of JSON for programs."
    )
    return option(command)


def load_settings(home: Home) -> Settings:
    """The settings that hold for a home. Raises SettingsError."""
    return settings.load(Path(home.path))[0]
