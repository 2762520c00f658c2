"""The ledger as people read it: for every new item what it was promised, got, taught, and cost."""

from collections.abc import Iterator

from msgspec import Struct

from shortlist.catalog.table import ItemTable
from shortlist.coldstart.exploration import PROMOTED, RETIRED, Exploration
from shortlist.coldstart.ledger import Decision, Ledger, Row
from shortlist.coldstart.wilson import bounds

EXPLORING, WAITING, UNAVAILABLE, GRADUATED, GONE = "exploring", "waiting", "unavailable", "graduated", "gone"
# How they are listed: what may still change first.
ORDER = (EXPLORING, PROMOTED, WAITING, UNAVAILABLE, RETIRED, GRADUATED, GONE)


class Account(Struct, frozen=True, kw_only=True):
    """One new item.

    status: `exploring`; `promoted` and `retired` as decided; `waiting` for its turn; `unavailable` while
    hidden, out of stock, or without title and category; `graduated` when a training made it an ordinary
    item; `gone` from the catalog.
    share: of users who may see it. promised: slates with a place for it; delivered: how many of those places
    were seen; until_decision: impressions left until it is judged next, null when nothing is to be decided.
    ctr_low and ctr_high: one-sided bounds of the clicks per impression. place_ctr: what its places earn in
    slates without new items. cost: clicks that it cost, negative where it brought more; null: not known yet.
    """

    item_id: str
    title: str | None
    status: str
    share: float
    promised: int
    delivered: int
    until_decision: int | None
    clicks: int
    purchases: int
    ctr: float | None
    ctr_low: float
    ctr_high: float
    place_ctr: float | None
    cost: float | None
    decision: Decision | None


class Accounts(Struct, frozen=True, kw_only=True):
    """The ledger of a shop, and the settings that it goes by. cost: of all items whose cost is known."""

    enabled: bool
    share: float
    promoted_share: float
    impressions: int
    limit: int
    ctr: float
    confidence: float
    per_user: int
    promised: int
    delivered: int
    clicks: int
    cost: float | None
    items: list[Account]


def accounts(ledger: Ledger, exploration: Exploration, table: ItemTable) -> Accounts:
    """Every item that is or ever was new; those that may still change come first, then by impressions."""
    settings = exploration.settings
    tried = exploration.trial.ids
    new = exploration.new
    ids = dict.fromkeys([*(table.ids[position] for position in new), *ledger.rows])
    items = [
        _account(ledger.rows.get(item_id) or Row(item_id), ledger, status, title)
        for item_id in ids
        for status, title in _statuses(item_id, ledger, table, new, tried)
    ]
    items.sort(key=lambda item: (ORDER.index(item.status), -item.delivered, item.item_id))
    costs = [item.cost for item in items if item.cost is not None]
    return Accounts(
        enabled=settings.enabled,
        share=settings.share,
        promoted_share=settings.promoted_share,
        impressions=settings.impressions,
        limit=settings.limit,
        ctr=settings.ctr,
        confidence=settings.confidence,
        per_user=settings.per_user,
        promised=sum(item.promised for item in items),
        delivered=sum(item.delivered for item in items),
        clicks=sum(item.clicks for item in items),
        cost=sum(costs) if costs else None,
        items=items,
    )


def _statuses(
    item_id: str, ledger: Ledger, table: ItemTable, new: range, tried: frozenset[str]
) -> Iterator[tuple[str, str | None]]:
    """The item's status and title; nothing for an item that left before anybody saw it."""
    row = ledger.rows.get(item_id)
    position = table.position(item_id)
    item = table.items[position] if position >= 0 else None
    verdict = row.decision.verdict if row is not None and row.decision is not None else ""
    if item is None:
        if row is not None:
            yield GONE, None
    elif position not in new:
        yield GRADUATED, item.title
    elif item_id in tried:
        yield verdict or EXPLORING, item.title
    elif verdict == RETIRED:
        yield RETIRED, item.title
    else:
        yield WAITING if item.is_servable and item.is_described else UNAVAILABLE, item.title


def _account(row: Row, ledger: Ledger, status: str, title: str | None) -> Account:
    settings = ledger.settings
    shares = {EXPLORING: settings.share, PROMOTED: settings.promoted_share}
    low, high = bounds(row.clicks, row.impressions, settings.confidence)
    spent = ledger.expected(row)
    until = min(
        settings.impressions - row.impressions % settings.impressions, settings.limit - row.impressions
    )
    return Account(
        item_id=row.item_id,
        title=title,
        status=status,
        share=shares.get(status, 0.0),
        promised=row.served,
        delivered=row.impressions,
        until_decision=max(0, until) if status == EXPLORING else None,
        clicks=row.clicks,
        purchases=row.purchases,
        ctr=row.clicks / row.impressions if row.impressions else None,
        ctr_low=low,
        ctr_high=high,
        place_ctr=spent / row.impressions if spent is not None and row.impressions else None,
        cost=spent - row.clicks if spent is not None else None,
        decision=row.decision,
    )
