"""`shortlist evaluate`: quality on public data, every stage beside the baselines."""

import os
from pathlib import Path

import click
import msgspec

from shortlist.cli.options import home_option, load_settings
from shortlist.home import Home


@click.command()
@home_option
@click.option(
    "--data",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    default=lambda: os.environ.get("SHORTLIST_DATA", "../shared/data"),
    help="Folder of public data sets. Default: SHORTLIST_DATA, else ../shared/data.",
)
@click.option("--only", default="", help="Part of a data set's name.")
@click.option("--cases", default=0, help="Ask only so many cases of each trial; 0: all.")
@click.option(
    "--json", "json_path", type=click.Path(dir_okay=False, path_type=Path), help="Write figures here."
)
def command(home: Home, data: Path, only: str, cases: int, json_path: Path | None) -> None:
    """Measure quality offline, against baselines, with the settings as they are.

    \b
    Example:
      shortlist evaluate --data ../shared/data --only online-retail
    """
    from rich.console import Console

    from shortlist.app import open_ranker
    from shortlist.progress import bars
    from shortlist.training.evaluate.datasets import trials
    from shortlist.training.evaluate.run import Result, run
    from shortlist.training.evaluate.table import drawn

    settings = load_settings(home)
    console = Console(width=None if os.isatty(1) else 120)
    results: list[Result] = []
    for read in trials(data, only):
        with bars() as report:
            made = read()
            found = run(made, settings, open_ranker, report, cases=cases)
        for trial, result in zip(made, found, strict=True):
            console.print(drawn(trial, result))
        results += found
    if json_path is not None:
        json_path.write_bytes(msgspec.json.format(msgspec.json.encode(results)))
