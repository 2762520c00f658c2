"""`shortlist train`: from the log to a model version that serves."""

import asyncio
import os
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from shortlist.cli.options import home_option, load_settings
from shortlist.home import Home
from shortlist.settings import Settings

if TYPE_CHECKING:
    from shortlist.catalog.table import ItemTable

MORE_NAMES = {"ndcg.ranker": "ranker over all sources", "ndcg.blend": "blend of all sources"}


@click.command()
@home_option
def command(home: Home) -> None:
    """Train on everything in the log and put the new version to work.

    A running server reads on undisturbed and swaps to the new version within a second or two. What was worse
    than it is one `shortlist models rollback` away.

    \b
    Example:
      shortlist train
      SHORTLIST_TRAINING__DAYS=90 shortlist train
    """
    run(home, load_settings(home.require()))


def run(home: Home, settings: Settings) -> None:
    """Train, with progress bars, and print what came out. Raises ShortlistError."""
    # Before the libraries load, for they read it once. One thread for BLAS: see training/pipeline.py.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    if settings.training.threads:
        os.environ.setdefault("OMP_NUM_THREADS", str(settings.training.threads))
    from shortlist.app.catalog import attributes_of, item_table
    from shortlist.app.encoders import fit_encoder
    from shortlist.app.loop import followed
    from shortlist.app.models import registry
    from shortlist.ops import logs
    from shortlist.progress import bars
    from shortlist.training.pipeline import train

    logs.set_up("warning")
    started = time.monotonic()
    with followed(settings, home) as loop, bars() as report:
        table = asyncio.run(item_table(settings, home))
        trained = train(
            loop.log,
            table,
            lambda: registry(settings, home),
            home.models,
            settings,
            report,
            lambda: time.time_ns() // 1_000_000,
            forgotten=loop.features.forgotten,
            fit_encoder=fit_encoder(settings, home),
            attributes=lambda user_ids: asyncio.run(attributes_of(settings, home, user_ids)),
            add_missing=lambda item_ids: asyncio.run(_with_missing(home, settings, item_ids)),
        )
    version = trained.version
    click.secho(f"version {version.version} serves now", bold=True)
    click.echo(
        f"learned from {trained.interactions:,} interactions of {trained.users:,} users "
        f"with {trained.items:,} items in {time.monotonic() - started:.0f} s"
    )
    if trained.added:
        click.echo(
            f"new in the catalog: {trained.added:,} items that only events speak of, known by their id alone "
            "(`shortlist import --items FILE` tells more of them)"
        )
    if trained.unknown:
        click.echo(
            f"left out: {trained.unknown:,} of {trained.events:,} events, "
            "whose items were deleted from the catalog"
        )
    for line in (*figures(version.metrics), *choices(version.params)):
        click.echo(line)


async def _with_missing(home: Home, settings: Settings, item_ids: Sequence[str]) -> "ItemTable | None":
    """The catalog with bare items for ids that it never had; None if it had them all. A running server sees
    the change by itself."""
    from shortlist.app.catalog import catalog, item_table

    async with catalog(settings, home) as items:
        added = await items.add_missing(item_ids)
    return await item_table(settings, home) if added else None


def figures(metrics: dict[str, float]) -> list[str]:
    """The offline figures as lines, the best first, on the later slice of time that chose between them."""
    measured = {name: value for name, value in metrics.items() if name.startswith("ndcg.")}
    if not measured:
        return ["too little history to measure anything: sources are blended as they come"]
    width = max(len(_source(name)) for name in measured)
    best = max(measured.values()) or 1.0
    lines = ["what came next, found by each alone (NDCG@20 on the newest slice of time):"]
    for name, value in sorted(measured.items(), key=lambda row: -row[1]):
        bar = "█" * round(24 * value / best)
        lines.append(f"  {_source(name):<{width}}  {value:.4f}  {bar}")
    return lines


def choices(params: dict[str, str]) -> list[str]:
    """What was chosen, as one line."""
    order = params.get("order")
    said = []
    if order == "ranker":
        said.append(f"the ranker orders slates ({params.get('ranker.trees', '?')} trees)")
    elif order == "blend":
        said.append("the blend orders slates: no ranker beat it")
    if "als.regularization" in params:
        said.append(f"ALS λ {params['als.regularization']}, α {params.get('als.confidence', '?')}")
    return [f"chosen: {'; '.join(said)}"] if said else []


def _source(name: str) -> str:
    return MORE_NAMES.get(name, name.removeprefix("ndcg.").replace("_", " "))
