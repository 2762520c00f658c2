"""`shortlist serve`: answer requests."""

import shlex
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

import click
import msgspec

from shortlist.cli import INTERRUPTED
from shortlist.cli.options import home_option, load_settings
from shortlist.home import Home


@click.command()
@home_option
@click.option("--host", help="Address to listen on (setting server.host).")
@click.option("--port", type=click.IntRange(0, 65535), help="Port to listen on (setting server.port).")
@click.option(
    "--log", "log_file", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
    help="Append the log to FILE. Default: the terminal.",
)  # fmt: skip
def command(home: Home, host: str | None, port: int | None, log_file: Path | None) -> None:
    """Answer requests until SIGTERM (exit code 0) or Ctrl-C (130): both loops in one process.

    \b
    Example:
      shortlist serve --port 8000
      curl -H "Authorization: Bearer $(shortlist token 42)" \\
           "http://127.0.0.1:8000/recommendations?user_id=42"
    """
    from shortlist.process import serve

    settings = load_settings(home)
    changed = {name: value for name, value in (("host", host), ("port", port)) if value is not None}
    server = msgspec.structs.replace(settings.server, **changed)
    came = serve(msgspec.structs.replace(settings, server=server), home, say=_framed, log_file=log_file)
    if came is not None:
        click.echo(farewell(home))
    if came == signal.SIGINT:
        sys.exit(INTERRUPTED)


def farewell(home: Home) -> str:
    """What a person sees at the end."""
    again = shlex.join(["shortlist", "serve", "--home", str(home.path)])
    return f"\nshortlist has ended, and everything is kept. Again: the same command, or {again}"


def _framed(lines: Sequence[str]) -> None:
    """What must not get lost among other lines."""
    width = max(map(len, lines))
    click.echo("\n".join(["┌" + "─" * (width + 2) + "┐", *(f"│ {line:<{width}} │" for line in lines),
                          "└" + "─" * (width + 2) + "┘"]))  # fmt: skip
