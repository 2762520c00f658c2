"""What a replay shows beside its verdict: what the ranker saw, and what kept well ranked items out."""

from collections import Counter
from collections.abc import Iterator

import numpy as np
from msgspec import Struct

from shortlist.catalog.table import ItemTable
from shortlist.features.store import Features
from shortlist.serving.known import allowed, query_of
from shortlist.serving.recommend import category_code
from shortlist.serving.remade import Remade
from shortlist.serving.why import filters


class LeftOut(Struct, frozen=True):
    """An item of the pool that ranks above the last one shown, and is not shown. place: in it, from 1."""

    item_id: str
    title: str
    place: int
    score: float
    why: str


def ranker_saw(remade: Remade) -> dict[str, dict[str, float]]:
    """By item of the slate, what the ranker saw of it: all but zeros. Empty where no ranker ordered.

    Raises InputGone."""
    _, then = remade.pool_world()
    chain, pool, inputs = then.chain, remade.pool, remade.inputs
    if chain is None or chain.ranker is None or not inputs.candidates:
        return {}
    user = remade.past.features(remade.user_id, pool.user_version, pool.made_ms)
    code = category_code(inputs.category, then)
    query = query_of(
        user,
        then,
        remade.settings.weights,
        category=code,
        context=inputs.context,
        attributes=remade.attributes(then),
    )
    found = chain.gathered(query, np.ones(len(then.table), np.bool_))
    values = chain.features(query, found)
    rows = {then.table.ids[at]: row for row, at in enumerate(found.positions.tolist())}
    return {
        item_id: {
            name: round(value, 6)
            for name, value in zip(chain.feature_names, values[rows[item_id]].tolist(), strict=True)
            if value
        }
        for item_id in remade.slate.items
        if item_id in rows
    }


def left_out(remade: Remade) -> list[LeftOut]:
    """What of the pool ranks above the last one shown and is not shown, best first. Raises InputGone."""
    _, known = remade.slate_world()
    slate, rules = remade.slate, remade.settings.rules
    table = known.snapshot.table
    code = category_code(slate.category, known.snapshot)
    mask = allowed(known, rules, code, context=slate.context, where=slate.filter)
    user = remade.past.features(remade.user_id, remade.read.user, remade.read.now_ms)
    places = {item.item_id: place for place, item in enumerate(remade.pool.items)}
    shown = set(slate.items)
    last = max((places.get(item_id, -1) for item_id in slate.items), default=-1)
    found = []
    for place, item in enumerate(remade.pool.items[: last + 1]):
        if item.item_id in shown:
            continue
        at = table.position(item.item_id)
        one = table.items[at] if at >= 0 else None
        title = one.title if one is not None and one.title else item.item_id
        if 0 <= at < len(mask) and mask[at]:
            why = "; ".join(_chosen_over(remade, item.item_id, at, table))
        else:
            why = "; ".join(_kept_out(remade, item.item_id, user))
        found.append(LeftOut(item.item_id, title, place + 1, item.score, why))
    return found


def _kept_out(remade: Remade, item_id: str, user: Features) -> Iterator[str]:
    _, known = remade.slate_world()
    why = list(filters(item_id, user, known.snapshot, remade.settings))
    yield from why
    rules = remade.inputs.rules if remade.read.rules is None else remade.read.rules
    taking = [rule.id for rule in rules if rule.action in ("hide", "filter")]
    if not why and remade.slate.filter:
        yield "the filter of the request leaves it out"
    elif not why and taking:
        yield f"a rule of the shop takes it out ({', '.join(taking)})"
    elif not why:
        yield "another variant of it is shown or bought"


def _chosen_over(remade: Remade, item_id: str, at: int, table: ItemTable) -> Iterator[str]:
    slate, rules = remade.slate, remade.settings.rules
    if item_id in remade.read.exclude:
        yield "the request leaves it out"
        return
    if slate.page > 1:
        yield "it is on a page before this one, or a cap moved it on"
        return
    categories: Counter[int] = Counter()
    brands: Counter[int] = Counter()
    for place in table.positions(slate.items).tolist():
        categories[int(table.category[place])] += 1
        brands[int(table.brand[place])] += 1
    category, brand = int(table.category[at]), int(table.brand[at])
    if rules.enabled and category >= 0 and categories[category] >= rules.max_per_category > 0:
        yield f"{categories[category]} of {table.categories[category]} are shown (rules.max_per_category)"
    elif rules.enabled and brand >= 0 and brands[brand] >= rules.max_per_brand > 0:
        yield f"{brands[brand]} of {table.brands[brand]} are shown (rules.max_per_brand)"
    elif slate.explored:
        yield "it gave its place to a new or trending item"
    elif slate.pinned:
        yield "it gave its place to what a rule pins"
    else:
        yield "another variant of it is shown"
