"""A trace in words and figures: what a support engineer, or a program, is told of one slate."""

from collections.abc import Sequence

from msgspec import Struct

from shortlist.catalog.rule import Rule
from shortlist.catalog.table import ItemTable
from shortlist.features.store import Features
from shortlist.serving.cache import PooledItem
from shortlist.serving.effects import LeftOut
from shortlist.serving.inputs import unpacked
from shortlist.serving.reasons import words
from shortlist.serving.remade import Replay
from shortlist.serving.today import Today
from shortlist.serving.trace import Trace

PAST = 20  # last interactions that are told


class ItemTold(Struct, frozen=True, omit_defaults=True):
    """One item of the slate. position: from 0. place: in the pool, from 1; 0: it was not in it.

    sources: raw score of each source that spoke for it, the strongest first. factor: by what the operator's
    rules multiplied its score. pinned_by: the rule that put it here. propensity, candidates, seed: where it
    won a place for new items, how likely that was, among whom, and what was drawn with. features: what the
    ranker saw, by name; with a replay only."""

    item_id: str
    title: str
    position: int
    score: float = 0.0
    place: int = 0
    reason: str = ""
    reason_code: str = ""
    sources: dict[str, float] = {}
    factor: float = 1.0
    pinned_by: str = ""
    propensity: float | None = None
    candidates: tuple[str, ...] = ()
    seed: str = ""
    features: dict[str, float] = {}


class Step(Struct, frozen=True, omit_defaults=True):
    """One interaction of the past that the slate was made from; ts in ms."""

    item_id: str
    title: str
    type: str
    ts: int


class PoolTold(Struct, frozen=True, omit_defaults=True):
    """The pool that a slate was cut from. how: miss, history or fallback. candidates: how many were scored.

    user_version: offset + 1 of the user's last event that counts in it. missing: sources that brought
    nothing, and why. rules: the operator's that applied; written: as they were, for services."""

    trace_id: str
    made_ms: int
    tier: str
    model_version: str
    catalog_version: int
    user_version: int
    interaction_count: int
    items: int
    how: str = ""
    candidates: int = 0
    missing: dict[str, str] = {}
    rules: list[str] = []
    written: list[Rule] = []


class Explained(Struct, frozen=True, omit_defaults=True):
    """How one slate came about. pool: None where its record is gone, or where it never had one (`route`).

    past: the last interactions it was made from, the newest first. left_out: with a replay only. replay,
    today: where they were asked for."""

    request_id: str
    served_ms: int
    user_id: str | None
    tier: str
    context: str
    page: int
    limit: int
    items: list[ItemTold]
    category: str = ""
    filter: str = ""
    route: str = ""
    cut_user_version: int = 0
    cut_catalog_version: int = 0
    pool: PoolTold | None = None
    past: list[Step] = []
    left_out: list[LeftOut] = []
    replay: Replay | None = None
    today: Today | None = None


def explained(
    trace: Trace,
    table: ItemTable,
    *,
    user: Features | None = None,
    left_out: Sequence[LeftOut] = (),
    features: dict[str, dict[str, float]] | None = None,
    replay: Replay | None = None,
    today: Today | None = None,
    is_shop: bool = True,
) -> Explained:
    """Put a trace into words. table: for titles. user: the features of then, where the log still has them.

    features: by item, what the ranker saw. is_shop: whether who asks may read the operator's rules."""
    slate, pool = trace.slate, trace.pool
    places = {item.item_id: place for place, item in enumerate(pool.items, 1)} if pool is not None else {}
    explored = {one.position: one for one in slate.explored}
    items = []
    for position, item_id in enumerate(slate.items):
        pooled = pool.items[places[item_id] - 1] if pool is not None and item_id in places else None
        new = explored.get(position)
        pinned_by = slate.pinned.get(item_id, "")
        score = slate.scores[position] if position < len(slate.scores) else pooled.score if pooled else 0.0
        code = "pinned" if pinned_by else "new" if new else pooled.reason if pooled else ""
        items.append(
            ItemTold(
                item_id=item_id,
                title=title_of(item_id, table),
                position=position,
                score=score,
                place=places.get(item_id, 0),
                reason=_reason(code, pooled, table),
                reason_code=code,
                sources=pooled.sources if pooled is not None else {},
                factor=pool.factors.get(item_id, 1.0) if pool is not None else 1.0,
                pinned_by=pinned_by,
                propensity=new.propensity if new is not None else None,
                candidates=new.candidates if new is not None else (),
                seed=new.seed if new is not None else "",
                features=(features or {}).get(item_id, {}),
            )
        )
    return Explained(
        request_id=slate.request_id,
        served_ms=slate.ts,
        user_id=slate.user_id,
        tier=slate.tier,
        context=slate.context,
        page=slate.page,
        limit=slate.limit,
        items=items,
        category=slate.category,
        filter=slate.filter,
        route=slate.route,
        cut_user_version=slate.cut.user if slate.cut is not None else 0,
        cut_catalog_version=slate.cut.catalog if slate.cut is not None else 0,
        pool=_pool(trace, is_shop),
        past=_past(user, table) if user is not None else [],
        left_out=list(left_out),
        replay=replay,
        today=today,
    )


def title_of(item_id: str, table: ItemTable) -> str:
    """The title of an item today; its id where it has none."""
    at = table.position(item_id)
    item = table.items[at] if at >= 0 else None
    return item.title if item is not None and item.title else item_id


def _reason(code: str, pooled: PooledItem | None, table: ItemTable) -> str:
    if not code:
        return ""
    is_own = pooled is not None and pooled.reason == code
    return words(code, pooled.because if is_own and pooled is not None else "", table)


def _pool(trace: Trace, is_shop: bool) -> PoolTold | None:
    pool = trace.pool
    if pool is None:
        return None
    inputs = pool.inputs
    return PoolTold(
        trace_id=pool.trace_id,
        made_ms=pool.made_ms,
        tier=pool.tier,
        model_version=pool.model_version,
        catalog_version=pool.catalog_version,
        user_version=pool.user_version,
        interaction_count=pool.interaction_count,
        items=len(pool.items),
        how=inputs.how if inputs is not None else "",
        candidates=len(unpacked(inputs.candidates)) if inputs is not None else 0,
        missing=pool.missing,
        rules=list(pool.rules),
        written=list(inputs.rules) if inputs is not None and is_shop else [],
    )


def _past(user: Features, table: ItemTable) -> list[Step]:
    last = user.history[-PAST:][::-1]
    return [Step(seen.item_id, title_of(seen.item_id, table), seen.type, seen.ts) for seen in last]
