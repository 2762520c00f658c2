"""What the same request would get today: today's model, catalog, rules and settings, and the past of then."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec
from msgspec import Struct

from shortlist.catalog.rule import Rule
from shortlist.ranking.chain import inline
from shortlist.serving.inputs import SECTIONS, Inputs, rules_of
from shortlist.serving.known import applied
from shortlist.serving.pool import cut
from shortlist.serving.recommend import Recommender, category_code
from shortlist.serving.remade import OneUser, Past
from shortlist.serving.snapshot import Snapshot
from shortlist.serving.trace import SlateRecord
from shortlist.serving.why import filters
from shortlist.settings import Settings


class Shift(Struct, frozen=True):
    """An item that is in one of the two slates. Places count from 1; 0: not in it. Scores are of the pools.

    why: what keeps it out today, if it is a filter or that nobody proposes it."""

    item_id: str
    was: int
    now: int
    was_score: float | None
    now_score: float | None
    why: str = ""


class Today(Struct, frozen=True):
    """The two slates side by side. moved: how many places have another item.

    model_was, model_now: versions. settings: those that changed, by name: then and now. rules_gone,
    rules_came, rules_changed: of the operator's rules that apply to such a request."""

    model_was: str
    model_now: str
    moved: int
    items: list[Shift]
    settings: dict[str, tuple[Any, Any]] = {}
    rules_gone: list[str] = []
    rules_came: list[str] = []
    rules_changed: list[str] = []


def today(
    slate: SlateRecord,
    was: Mapping[str, float],
    inputs: Inputs,
    then: Settings,
    user: tuple[Past, str, int],
    now: Snapshot,
    settings: Settings,
    now_ms: Callable[[], int],
    attributes: Callable[[str], Mapping[str, Any]],
) -> Today:
    """was: scores of the pool of then. user: the features of then, and whose they are, at which version.

    New items that are tried out have no part in it: who sees them changes by the hour. Raises InputGone."""
    past, user_id, version = user
    recommender = Recommender(OneUser(past, user_id, version), settings, now_ms, attributes)
    steps = recommender.pool(user_id, slate.context, slate.category, now, slate.request_id, slate.filter)
    pool, known = inline(steps)
    code = category_code(slate.category, now)
    made = cut(
        pool,
        known,
        settings.rules,
        slate.limit,
        slate.page,
        exclude=slate.cut.exclude if slate.cut is not None else (),
        after=slate.cut.after if slate.cut is not None else (),
        category=code,
        context=slate.context,
        where=slate.filter,
    )
    ids = [item.item_id for item in made.items]
    scores = {item.item_id: item.score for item in pool.items}
    places = {item_id: place for place, item_id in enumerate(ids, 1)}
    features = past.features(user_id, version, now_ms())
    shifts = []
    for place, item_id in enumerate(slate.items, 1):
        why = "" if item_id in places else "; ".join(filters(item_id, features, now, settings))
        if item_id not in places and not why:
            why = "other items rank above it" if item_id in scores else "nobody proposes it now"
        shifts.append(
            Shift(item_id, place, places.get(item_id, 0), was.get(item_id), scores.get(item_id), why)
        )
    shifts += [
        Shift(item_id, 0, place, was.get(item_id), scores.get(item_id))
        for item_id, place in places.items()
        if item_id not in slate.items
    ]
    rules = rules_of(applied(known, settings.rules, code, slate.context), now)
    return Today(
        model_was=slate.model,
        model_now=now.model_version,
        moved=sum(old != new for old, new in zip(slate.items, ids, strict=False))
        + abs(len(slate.items) - len(ids)),
        items=shifts,
        settings=_changed(then, settings),
        **_compared(inputs.rules, rules),
    )


def _changed(then: Settings, now: Settings) -> dict[str, tuple[Any, Any]]:
    found: dict[str, tuple[Any, Any]] = {}
    for section in SECTIONS:
        was, is_now = (msgspec.structs.asdict(getattr(one, section)) for one in (then, now))
        found |= {f"{section}.{key}": (was[key], is_now[key]) for key in was if was[key] != is_now[key]}
    return found


def _compared(was: Sequence[Rule], now: Sequence[Rule]) -> dict[str, list[str]]:
    before, after = ({rule.id: rule for rule in rules} for rules in (was, now))
    return {
        "rules_gone": sorted(before.keys() - after.keys()),
        "rules_came": sorted(after.keys() - before.keys()),
        "rules_changed": sorted(name for name in before.keys() & after.keys() if before[name] != after[name]),
    }
