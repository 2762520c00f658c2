"""`shortlist doctor`: why recommendations are empty or poor, and what to do."""

import asyncio
import sys
import time

import click
import msgspec

from shortlist.cli.options import home_option, json_option, load_settings
from shortlist.home import Home

MARKS = {"bad": ("✗", "red"), "poor": ("!", "yellow"), "fine": ("✓", "green")}


@click.command()
@home_option
@json_option
def command(home: Home, as_json: bool) -> None:
    """Look at catalog, log, model and settings; say what is wrong, naming the fix. Exit code 1 if it is bad.

    \b
    Example:
      shortlist doctor
    """
    from shortlist.doctor import diagnose
    from shortlist.facts import gather

    settings = load_settings(home)
    home.require()
    findings = diagnose(asyncio.run(gather(settings, home, now_s=time.time())), settings)
    if as_json:
        click.echo(msgspec.json.encode(findings))
    for finding in () if as_json else findings:
        mark, colour = MARKS[finding.level]
        click.secho(f"{mark} {finding.said}", fg=colour)
        if finding.fix:
            click.echo(f"    → {finding.fix}")
    if any(finding.level == "bad" for finding in findings):
        sys.exit(1)
