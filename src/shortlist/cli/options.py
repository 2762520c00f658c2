"""Options that several commands take."""

from pathlib import Path
from typing import Any

import click

from shortlist import settings
from shortlist.home import Home, find_home
from shortlist.settings import Settings


def _home(ctx: click.Context, param: click.Parameter, value: str | None) -> Home:
    return find_home(value)


home_option: Any = click.option(
    "--home",
    callback=_home,
    metavar="DIR",
    help="Folder with all state. Default: SHORTLIST_HOME, else the nearest .shortlist upwards.",
)


def load_settings(home: Home) -> Settings:
    """The settings that hold for a home. Raises SettingsError."""
    return settings.load(Path(home.path))[0]
