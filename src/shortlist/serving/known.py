"""What serving knows of a user: what must not be recommended to them, and what of the past sources read."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import Any

import numpy as np

from shortlist.arrays import BoolArray, IntArray
from shortlist.candidates.past import query_from
from shortlist.candidates.source import Query
from shortlist.catalog.variants import barred
from shortlist.coldstart.profile import disliked, liked
from shortlist.features.store import Features, Seen
from shortlist.ranking.conditions import parse
from shortlist.ranking.rules import Applied
from shortlist.serving.slate import BROWSING
from shortlist.serving.snapshot import Snapshot
from shortlist.settings import RuleSettings, WeightSettings

NO_ATTRIBUTES: Mapping[str, Any] = {}
CATEGORIES = 3  # of the user's own, for popular items when nothing better can answer
RECENT = 20  # last items whose categories stand in for an affinity that expired


@dataclass(frozen=True, slots=True)
class Known:
    """A user's features as far as filters, stamps and fallbacks need them.

    banned: positions that must not come: bought, rated (unless repeats are allowed), disliked.
    categories: codes of the user's own categories, the strongest first. attributes: what the shop knows of
    them, for rules; None: not known now, and what a rule might take out is then taken out. It holds for the
    snapshot and the catalog version it was made with: items that came into the catalog since have positions
    now.
    """

    snapshot: Snapshot
    catalog_version: int
    user_version: int
    taste_version: int
    interaction_count: int
    appended_ms: int
    banned: IntArray
    categories: tuple[int, ...]
    attributes: Mapping[str, Any] | None = field(default_factory=dict)


def known_of(
    features: Features,
    snapshot: Snapshot,
    rules: RuleSettings,
    attributes: Mapping[str, Any] | None = NO_ATTRIBUTES,
) -> Known:
    """What serving needs of `features`, and of the user's attributes (None: not known now)."""
    version = snapshot.table.version  # before the table is read: it may be newer then, never older
    return Known(
        snapshot=snapshot,
        catalog_version=version,
        user_version=features.version,
        taste_version=features.taste_version,
        interaction_count=features.interaction_count,
        appended_ms=features.appended_ms,
        banned=banned(features, snapshot, rules),
        categories=own_categories(features, snapshot),
        attributes=attributes,
    )


def banned(features: Features, snapshot: Snapshot, rules: RuleSettings) -> IntArray:
    """Positions that must not come."""
    ids: Iterable[str] = chain(features.disliked, disliked(features) if features.stars else ())
    if not rules.repeat_purchases:
        ids = chain(ids, features.purchased, features.consumed)
    return snapshot.table.positions(ids)


def own_categories(features: Features, snapshot: Snapshot) -> tuple[int, ...]:
    """Codes of the user's categories, the strongest first."""
    table = snapshot.table
    names = sorted(features.affinity, key=lambda name: (-features.affinity[name], name))
    if not names:
        recent = Counter(table.category_of(seen.item_id) for seen in features.history[-RECENT:])
        names = [name for name, _ in recent.most_common() if name is not None]
    codes = (table.category_code(name) for name in dict.fromkeys([*names, *features.preferred]))
    return tuple(code for code in codes if code >= 0)[:CATEGORIES]


def query_of(
    features: Features,
    snapshot: Snapshot,
    weights: WeightSettings,
    *,
    category: int = -1,
    context: str = "browsing",
    attributes: Mapping[str, Any] | None = None,
) -> Query:
    """The user's past and attributes as the sources read them. The clock is the data's own (the model's end
    or the user's last event), so that a slate does not change while nothing happens."""
    places = snapshot.table.places
    # What the survey's stars say of taste is a past, too: of the moment it was answered.
    stars = [Seen(item_id, "rating", features.answered_ts, 0) for item_id in liked(features)]
    history = [*stars, *features.history] if stars else features.history
    weight = weights.by_type()
    down = (*features.disliked, *(disliked(features) if features.stars else ()))
    against = places(dict.fromkeys(down))
    data_end_s = snapshot.model.data_end_s if snapshot.model is not None else 0.0
    return query_from(
        places([seen.item_id for seen in history]),
        np.array([seen.ts for seen in history], np.float64) / 1000.0,
        [weight.get(seen.type, 0.0) for seen in history],
        [seen.session for seen in history],
        now_s=max(data_end_s, features.last_ts / 1000.0),
        category=category,
        context=context,
        bought=places(features.purchased),
        bought_counts=list(features.purchased.values()),
        against=against,
        against_weights=[weights.dislike] * len(against),
        attributes=snapshot.codes.row(attributes),
    )


def allowed(
    known: Known, rules: RuleSettings, category: int = -1, *, context: str = BROWSING, where: str = ""
) -> BoolArray:
    """(table size,) what may be in a slate of this user: every path asks here, and nobody else decides.

    context, category: the request's, which operator rules may ask for. where: the request's own filter, one
    that `ranking.conditions` can read.
    """
    columns = known.snapshot.table.columns
    mask = (columns.worth(rules.min_margin) if rules.enabled else columns.servable).copy()
    if category >= 0:
        mask &= columns.category == category
    book = known.snapshot.rulebook
    name = known.snapshot.table.category_name(category) or ""
    by_rules = book.applied(columns, context, name, known.attributes).allowed
    if by_rules is not None:
        mask &= by_rules
    if where:
        mask &= book.facts.kept_mask(parse(where), columns, book.now_ms())
    barred(mask, known.banned, columns)
    return mask


def applied(known: Known, rules: RuleSettings, category: int = -1, context: str = BROWSING) -> Applied:
    """What operator rules do to a slate of this user, now. Of rules that are off, only filters stay."""
    table = known.snapshot.table
    name = table.category_name(category) or ""
    found = known.snapshot.rulebook.applied(table.columns, context, name, known.attributes)
    return found if rules.enabled else replace(found, factors=None, pins=())
