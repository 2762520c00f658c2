"""`shortlist demo`: data in, trained, served, a page to click on."""

import asyncio
import os
import re
import subprocess
import sys
from pathlib import Path

import click

from shortlist.cli import INTERRUPTED
from shortlist.cli.options import load_settings, named_home
from shortlist.home import NAME, Home

LOG = "serve.log"  # in the home: on the terminal its lines would bury the address


@click.command()
@click.option(
    "--home",
    metavar="DIR",
    help="Folder with all state. Default: SHORTLIST_HOME, else .shortlist, or one per data.",
)
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    metavar="PATH",
    help="MovieLens folder or event file. Default: a synthetic shop.",
)
@click.option("--port", type=click.IntRange(0, 65535), default=8000, show_default=True)
@click.option("--no-serve", is_flag=True, help="Stop after training.")
@click.pass_context
def command(ctx: click.Context, home: str | None, data: Path | None, port: int, no_serve: bool) -> None:
    """Make a shop (or take DATA), train on its past and serve it. What is there already is kept.

    \b
    Example:
      shortlist demo
      shortlist demo --data ml-latest-small --port 9000
    """
    from shortlist.cli.import_ import bring, past
    from shortlist.demo.load import load
    from shortlist.gateway.server import bound
    from shortlist.progress import bars

    if data is not None and not data.exists():
        raise click.ClickException(f"no file or folder {data}")
    home = named_home(ctx, home) or os.environ.get("SHORTLIST_HOME")
    chosen = Home(Path(home)) if home else _home_of(data)
    if not no_serve:
        bound("127.0.0.1", port).close()  # a port that is taken is said now, not after training
    settings = load_settings(chosen)
    with bars() as report:
        load(
            chosen,
            data,
            report,
            bring=lambda request: asyncio.run(bring(settings, chosen, request, report)),
            past=lambda: past(settings, chosen),
        )
    if not (chosen.models / "serving.json").exists():
        _run("train", chosen)
    if home is None and data is not None:
        click.echo(f"For other commands: export SHORTLIST_HOME={chosen.path}")
    if not no_serve:
        _become("serve", chosen, "--port", str(port), "--log", str(chosen.path / LOG))


def _home_of(data: Path | None) -> Home:
    """A home of its own for each data set, so that two demos do not mix."""
    if data is None:
        return Home(Path.cwd() / NAME)
    name = re.sub(r"[^A-Za-z0-9.-]+", "-", data.resolve().name).strip(".-") or "data"
    return Home(Path.cwd() / f"{NAME}-{name}")


def _words(name: str, home: Home, *more: str) -> list[str]:
    return [sys.executable, "-m", "shortlist", name, "--home", str(home.path), *more]


def _run(name: str, home: Home) -> None:
    """A command in a process of its own: what training loads and leaves in memory is not served with.

    Ctrl-C reaches it too, and its last line is the one that is said."""
    with subprocess.Popen(_words(name, home)) as child:  # noqa: S603  # our own command
        try:
            child.wait()
        except KeyboardInterrupt:
            child.wait()
            sys.exit(INTERRUPTED)
    if child.returncode:
        sys.exit(child.returncode)


def _become(name: str, home: Home, *more: str) -> None:
    sys.stdout.flush()
    words = _words(name, home, *more)
    os.execv(words[0], words)  # noqa: S606  # our own interpreter and command
