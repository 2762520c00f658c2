"""`shortlist import`: bring events and items in from files."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from shortlist.cli.options import home_option, load_settings
from shortlist.cli.server import address_of, service_token
from shortlist.home import Home
from shortlist.progress import Report, bars
from shortlist.settings import Settings

if TYPE_CHECKING:
    from shortlist.events.event import Event
    from shortlist.importing.destination import Destination
    from shortlist.importing.importer import Request
    from shortlist.importing.problem import Outcome

TYPES = ("view", "click", "cart", "purchase", "rating", "like", "dislike", "cancel", "impression")


@click.command()
@home_option
@click.argument("path", required=False, type=click.Path(path_type=Path))
@click.option("--map", "mapping", metavar="FIELD=COLUMN,…", default="", help="Which column means what.")
@click.option("--type", "type_", type=click.Choice(TYPES), help="Type of every event whose row says none.")
@click.option("--items", type=click.Path(path_type=Path), metavar="FILE", help="CSV, JSON lines or Parquet.")
@click.option(
    "--map-items", "items_mapping", metavar="FIELD=COLUMN,…", default="", help="The same for items."
)
@click.option(
    "--encoding", default="", metavar="NAME", help="Of text. Default: UTF-8, UTF-16 or UTF-32, as found."
)
def command(
    home: Home,
    path: Path | None,
    mapping: str,
    type_: str | None,
    items: Path | None,
    items_mapping: str,
    encoding: str,
) -> None:
    """Bring events in from PATH: a file, a zip or a folder.

    Knows MovieLens, RetailRocket, REES46, YooChoose and Online Retail by their names and columns. Any other
    CSV, TSV, JSON lines or Parquet file (.gz, .bz2, .zst, .zip too) needs to say which of its columns mean
    user_id and item_id, where the names do not say it, and may say ts, type, rating, price, currency,
    quantity and session_id. Without times, the order of rows stands for time.

    The same content twice changes nothing, and what was interrupted goes on where it stopped.

    \b
    Examples:
      shortlist import ml-latest-small
      shortlist import clicks.parquet --map user_id=user,item_id=item,ts=pos --type view
      shortlist import orders.csv.gz --type purchase --items products.jsonl
      shortlist import --items products.csv --map-items item_id=sku,title=name
    """
    from shortlist.importing.importer import Request
    from shortlist.importing.mapping import EVENT_NAMES, ITEM_NAMES, parse_map

    if path is None and items is None:
        raise click.UsageError("nothing to import: name a PATH, or --items FILE")
    request = Request(
        path=path,
        mapping=parse_map(mapping, list(EVENT_NAMES)),
        type=type_ or "",
        items=items,
        items_mapping=parse_map(items_mapping, list(ITEM_NAMES)),
        encoding=encoding,
    )
    with bars() as report:
        outcome = asyncio.run(bring(load_settings(home), home, request, report))
    click.echo("\n".join(said(outcome)))


async def bring(settings: Settings, home: Home, request: "Request", report: Report) -> "Outcome":
    """Import into a home: into its own engines, or through the server that runs on it."""
    from shortlist.importing.importer import import_files, plan_of

    plan_of(request)  # what is wrong with the files is said before anything is opened
    now_ms = time.time_ns() // 1_000_000 + int(settings.log.future_s * 1000)
    async with _destination(settings, home) as to:
        return await import_files(request, to, home, report, now_ms=now_ms, threads=settings.training.threads)


def past(settings: Settings, home: Home) -> Iterator["Event"]:
    """Every event of a home's log, partition by partition."""
    from shortlist.app.loop import followed
    from shortlist.events.log import EVENTS
    from shortlist.importing.destination import events_since

    with followed(settings, home) as loop:
        yield from events_since(loop.log, [0] * loop.log.partitions(EVENTS))


def said(outcome: "Outcome") -> Iterator[str]:
    """What an import did, for a person."""
    for file in outcome.unchanged:
        yield f"{file}: imported before, nothing changed"
    if outcome.events or outcome.items or outcome.earlier:
        earlier = f" ({outcome.earlier:,} more by an interrupted import before)" if outcome.earlier else ""
        types = f" ({', '.join(outcome.types)})" if outcome.types else ""
        yield f"{outcome.format}: {outcome.events:,} events{types}{earlier}, {outcome.items:,} items"
    if outcome.bare_items:
        yield f"{outcome.bare_items:,} items are known by their id alone; --items FILE tells more of them"
    yield from outcome.remarks
    if outcome.refused:
        yield f"{sum(outcome.refused.values()):,} rows refused:"
    for reason, count in sorted(outcome.refused.items(), key=lambda pair: -pair[1]):
        yield f"  {count:>10,}  {reason}"
        example = next((e for e in outcome.examples if e.reason == reason), None)
        if example is not None:
            yield f"              {example.file} line {example.line}: {example.value}"


@asynccontextmanager
async def _destination(settings: Settings, home: Home) -> AsyncIterator["Destination"]:
    from shortlist.app.catalog import catalog
    from shortlist.app.loop import followed, owned, processor
    from shortlist.importing.destination import Engines

    async with catalog(settings, home) as items:
        url = address_of(home)
        if url is None:
            with owned(settings, home) as loop:
                yield Engines(items, loop.log, processor(settings, loop).fold_all)
            return
        from shortlist.importing.destination_http import ServerApi

        with followed(settings, home) as loop:
            to = ServerApi(url, lambda: service_token(settings, home, "shortlist-import"), items, loop.log)
            try:
                yield to
            finally:
                to.close()
