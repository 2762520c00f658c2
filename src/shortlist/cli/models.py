"""`shortlist models`: which versions there are, what they are worth, and which one serves."""

import time
from datetime import UTC, datetime

import click
import msgspec

from shortlist.cli.options import home_option, json_option, load_settings
from shortlist.home import Home
from shortlist.models.registry import ModelRegistry, ModelUnknown, ModelVersion

UNITS_S = ((86_400, "d"), (3_600, "h"), (60, "min"))


def _number(ctx: click.Context, param: click.Parameter, version: str) -> str:
    # Versions count from 1. What cannot be one is refused at once: opening the registry takes seconds.
    if not (version.isascii() and version.isdecimal()) or version.startswith("0"):
        raise click.BadParameter(f"{version!r} is no version; they are numbers, see `shortlist models list`.")
    return version


@click.group()
def command() -> None:
    """List model versions, show one, or choose which one serves.

    A running server follows within a second or two.

    \b
    Example:
      shortlist models list
      shortlist models rollback
    """


@command.command("list")
@home_option
@json_option
def list_versions(home: Home, as_json: bool) -> None:
    """Every version, newest first; `*` serves.

    \b
    Example:
      shortlist models list
    """
    versions = _registry(home).versions()
    if as_json:
        click.echo(msgspec.json.encode(versions))
        return
    if not versions:
        click.echo("no versions yet: run `shortlist train`")
        return
    for version in versions:
        click.secho(line(version, time.time()), bold=version.is_serving)


@command.command()
@home_option
@json_option
@click.argument("version", callback=_number)
def show(home: Home, version: str, as_json: bool) -> None:
    """Everything known of VERSION: figures, what was chosen, where its files are.

    \b
    Example:
      shortlist models show 3
    """
    found = [v for v in _registry(home).versions() if v.version == version]
    if not found:
        raise ModelUnknown(f"no version {version!r}; see `shortlist models list`")
    (known,) = found
    if as_json:
        click.echo(msgspec.json.encode(known))
        return
    click.secho(f"version {known.version}{' (serves)' if known.is_serving else ''}", bold=True)
    click.echo(f"trained  {datetime.fromtimestamp(known.trained_ms / 1000, UTC):%Y-%m-%d %H:%M:%S} UTC")
    click.echo(f"files    {known.path}")
    for name, value in sorted(known.metrics.items()):
        click.echo(f"  {name} = {value:.4f}")
    for name, said in sorted(known.params.items()):
        click.echo(f"  {name} = {said}")


@command.command()
@home_option
def rollback(home: Home) -> None:
    """Serve the version that served before; again, the one before that.

    \b
    Example:
      shortlist models rollback
    """
    click.echo(f"version {_registry(home).rollback().version} serves now")


@command.command()
@home_option
@click.argument("version", callback=_number)
def promote(home: Home, version: str) -> None:
    """Serve VERSION.

    \b
    Example:
      shortlist models promote 3
    """
    click.echo(f"version {_registry(home).promote(version).version} serves now")


def line(version: ModelVersion, now_s: float) -> str:
    """One version in one line."""
    serves = "*" if version.is_serving else " "
    order = version.params.get("order", "")
    figure = version.metrics.get(f"ndcg.{order}")
    said = f"{order} NDCG@20 {figure:.4f}" if figure is not None else order or "not measured"
    data = version.params.get("data.interactions", "")
    learned = f"{int(data):,} interactions" if data.isdigit() else ""
    trained = age(now_s - version.trained_ms / 1000)
    return f"{serves} {version.version:>4}  {trained:>8} ago  {said:<26} {learned}".rstrip()


def age(seconds: float) -> str:
    """A length of time in its largest unit.

    >>> age(7_300)
    '2 h'
    """
    for unit, name in UNITS_S:
        if seconds >= unit:
            return f"{seconds / unit:.0f} {name}"
    return f"{max(seconds, 0):.0f} s"


def _registry(home: Home) -> ModelRegistry:
    from shortlist.app.models import registry
    from shortlist.ops import logs

    logs.set_up("warning")
    return registry(load_settings(home), home.require())
