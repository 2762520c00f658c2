"""`shortlist evaluate`: quality on public data, every stage beside the baselines."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from shortlist.cli.options import home_option, load_settings
from shortlist.home import Home

if TYPE_CHECKING:
    from shortlist.training.evaluate.cold import ColdLine
    from shortlist.training.evaluate.run import Result

DEMO = "demo"  # the made-up shop, beside the data sets of the folder


@click.command()
@home_option
@click.option(
    "--data",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    default=lambda: os.environ.get("SHORTLIST_DATA", "../shared/data"),
    help="Folder of public data sets. Default: SHORTLIST_DATA, else ../shared/data.",
)
@click.option("--only", default="", help="Part of a data set's name.")
@click.option(
    "--cases", type=click.IntRange(min=0), default=0, help="Ask only so many cases of each trial; 0: all."
)
@click.option(
    "--cold-items",
    is_flag=True,
    help="Instead: items absent from training, by BERT (if catalog.bert_folder is set), TF-IDF, no text.",
)
@click.option(
    "--json", "json_path", type=click.Path(dir_okay=False, path_type=Path), help="Write figures here."
)
def command(home: Home, data: Path, only: str, cases: int, cold_items: bool, json_path: Path | None) -> None:
    """Measure quality offline, against baselines, with the settings as they are.

    \b
    Example:
      shortlist evaluate --data ../shared/data --only online-retail
      shortlist evaluate --cold-items --only demo
    """
    found = _cold(home, data, only, cases) if cold_items else _warm(home, data, only, cases)
    if json_path is not None:
        json_path.write_bytes(msgspec.json.format(msgspec.json.encode(found)))


def _warm(home: Home, data: Path, only: str, cases: int) -> "list[Result]":
    from rich.console import Console

    from shortlist.app.encoders import fit_encoder
    from shortlist.app.models import open_ranker
    from shortlist.progress import bars
    from shortlist.training.evaluate.datasets import trials
    from shortlist.training.evaluate.run import run
    from shortlist.training.evaluate.table import drawn

    settings = load_settings(home)
    console = Console(width=None if os.isatty(1) else 120)
    results: list[Result] = []
    for read in trials(data, only):
        with bars() as report:
            made = read()
            found = run(made, settings, open_ranker, report, fit_encoder(settings, home), cases=cases)
        for trial, result in zip(made, found, strict=True):
            console.print(drawn(trial, result))
        results += found
    return results


def _cold(home: Home, data: Path, only: str, cases: int) -> "list[ColdLine]":
    from rich.console import Console

    from shortlist.app.encoders import fit_encoder
    from shortlist.app.models import open_ranker
    from shortlist.demo.shop import make_shop
    from shortlist.progress import bars
    from shortlist.training.evaluate import cold
    from shortlist.training.evaluate.datasets import shop, trials
    from shortlist.training.fit import FitEncoder, fit_tfidf

    settings = load_settings(home)
    encoders: dict[str, FitEncoder] = {"TF-IDF": fit_tfidf, "no text": cold.fit_none}
    if settings.catalog.bert_folder:
        encoders = {"BERT": fit_encoder(settings, home), **encoders}
    console = Console(width=None if os.isatty(1) else 120)
    made = [] if only == DEMO else [read()[0] for read in trials(data, only)]
    if only in DEMO:
        sold = make_shop()
        made.append(shop(DEMO, sold.items, sold.events, settings.weights))
    lines: list[cold.ColdLine] = []
    for trial in made:
        if any(item is not None and item.title for item in trial.items.items):
            without = cold.without_some(trial, settings.training.seed, cases=cases)
            with bars() as report:
                found = cold.measured(without, encoders, settings, open_ranker, report)
            console.print(cold.drawn(found))
            lines += found
    return lines
