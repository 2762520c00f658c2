"""New items in their places: of every ten in a slate, one new and one trending (flow 10)."""

from collections.abc import Sequence, Set
from dataclasses import dataclass, replace

import numpy as np

from shortlist.catalog.variants import barred, firsts
from shortlist.coldstart.exploration import Drawn, Exploration, Explored, Trial, places
from shortlist.retrieval.top import within
from shortlist.serving import fallback
from shortlist.serving.cache import PooledItem
from shortlist.serving.known import Known, allowed
from shortlist.serving.pool import Cut
from shortlist.serving.slate import BROWSING, NEW, TRENDING, Ask
from shortlist.serving.snapshot import TREND
from shortlist.settings import RuleSettings


@dataclass(frozen=True, slots=True)
class Placed:
    """A page with its new items. trial: what was tried out when it was made; None: such pages have none."""

    cut: Cut
    explored: tuple[Explored, ...] = ()
    trial: Trial | None = None


def takes_part(ask: Ask) -> bool:
    """Whether new items may come into the list that is asked for: the user's own."""
    return not ask.category and not ask.filter and ask.context == BROWSING


def placed(made: Cut, ask: Ask, known: Known, rules: RuleSettings, exploration: Exploration) -> Placed:
    """A page as it is shown: with new items, if it is the first of the user's own list and any may come.

    What the page shows anyway is no candidate, and what an operator pinned keeps its place. Pages after the
    first have none; what gave way on the first leads the second (`after` of `pool.cut`).
    """
    trial = exploration.trial
    if ask.page > 1 or not takes_part(ask):
        return Placed(made)
    candidates = exploration.candidates(ask.user_id)
    if not candidates:
        return Placed(made, trial=trial)
    table = known.snapshot.table
    mask = allowed(known, rules)
    if ask.exclude:
        mask[table.positions(ask.exclude)] = False
    free = mask.copy()
    barred(free, np.array(made.positions, np.int32), table.columns)
    at = [table.position(item.item_id) for item in candidates]
    able = [index for index, place in enumerate(at) if 0 <= place < len(free) and free[place]]
    # Of variants the first is tried out: two of them would be one item shown twice.
    one_of_each = firsts(np.array([at[index] for index in able], np.int32), table.columns)
    candidates = [candidates[able[index]] for index in one_of_each.tolist()]
    fixed = {place for place, item in enumerate(made.items) if item.item_id in made.pinned}
    of_new, of_trending = (
        [place for place in some if place not in fixed] for some in places(ask.limit, exploration.settings)
    )
    drawn = exploration.draw(ask.user_id, candidates, len(of_new))
    if not drawn:
        return Placed(made, trial=trial)
    stay = made.positions[: len(made.positions) - len(drawn) - len(of_trending)]
    taken = {
        *stay,
        *(made.positions[place] for place in fixed),
        *(table.position(one.item_id) for one in drawn),
    }
    barred(mask, np.array(list(taken), np.int32), table.columns)
    trends = known.snapshot.trending(-1, TREND)
    trends = trends[within(trends, mask)]
    trending = trends[firsts(trends, table.columns)[: len(of_trending)]].tolist()
    return Placed(*_together(made, known, fixed, drawn, of_new, trending, of_trending), trial)


def _together(
    made: Cut,
    known: Known,
    fixed: Set[int],
    drawn: Sequence[Drawn],
    of_new: Sequence[int],
    trending: Sequence[int],
    of_trending: Sequence[int],
) -> tuple[Cut, tuple[Explored, ...]]:
    """The page with each in its place; the last of the user's own items give way."""
    snapshot, table = known.snapshot, known.snapshot.table
    items: list[PooledItem] = []
    positions: list[int] = []
    explored: list[Explored] = []
    own = iter([i for i, at in enumerate(made.positions) if at not in trending and i not in fixed])
    new, trends = iter(drawn), iter(trending)
    for place in range(len(made.items)):
        if place in fixed:
            items.append(made.items[place])
            positions.append(made.positions[place])
        elif place in of_new and (one := next(new, None)) is not None:
            items.append(PooledItem(one.item_id, 0.0, {"exploration": one.propensity}, NEW, ""))
            positions.append(table.position(one.item_id))
            explored.append(Explored(one.item_id, place, one.propensity, one.candidates, one.seed))
        elif place in of_trending and (at := next(trends, None)) is not None:
            items.append(fallback.pooled(snapshot, at, TRENDING))
            positions.append(at)
        else:
            index = next(own)
            items.append(made.items[index])
            positions.append(made.positions[index])
    # Where nothing was left for a second page, what gave way is one.
    next_page = made.next_page if next(own, None) is None else 2
    return replace(made, items=items, positions=positions, next_page=next_page), tuple(explored)
