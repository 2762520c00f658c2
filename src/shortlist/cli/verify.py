"""`shortlist verify`: replay the log naively and count the users whose features differ."""

import time

import click
import msgspec

from shortlist.cli.options import home_option, json_option, load_settings
from shortlist.home import Home


@click.command()
@home_option
@click.option(
    "--show", type=click.IntRange(min=0), default=5, show_default=True, help="Most differences listed."
)
@json_option
def command(home: Home, show: int, as_json: bool) -> None:
    """Replay the log naively and count the users whose features differ.

    Works beside a running server: it compares what is folded at one moment. Exit code 1 when any differ.

    \b
    Example:
      shortlist verify --home .shortlist
    """
    from shortlist.app.loop import followed
    from shortlist.features.verify import verify
    from shortlist.progress import bars

    settings = load_settings(home.require())
    started = time.perf_counter()
    with followed(settings, home) as loop, bars() as report:
        loop.features.agree()
        found = verify(loop.log, loop.features, settings, shown=show, report=report)
    took_s = time.perf_counter() - started
    if as_json:
        click.echo(msgspec.json.encode(found))
    else:
        for one in found.differences:
            click.echo(f"{one.user_id!r}: {one.feature} is {one.stored}, the log says {one.expected}")
        replayed = f"({found.records} records replayed in {took_s:.1f} s)"
        click.echo(f"{found.differing} of {found.users} users differ {replayed}")
    if found.differing:
        raise SystemExit(1)
