"""Slates of new users (flow 9): what is popular in the categories they chose, or personal already, woven with
what explores; and the survey that they are asked."""

from collections.abc import Sequence
from urllib.parse import quote

import msgspec
import numpy as np
from msgspec import Struct

from shortlist.arrays import BoolArray, IntArray
from shortlist.coldstart.first_slates import woven
from shortlist.features.store import Features
from shortlist.serving import fallback
from shortlist.serving.cache import PooledItem
from shortlist.serving.known import Known, allowed
from shortlist.serving.slate import VARIETY
from shortlist.serving.snapshot import NOTHING
from shortlist.settings import RuleSettings, Settings

CHOOSE = 3  # categories that the survey suggests to choose
CATEGORIES = 30  # shown, the largest

_encode = msgspec.json.Encoder().encode


class Asked(Struct, frozen=True):
    """A survey that was asked. `body` is its JSON."""

    body: bytes


def popular_items(user: Features, known: Known, mask: BoolArray, size: int) -> list[PooledItem]:
    """What somebody gets of whom nothing personal is known: popular in the categories chosen, one of each in
    turn, then overall."""
    chosen = _chosen(user, known)
    rest = fallback.others(known.snapshot, mask, size, taken=NOTHING, categories=chosen)
    return [fallback.pooled(known.snapshot, position, tier) for position, tier in rest]


def explored(
    items: Sequence[PooledItem],
    share: float,
    *,
    user_id: str,
    user: Features,
    known: Known,
    mask: BoolArray,
    settings: Settings,
) -> list[PooledItem]:
    """A pool in which this share of each slate explores, at places drawn by user and interaction."""
    snapshot = known.snapshot
    table = snapshot.table
    columns = table.columns
    of = {table.position(item.item_id): item for item in items}
    list_ = woven(
        list(of),
        snapshot.prepared.long_tail(),
        share=share,
        limit=settings.serving.limit,
        size=settings.cache.pool,
        allowed=mask,
        columns=columns,
        rules=settings.rules,
        chosen=_chosen(user, known),
        seed=f"{user_id}\n{user.interaction_count}",
    )
    return [_different(known, place.position) if place.explores else of[place.position] for place in list_]


def survey(user_id: str, known: Known, rules: RuleSettings, request_id: str) -> Asked:
    """The survey as this user may see it: nothing that must not be in a slate of theirs."""
    snapshot = known.snapshot
    table, mask = snapshot.table, allowed(known, rules)
    # Taken once: the catalog may change meanwhile.
    codes = np.where(mask, table.columns.category[: len(mask)], -1)
    counts = np.bincount(codes[codes >= 0], minlength=len(table.categories))
    shown = np.argsort(-counts, kind="stable")[:CATEGORIES].tolist()
    categories = [
        {
            "category": table.categories[code],
            "items": int(counts[code]),
            "image": _picture(known, codes, code),
        }
        for code in shown
        if counts[code]
    ]
    cards = b",".join(b"{%b}" % table.fragments[at] for at in snapshot.prepared.survey().samples(mask))
    return Asked(
        b'{"request_id":%b,"user_id":%b,"choose":%d,"categories":%b,"items":[%b],"stars":[1,5]}'
        % (_encode(request_id), _encode(user_id), min(CHOOSE, len(categories)), _encode(categories), cards)
    )


def _chosen(user: Features, known: Known) -> list[int]:
    """Codes of the categories that the user's clicks, and before them the survey, speak of."""
    find = known.snapshot.table.category_code
    clicked = known.categories if user.interaction_count else ()
    codes = [*clicked, *map(find, user.preferred)]
    return list(dict.fromkeys(code for code in codes if code >= 0))


def _different(known: Known, position: int) -> PooledItem:
    """An item that explores: nothing was computed for it."""
    table = known.snapshot.table
    code = int(table.columns.category[position])
    because = table.categories[code] if code >= 0 else ""
    return PooledItem(table.ids[position], 0.0, {VARIETY: 0.0}, VARIETY, because)


def _picture(known: Known, codes: IntArray, code: int) -> str:
    """The picture of a category: that of its most popular item. codes: of all items that may be shown."""
    snapshot = known.snapshot
    table = snapshot.table
    popular = snapshot.popular(code)
    popular = popular[popular < len(codes)]
    there = popular[codes[popular] == code]
    at = int(there[0]) if len(there) else int(np.flatnonzero(codes == code)[0])
    item = table.items[at]
    return (item.image if item is not None else None) or f"/images/{quote(table.ids[at], safe='')}.svg"
