"""`shortlist why`: why a user gets an item, or does not."""

import asyncio
import sys
import time
from typing import TYPE_CHECKING

import click
import msgspec

from shortlist.cli.options import home_option, json_option, load_settings
from shortlist.errors import ShortlistError
from shortlist.home import Home
from shortlist.settings import Settings

if TYPE_CHECKING:
    from shortlist.features.store import Features
    from shortlist.serving.why import Explanation, Said

NOTHING = 1e-6  # what is left of a zero in a product of vectors


class AskedUnknown(ShortlistError):
    """The user or the item asked about is not known here."""


@click.command()
@home_option
@click.argument("user", metavar="USER|REQUEST_ID")
@click.argument("item", required=False)
@click.option("--limit", type=click.IntRange(1, 1_000), help="Items in the slate (setting serving.limit).")
@click.option("--features", "show_features", is_flag=True, help="Also what the ranker saw of the item.")
@click.option("--replay", "replays", is_flag=True, help="Of a request: make its slate again and compare.")
@click.option("--today", "against_today", is_flag=True, help="Of a request: what it would get today.")
@json_option
def command(
    home: Home,
    user: str,
    item: str | None,
    limit: int | None,
    show_features: bool,
    replays: bool,
    against_today: bool,
    as_json: bool,
) -> None:
    """Say whether ITEM is in USER's slate: its rank, who proposes it, and what keeps it out. Of a REQUEST_ID
    alone, say how that slate came about.

    Worked out anew from the log, the catalog and the model that serves, beside a running server. What trends
    right now only the server knows; it does not count here. Exit code 1 for a user, item or request never
    heard of.

    \b
    Example:
      shortlist why 42 1196
      shortlist why 6a4537c1a8d7a3f86967000000000002 --replay
    """
    if item is None:
        _explain_request(home, user, replays=replays, against_today=against_today, as_json=as_json)
        return
    if replays or against_today:
        raise click.UsageError("--replay and --today go with a request id alone")
    from shortlist.app.catalog import attributes_of, item_table, rules_of
    from shortlist.app.models import load_serving
    from shortlist.ops import logs
    from shortlist.ranking.rules import Rulebook
    from shortlist.serving.newcomers import bring_new_items
    from shortlist.serving.ruling import usable
    from shortlist.serving.snapshot import snapshot
    from shortlist.serving.why import explain

    settings = load_settings(home.require())
    logs.set_up("warning")
    model = load_serving(home)
    table = asyncio.run(item_table(settings, home, model.item_ids))
    try:
        rules = usable(asyncio.run(rules_of(settings, home)))
        now = snapshot(model, table, None, settings.candidates, rulebook=Rulebook(table, rules))
        bring_new_items(now)
    except ValueError as error:
        raise ShortlistError(f"{error}") from None
    if table.position(item) < 0:
        raise AskedUnknown(f"no item {item!r} in the catalog, nor in the model that serves")
    if any(other is not None and other.variant_of == item for other in table.items) and (
        table.items[table.position(item)] is None
    ):
        raise AskedUnknown(f"no item {item!r} in the catalog: only a name that variants go by")
    features = features_of(user, settings, home)
    if not features.version:
        raise AskedUnknown(f"no event of user {user!r} in the log: like any guest they get what is popular")
    attributes = asyncio.run(attributes_of(settings, home, [user])).get(user)
    answer = explain(user, item, features, now, settings, limit or settings.serving.limit, attributes)
    if as_json:
        click.echo(msgspec.json.encode(answer))
        return
    for line in told(answer):
        click.echo(line)
    if show_features:
        for name, value in answer.features.items():
            click.echo(f"    {name:<32} {value:.4g}")


def features_of(user_id: str, settings: Settings, home: Home) -> "Features":
    """A user's features as of the log's end: what is stored, and what is not folded yet."""
    from shortlist.app.loop import followed
    from shortlist.events.event import decode
    from shortlist.events.log import EVENTS
    from shortlist.events.partition import partition_of
    from shortlist.features.dedup import Window, identity
    from shortlist.features.fold import fold
    from shortlist.features.view import user_view

    view, window = user_view(settings), Window(settings.log.dedup_window)
    with followed(settings, home) as loop:
        loop.features.agree()
        partition = partition_of(user_id, loop.log.partitions(EVENTS))
        at = loop.features.offset(partition)
        (features,) = loop.features.read([user_id], time.time_ns() // 1_000_000)
        while rest := loop.log.read(EVENTS, partition, at, 1_000):
            for stored in rest:
                try:
                    event = decode(stored.value)
                except msgspec.DecodeError:  # no event: the fold passes it over, too
                    continue
                if event.user_id == user_id and not window.is_duplicate(identity(event), stored.offset):
                    fold(features, event, offset=stored.offset, appended_ms=stored.appended_ms, view=view)
            at = rest[-1].offset + 1
    return features


def told(answer: "Explanation") -> list[str]:
    """The explanation in words, a line each."""
    name = f"“{answer.title}” ({answer.item_id})" if answer.title else answer.item_id
    lines = []
    if answer.place:
        lines.append(f"Yes: {name} is number {answer.place} of {answer.limit} for {answer.user_id}.")
        lines.append(f"  Under it stands: {answer.reason}")
    else:
        lines.append(f"No: {name} is not in the slate of {answer.limit} for {answer.user_id}:")
        lines += [f"  {why}." for why in answer.kept_out]
    if not answer.interactions:
        lines.append(f"{answer.user_id} has no past here: a guest gets what is popular.")
    if answer.rank:
        would = "It ranks" if answer.is_candidate else "Were it a candidate, it would rank"
        lines.append(
            f"{would} {answer.rank} of {answer.candidates} candidates before rules; "
            f"the {answer.order} gives it {answer.score:.4f}, the last of the slate {answer.last_score:.4f}."
        )
    if answer.said:
        lines.append("What the sources say (score; place among what they propose):")
        lines += [_line(said) for said in answer.said]
    return lines


def _line(said: "Said") -> str:
    if said.place:
        place = f"{said.place} of {said.of}"
    elif abs(said.score) > NOTHING:
        place = "does not propose it"
    else:
        place = "knows nothing of it"
    return f"  {said.source:<16} {said.score:>9.4g}   {place}"


def _explain_request(
    home: Home, request_id: str, *, replays: bool, against_today: bool, as_json: bool
) -> None:
    from shortlist.app.beside import open_explainer
    from shortlist.cli.request import told as told_of_request
    from shortlist.ops import logs

    settings = load_settings(home.require())
    logs.set_up("warning")
    with open_explainer(settings, home) as explainer:
        trace = explainer.traces.find(request_id)
        if trace is None:
            raise AskedUnknown(
                f"no slate of request {request_id!r} among the last records of the log; "
                "for a user and an item write both: shortlist why USER ITEM"
            )
        answer = explainer.explain(trace, replays=replays, against_today=against_today)
    if as_json:
        click.echo(msgspec.json.encode(answer))
    for line in () if as_json else told_of_request(answer):
        click.echo(line)
    if answer.replay is not None and answer.replay.verdict == "differs":
        sys.exit(1)
