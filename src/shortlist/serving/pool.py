"""Reading a pool: whether it still holds, and cutting a slate from it with every filter applied again."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import msgspec
import numpy as np

from shortlist.catalog.variants import barred, firsts
from shortlist.ranking import rerank
from shortlist.retrieval.top import within
from shortlist.serving import fallback
from shortlist.serving.cache import Pool, PooledItem
from shortlist.serving.known import Known, allowed, applied
from shortlist.serving.pins import beyond, pinned
from shortlist.serving.slate import BROWSING, PINNED
from shortlist.serving.snapshot import NOTHING, Snapshot
from shortlist.settings import CacheSettings, RuleSettings

# What a cached pool is worth: serve it, serve it and compute another, or do not serve it.
HOLDS: Literal["holds"] = "holds"
OLD: Literal["old"] = "old"
MISS: Literal["miss"] = "miss"
State = Literal["holds", "old", "miss"]

INCOMPLETE_S = 10.0  # a pool that lacks a source is tried again after this


@dataclass(slots=True, frozen=True)
class Cut:
    """One page of a pool: its items and their positions in the table; the number of the next page.

    pinned: item → the operator's rule that put it in its place. is_filled: the pool alone had too few.
    """

    items: list[PooledItem]
    positions: list[int]
    next_page: int | None
    pinned: dict[str, str] = field(default_factory=dict)
    is_filled: bool = False


def judged(
    pool: Pool, known: Known | None, snapshot: Snapshot, rules_version: str, cache: CacheSettings, now_ms: int
) -> State:
    """What a pool is worth now. known: the user as of now; None: unknown, then only fallbacks may use it.

    Another model, another taste or other rules mean another order. Age may still be served once more;
    purchases, stock and hiding are applied when it is cut, whatever the stamps say.
    """
    if (
        known is None
        or pool.model_version != snapshot.model_version
        or pool.taste_version != known.taste_version
        or pool.rules_version != rules_version
    ):
        return MISS
    age_ms = now_ms - pool.made_ms
    if pool.missing and age_ms > INCOMPLETE_S * 1000:
        return MISS
    if age_ms > cache.stale_s * 1000:
        return MISS
    return OLD if age_ms >= cache.ttl_s * 1000 else HOLDS


def cut(
    pool: Pool,
    known: Known,
    rules: RuleSettings,
    limit: int,
    page: int = 1,
    *,
    exclude: Sequence[str] = (),
    after: Sequence[str] = (),
    category: int = -1,
    context: str = BROWSING,
    where: str = "",
) -> Cut:
    """One page. A pool with too few items left is filled up with what fallbacks would serve.

    after: what the first page showed, where other items took places of the pool's: a later page goes on with
    whatever is left of the pool. where: the request's filter. The operator's pins stand where they are
    pinned."""
    snapshot = known.snapshot
    table = snapshot.table
    mask = allowed(known, rules, category, context=context, where=where)
    if exclude:
        mask[table.positions(exclude)] = False
    to_pin = applied(known, rules, category, context).pins
    number = page
    positions = table.places([item.item_id for item in pool.items])
    kept = np.flatnonzero((positions >= 0) & within(positions, mask))
    if after:  # the list without its first page
        to_pin = beyond(to_pin, limit, positions[kept], mask, snapshot)
        barred(mask, table.positions(after), table.columns)
        kept = kept[mask[positions[kept]]]
        page -= 1
    positions, items = positions[kept], [pool.items[index] for index in kept.tolist()]
    pins = pinned(to_pin, positions, mask, snapshot)
    items += [fallback.pooled(snapshot, at, PINNED) for at in pins.positions[len(items) :].tolist()]
    stay = firsts(pins.positions, table.columns, pins.rules)
    if len(stay) < len(items):  # without variants of what comes before them
        pins, items = pins.only(stay), [items[index] for index in stay.tolist()]
    positions = pins.positions
    for index in pins.rules:
        items[index] = msgspec.structs.replace(items[index], reason=PINNED, because="")
    is_filled = len(items) < page * limit
    if is_filled:
        need = page * limit - len(items)
        rest = fallback.others(
            snapshot, mask, need, taken=positions, categories=known.categories, category=category
        )
        more = list(rest)
        items += [fallback.pooled(snapshot, position, tier) for position, tier in more]
        added = np.array([position for position, _ in more], np.int32) if more else NOTHING
        positions = np.concatenate([positions, added])
    columns = table.columns
    chosen = rerank.cut(
        columns.category[positions].tolist(),
        columns.brand[positions].tolist(),
        rules,
        limit,
        page,
        pins.within(len(items)),
    )
    next_page = number + 1 if len(items) > page * limit else None
    by_rule = {items[index].item_id: pins.rules[index] for index in chosen if index in pins.rules}
    return Cut([items[index] for index in chosen], positions[chosen].tolist(), next_page, by_rule, is_filled)
