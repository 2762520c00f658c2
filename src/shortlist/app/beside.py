"""What commands work out beside a running server, from its log, catalog and models: nothing is written."""

import asyncio
import functools
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from shortlist.app.catalog import attributes_of, item_table, rules_of
from shortlist.app.loop import followed
from shortlist.app.models import load_serving, model_of
from shortlist.catalog.rule import Rule
from shortlist.home import Home
from shortlist.models.registry import ModelUnknown
from shortlist.settings import Settings

if TYPE_CHECKING:
    from shortlist.coldstart.accounts import Accounts
    from shortlist.features.trending import Published
    from shortlist.serving.dry_run import DryRun
    from shortlist.serving.explaining import Explainer


async def try_rule(settings: Settings, home: Home, draft: Rule | None, most: int) -> "DryRun":
    """What a rule would have done to at most `most` of the last slates, worked out beside the server.

    Raises RuleInvalid."""
    from shortlist.ranking.rules import Rulebook
    from shortlist.serving.dry_run import dry_run, sample_of
    from shortlist.serving.recommend import Recommender
    from shortlist.serving.ruling import usable
    from shortlist.serving.serving import clock_ms
    from shortlist.serving.snapshot import snapshot

    try:
        model = load_serving(home)
    except ModelUnknown:
        model = None
    table = await item_table(settings, home, model.item_ids if model is not None else ())
    book = Rulebook(table, usable(await rules_of(settings, home)), clock_ms)
    now = snapshot(model, table, None, settings.candidates, rulebook=book)
    with followed(settings, home) as loop:
        sample = sample_of(loop.log, most)
        users = list({slate.user_id for slate in sample.slates if slate.user_id is not None})
        attributes = await attributes_of(settings, home, users)
        by = Recommender(loop.features, settings, clock_ms, lambda user: attributes.get(user, {}))
        know = functools.partial(by.know, snapshot=now)
        return dry_run(draft, sample, now, know, by.nobody(now), settings.rules)


@contextmanager
def open_explainer(settings: Settings, home: Home) -> Iterator["Explainer"]:
    """Explains and replays what was served, from log, catalog and models, beside a running server.

    Raises ModelUnknown before the first training. Users' attributes are none: today's rules that ask for them
    do not apply."""
    from shortlist.catalog.past import CatalogPast
    from shortlist.ranking.rules import Rulebook
    from shortlist.serving.explaining import Explainer
    from shortlist.serving.newcomers import bring_new_items
    from shortlist.serving.replay import Replayer
    from shortlist.serving.ruling import usable
    from shortlist.serving.serving import clock_ms
    from shortlist.serving.snapshot import snapshot
    from shortlist.serving.trace import Traces
    from shortlist.serving.world import Worlds

    model = load_serving(home)
    table = asyncio.run(item_table(settings, home, model.item_ids))
    rules = usable(asyncio.run(rules_of(settings, home)))
    now = snapshot(model, table, None, settings.candidates, rulebook=Rulebook(table, rules))
    bring_new_items(now)
    with followed(settings, home) as loop:
        worlds = Worlds(lambda: now, model_of(home), CatalogPast(loop.log))
        yield Explainer(
            Traces(loop.log, lambda request_id: None),
            Replayer(worlds, loop.log, loop.features),
            lambda: now,
            settings,
            lambda user_id: {},
            clock_ms,
        )


def trends_of(settings: Settings, home: Home) -> "Published":
    """What trends as of now, counted on from what a server saved; nothing where none ever did: a whole log is
    not worth counting for it."""
    from shortlist.features.trending import Published, TrendingCounts

    if not home.trending.exists():
        return Published()
    with followed(settings, home) as loop:
        trends = TrendingCounts(loop.log, loop.features, settings, file=home.trending)
        trends.replay()
        trends.publish()
        return trends.published


async def accounts_of(settings: Settings, home: Home) -> "Accounts":
    """The ledger of new items as of now, read beside a running server."""
    from shortlist.coldstart.accounts import accounts
    from shortlist.coldstart.exploration import Exploration
    from shortlist.coldstart.keeper import LedgerKeeper

    try:
        trained = load_serving(home).item_ids
    except ModelUnknown:
        trained = []
    table = await item_table(settings, home, trained)
    with followed(settings, home) as loop:
        ledger = LedgerKeeper(loop.log, loop.features, settings, file=home.exploration)
        exploration = Exploration(settings.exploration, ledger)
        exploration.refresh(table, len(trained))
        ledger.replay()
        exploration.renew()  # the replay may have decided what the server is about to
        return ledger.read(lambda known: accounts(known, exploration, table))
