"""`shortlist settings`: every setting with its meaning, value and origin."""

import click
import msgspec

from shortlist import settings
from shortlist.cli.options import home_option, json_option
from shortlist.home import Home


@click.command()
@home_option
@json_option
@click.argument("words", nargs=-1)
def command(home: Home, as_json: bool, words: tuple[str, ...]) -> None:
    """Print every setting, or those whose name or meaning has all the WORDS.

    \b
    Example:
      shortlist settings cache
      SHORTLIST_RULES__MAX_PER_CATEGORY=5 shortlist settings rules
    """
    _, rows = settings.load(home.path)
    chosen = [row for row in rows if all(w.lower() in f"{row.name} {row.meaning}".lower() for w in words)]
    if as_json:
        click.echo(msgspec.json.encode(chosen))
        return
    if not chosen:
        raise click.ClickException(f"no setting has {' and '.join(words)} in its name or meaning")
    for row in chosen:
        changed = "" if row.origin == "default" else f"   from {row.origin} (default {_shown(row.default)})"
        click.secho(f"{row.name} = {_shown(row.value)}{changed}", bold=row.origin != "default")
        click.echo(f"    {row.meaning}")


def _shown(value: object) -> str:
    return msgspec.json.encode(value).decode()
