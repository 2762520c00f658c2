"""How a slate came about, in lines for a terminal."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from shortlist.serving.explained import Explained, ItemTold, PoolTold
    from shortlist.serving.remade import Replay
    from shortlist.serving.today import Today

WIDE = 34  # characters of a title
PAST = 5  # last interactions that are told
SHOWN = 8  # items left out, and places that differ


def told(answer: "Explained") -> list[str]:
    """All of it, a line each."""
    return [
        *_head(answer),
        *_items(answer),
        *_left_out(answer),
        *_replay(answer.replay),
        *_today(answer.today),
    ]


def _when(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _head(answer: "Explained") -> Iterator[str]:
    who = answer.user_id if answer.user_id is not None else "nobody in particular"
    asked = [f"in {answer.context}", f"page {answer.page}, {answer.limit} to a page"]
    asked += [f"of {answer.category}"] * bool(answer.category) + [f"where {answer.filter}"] * bool(
        answer.filter
    )
    yield f"{answer.request_id}: for {who}, {_when(answer.served_ms)}, {', '.join(asked)}"
    if answer.route:
        yield f"  It was a list of /{answer.route}, which has no pool."
    elif answer.pool is None:
        yield "  The record of its pool is not in the log any more: scores and sources are not known."
    else:
        yield from _pool(answer, answer.pool)
    if answer.past:
        steps = ", ".join(f"{step.type} “{step.title}”" for step in answer.past[:PAST])
        yield f"  Last before it: {steps}"


def _pool(answer: "Explained", pool: "PoolTold") -> Iterator[str]:
    yield (
        f"  Answered by {answer.tier}; its pool {pool.trace_id} was made {_when(pool.made_ms)} by model "
        f"{pool.model_version or '(none)'}: {pool.candidates} candidates scored, {pool.items} kept."
    )
    yield (
        f"  Features of version {pool.user_version} ({pool.interaction_count} interactions), "
        f"catalog of version {pool.catalog_version}."
    )
    if pool.missing:
        yield "  Without " + ", ".join(f"{name} ({why})" for name, why in pool.missing.items()) + "."
    for rule in pool.written:
        how = f" × {rule.factor:g}" if rule.factor else f" at place {rule.position}" if rule.position else ""
        yield f"  Rule {rule.id}: {rule.action}{how} where {rule.where}"


def _items(answer: "Explained") -> Iterator[str]:
    yield f"  {'':>2}  {'item':<{WIDE}} {'score':>8}  {'rank':>4}  why"
    for item in answer.items:
        title = item.title if len(item.title) <= WIDE else item.title[: WIDE - 1] + "…"
        rank = str(item.place) if item.place else "–"
        yield f"  {item.position + 1:>2}  {title:<{WIDE}} {item.score:>8.4f}  {rank:>4}  {_why(item)}"


def _why(item: "ItemTold") -> str:
    said = [item.reason] if item.reason else []
    if item.propensity is not None:
        said.append(f"drawn among {len(item.candidates)} new items, propensity {item.propensity:.3g}")
    if item.pinned_by:
        said.append(f"pinned by rule {item.pinned_by}")
    if item.factor != 1.0:
        said.append(f"rules × {item.factor:g}")
    sources = ", ".join(f"{name} {score:.4g}" for name, score in item.sources.items())
    return "; ".join(said) + (f"  [{sources}]" if sources else "")


def _left_out(answer: "Explained") -> Iterator[str]:
    if not answer.left_out:
        return
    yield "  Ranked as high and not shown:"
    for out in answer.left_out[:SHOWN]:
        yield f"    {out.place:>3}. {out.title}: {out.why}"
    if len(answer.left_out) > SHOWN:
        yield f"    and {len(answer.left_out) - SHOWN} more"


def _replay(replay: "Replay | None") -> Iterator[str]:
    if replay is None:
        return
    words = {"equal": "equal, bit for bit", "named": "an input is gone", "differs": "DIFFERS"}
    yield f"  Made again in {replay.took_ms:.0f} ms: {words[replay.verdict]}."
    for name, part in (("pool", replay.pool), ("slate", replay.slate)):
        yield f"    {name}: {words[part.verdict]}" + (f", {part.items} items" if part.items else "")
        for missing in part.missing:
            yield f"      {missing.input}: {missing.why}"
        for one in part.differences[:SHOWN]:
            was, now = (
                f"{of} {score or ''}" for of, score in ((one.was, one.was_score), (one.now, one.now_score))
            )
            yield f"      place {one.place}: was {was}, is {now}"


def _today(today: "Today | None") -> Iterator[str]:
    if today is None:
        return
    yield (
        f"  Today, with model {today.model_now} (then {today.model_was}), "
        f"{today.moved} places have another item."
    )
    for name, (was, now) in today.settings.items():
        yield f"    setting {name}: {was} then, {now} now"
    for word, ids in (
        ("gone", today.rules_gone),
        ("new", today.rules_came),
        ("changed", today.rules_changed),
    ):
        if ids:
            yield f"    rules {word}: {', '.join(ids)}"
    for shift in today.items:
        if shift.was != shift.now:
            was, now = (str(place) if place else "–" for place in (shift.was, shift.now))
            yield f"    {shift.item_id}: {was} → {now}" + (f" ({shift.why})" if shift.why else "")
