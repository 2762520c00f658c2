"""The answers to the survey: checked, then one event in the log (flow 9)."""

from collections.abc import Mapping, Sequence

from shortlist.catalog.table import ItemTable
from shortlist.errors import ShortlistError
from shortlist.events.event import Event, EventType
from shortlist.features.store import Features

MOST_CATEGORIES = 20
MOST_RATINGS = 20
LEAST_STARS, MOST_STARS = 1.0, 5.0
LIKED = 4.0  # stars from which a rated item is taste
DISLIKED = 2.0  # stars up to which it is none, and does not come


class AnswersInvalid(ShortlistError):
    """An answer to the survey cannot be: the message names it, and what it may be; nothing was kept."""


def preferences(
    *,
    user_id: str,
    categories: Sequence[str],
    ratings: Mapping[str, float],
    skipped: bool,
    table: ItemTable,
    event_id: str,
    now_ms: int,
) -> Event:
    """The event of these answers. Raises AnswersInvalid naming what the shop does not have.

    The ratings stay with the answer: they are no interactions, since nobody used what they rated, so that a
    kettle that looks nice may come, and the tenth click is still the tenth interaction."""
    if skipped:
        if categories or ratings:
            raise AnswersInvalid("skipped: a skipped survey has no categories and no ratings")
    elif not 1 <= len(categories) <= MOST_CATEGORIES:
        raise AnswersInvalid(
            f"categories: {len(categories)} of them; choose 1 to {MOST_CATEGORIES}, or send skipped: true"
        )
    if len(ratings) > MOST_RATINGS:
        raise AnswersInvalid(f"ratings: {len(ratings)} of them, at most {MOST_RATINGS}")
    unknown = [name for name in categories if table.category_code(name) < 0]
    if unknown:
        raise AnswersInvalid(f"categories: no category {_named(unknown)}; GET /categories lists them")
    missing = [item_id for item_id in ratings if _item(table, item_id) is None]
    if missing:
        raise AnswersInvalid(f"ratings: no item {_named(missing)}; rate items of the survey")
    wrong = [i for i, stars in ratings.items() if not LEAST_STARS <= stars <= MOST_STARS]
    if wrong:
        raise AnswersInvalid(f"ratings: {_named(wrong)} must have 1 to 5 stars")
    return Event(
        event_id=event_id,
        user_id=user_id,
        type=EventType.PREFERENCES,
        item_id="",
        ts=now_ms,
        categories=tuple(dict.fromkeys(categories)),
        ratings=dict(ratings),
    )


def liked(user: Features) -> list[str]:
    """Sample items that the user rated well."""
    return [item_id for item_id, stars in user.stars.items() if stars >= LIKED]


def disliked(user: Features) -> list[str]:
    """Sample items that the user rated badly, unless they came to like them: the later word counts."""
    since = {seen.item_id for seen in user.history if seen.ts > user.answered_ts and seen.type != "view"}
    return [item_id for item_id, stars in user.stars.items() if stars <= DISLIKED and item_id not in since]


def _item(table: ItemTable, item_id: str) -> object | None:
    position = table.position(item_id)
    return table.items[position] if position >= 0 else None


def _named(names: Sequence[str]) -> str:
    shown = ", ".join(repr(name[:80]) for name in names[:5])
    return shown if len(names) <= 5 else f"{shown} and {len(names) - 5} more"
