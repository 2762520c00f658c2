"""The features a second time, written naively and apart from the fold: replay the log, count who differs.

Nothing here shares code with views, fold, session or dedup; only the schema of an event and of Features is
common. It is slow and keeps whole partitions in memory, on purpose: it should be plainly right.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from math import isclose
from typing import Any

import msgspec
from msgspec import Struct

from shortlist.events.event import INTERACTIONS, Event, EventType, readable
from shortlist.events.log import EVENTS, EventLog, RecordCorrupt, Stored
from shortlist.features.store import Features, FeatureStore, Ignored, Seen
from shortlist.progress import Report, silent
from shortlist.settings import Settings

STAGE = "Replaying the log"
_READ = 5_000


class Difference(Struct, frozen=True):
    """One feature of one user that is not what the log says."""

    user_id: str
    partition: int
    feature: str
    expected: Any
    stored: Any


class Verified(Struct, frozen=True):
    """What a verification found. `differing`: users with any difference; `differences`: the first few."""

    users: int
    records: int
    differing: int
    differences: list[Difference]


class Happened(Struct, frozen=True):
    """An event that counts, with what its record says."""

    event: Event
    offset: int
    appended_ms: int
    told_offset: int = -1  # of a guest's event that a merge tells: its offset in the guest's partition


def verify(
    events: EventLog, store: FeatureStore, settings: Settings, *, shown: int = 20, report: Report = silent
) -> Verified:
    """Compare the features of every user with a naive replay of the log up to the stored offsets.

    Beside a running owner it compares what one catch-up showed. shown: most differences listed."""
    begins = events.begins(EVENTS)  # the one catch-up: from here on, a reader's view stands still
    offsets = [store.offset(partition) for partition in range(len(begins))]
    total = max(1, sum(offsets) - sum(begins))
    users = records = differing = 0
    differences: list[Difference] = []
    for partition, offset in enumerate(offsets):
        started, copies = store.checkpointed(partition)
        expected = dict(copies)
        begin = max(begins[partition], started - settings.log.dedup_window)
        found = list(_read(events, partition, begin, offset))
        records += len(found)
        past = naive_past(found, started, store.forgotten(partition), settings.log.dedup_window)
        for user_id, happened in past.items():
            expected[user_id] = naive_features(happened, settings, expected.get(user_id, Features()))
        stored = dict(store.users(partition))
        for user_id in sorted(expected.keys() | stored.keys()):
            users += 1
            wrong = differ(expected.get(user_id, Features()), stored.get(user_id, Features()))
            differing += bool(wrong)
            for feature, right, is_now in wrong[: max(0, shown - len(differences))]:
                differences.append(Difference(user_id, partition, feature, right, is_now))
        report(STAGE, min(1.0, records / total))
    report(STAGE, 1.0)
    return Verified(users, records, differing, differences)


def naive_past(
    found: Sequence[Stored], start: int, forgotten: dict[str, int], window: int
) -> dict[str, list[Happened]]:
    """Every user's events from offset `start` on, in log order, without repeats and what was deleted."""
    last_seen: dict[tuple[str, str], int] = {}
    past: dict[str, list[Happened]] = defaultdict(list)
    for record in found:
        event = readable(record.value)
        if event is None:
            continue
        user_id = event.user_id

        def repeats(event_id: str, user_id: str = user_id, at: int = record.offset) -> bool:
            before = last_seen.get((user_id, event_id))
            last_seen[user_id, event_id] = at
            return before is not None and before >= at - window

        if repeats(event.event_id):
            continue
        told = []
        if event.type == EventType.MERGE:
            told = [
                one
                for one in event.past
                if one.event.type not in (EventType.MERGE, EventType.LOGIN, EventType.IMPRESSION)
                and not repeats(one.event.event_id)
            ]
        if record.offset < start or record.offset < forgotten.get(user_id, 0):
            continue
        past[user_id].append(Happened(event, record.offset, record.appended_ms))
        past[user_id] += [Happened(t.event, record.offset, record.appended_ms, t.offset) for t in told]
    return past


def naive_features(happened: list[Happened], settings: Settings, base: Features) -> Features:
    """What the features are after `happened`, when they were `base` before."""
    chosen = settings.features
    happened, merged = _merged(happened, base)
    interactions = [h for h in happened if h.event.type in INTERACTIONS]
    acted = [h.event.ts for h in happened if h.event.type != EventType.IMPRESSION]
    changing = [
        h
        for h in happened
        if h.event.type in INTERACTIONS
        or h.event.type in (EventType.DISLIKE, EventType.CANCEL, EventType.PREFERENCES, EventType.MERGE)
    ]
    answers = [h.event for h in happened if h.event.type == EventType.PREFERENCES]
    answer = max(reversed(answers), key=lambda event: event.ts, default=None)
    if answer is not None and answer.ts < base.answered_ts:
        answer = None
    logins = [h.event.became or "" for h in happened if h.event.type == EventType.LOGIN]
    era, is_expired = _era(happened, base, chosen.expire_days)
    kept = Features() if is_expired else base
    recent = [h for h in era if h.event.type in INTERACTIONS]
    sessions = _sessions(happened, settings, base)
    if recent:
        last = sessions[-1]
        session = (last["id"], last["start"], last["last"], last["count"])
    else:
        session = (kept.session_id, kept.session_start_ts, kept.session_last_ts, kept.session_count)
    seen = [
        Seen(h.event.item_id, h.event.type.value, h.event.ts, number)
        for number, h in ((s["number"], h) for s in sessions for h in s["events"])
    ]
    affinity, affinity_ts = _affinity(recent, settings, kept)
    ignored, tiring = _ignored(happened, settings, base)
    counts = Counter(base.counts) + Counter(h.event.type.value for h in happened)
    firsts = [ts for ts in [base.first_ts, *acted] if ts > 0]
    return Features(
        last_5=(kept.last_5 + [h.event.item_id for h in recent])[-5:],
        history=sorted(base.history + seen, key=lambda s: s.ts)[-chosen.history :],
        counts=dict(counts),
        interaction_count=base.interaction_count + len(interactions),
        first_ts=min(firsts, default=0),
        last_ts=max([base.last_ts, *acted]),
        affinity=affinity,
        affinity_ts=affinity_ts,
        purchased=_purchased(happened, base),
        consumed=_consumed(happened, base),
        disliked=_disliked(happened, base),
        session_id=session[0],
        session_number=sessions[-1]["number"] if sessions else base.session_number,
        session_start_ts=session[1],
        session_last_ts=session[2],
        session_count=session[3],
        appended_ms=max([base.appended_ms, *(h.appended_ms for h in happened)]),
        version=max([base.version, *(h.offset + 1 for h in happened)]),
        taste_version=max([base.taste_version, *(h.offset + 1 for h in [*changing, *tiring])]),
        preferred=base.preferred if answer is None else list(answer.categories),
        stars=base.stars if answer is None else answer.ratings,
        answered_ts=base.answered_ts if answer is None else answer.ts,
        merged=merged,
        ignored=ignored,
        became=next((name for name in [base.became, *logins] if name), ""),
    )


def differ(expected: Features, stored: Features) -> list[tuple[str, Any, Any]]:
    """What differs between two states: name, expected, stored. Sums may differ in their last digits."""
    wrong = []
    for name in Features.__struct_fields__:
        right, is_now = getattr(expected, name), getattr(stored, name)
        if name in ("affinity", "purchased"):
            same = right.keys() == is_now.keys() and all(
                isclose(right[key], is_now[key], rel_tol=1e-9, abs_tol=1e-12) for key in right
            )
        elif name == "ignored":
            same = right.keys() == is_now.keys() and all(
                right[key].ts == is_now[key].ts and isclose(right[key].shown, is_now[key].shown, rel_tol=1e-9)
                for key in right
            )
        else:
            same = right == is_now
        if not same:
            wrong.append((name, msgspec.to_builtins(right), msgspec.to_builtins(is_now)))
    return wrong


def _read(events: EventLog, partition: int, begin: int, end: int) -> Iterator[Stored]:
    while begin < end:
        try:
            batch = events.read(EVENTS, partition, begin, min(_READ, end - begin))
        except RecordCorrupt as corrupt:
            begin = corrupt.offset + 1
            continue
        if not batch:
            return
        yield from batch
        begin = batch[-1].offset + 1


def _merged(happened: list[Happened], base: Features) -> tuple[list[Happened], dict[str, int]]:
    """What counts of `happened`: of a guest's events only those behind the last that a merge told before; and
    how far each guest's events are told, for the 50 guests of the last merges."""
    merged, counts = list(base.merged.items()), []
    known = 0
    for h in happened:
        if h.event.type == EventType.MERGE:
            guest = h.event.guest or ""
            known = dict(merged).get(guest, 0)
            merged = [(name, offset) for name, offset in merged if name != guest] + [(guest, known)]
            merged = merged[-50:]
        elif h.told_offset >= 0:
            guest, told = merged[-1]
            merged[-1] = (guest, max(told, h.told_offset + 1))
            if h.told_offset < known:
                continue
        counts.append(h)
    return counts, dict(merged)


def _ignored(
    happened: list[Happened], settings: Settings, base: Features
) -> tuple[dict[str, Ignored], list[Happened]]:
    """Items shown since they were last interacted with, each impression halved per half-life until the item's
    latest; the 100 shown last. And the impressions with which an item had been shown in vain too often."""
    half_life = settings.features.fatigue_half_life_days * 86_400_000
    most = settings.features.fatigue_impressions
    shown = {item: [(i.ts, i.shown)] for item, i in base.ignored.items()}
    tiring = []
    latest = base.appended_ms

    def value(item: str) -> float:
        last = max(ts for ts, _ in shown[item])
        return sum(weight * float(0.5 ** ((last - ts) / half_life)) for ts, weight in shown[item])

    for h in happened:
        if latest and h.appended_ms - latest > int(settings.features.expire_days * 86_400_000):
            shown = {}
        latest = max(latest, h.appended_ms)
        item = h.event.item_id
        if h.event.type == EventType.IMPRESSION:
            shown.setdefault(item, []).append((h.event.ts, 1.0))
            if len(shown) > 100:
                del shown[min(shown, key=lambda item: (max(ts for ts, _ in shown[item]), item))]
            if most > 0 and item in shown:
                times = round(value(item), 6)
                if times // most > round(times - 1, 6) // most:
                    tiring.append(h)
        elif h.event.type in INTERACTIONS:
            shown.pop(item, None)
    return {item: Ignored(value(item), max(ts for ts, _ in shown[item])) for item in shown}, tiring


def _era(happened: list[Happened], base: Features, expire_days: float) -> tuple[list[Happened], bool]:
    """The events since the user was last away for so long that what expires was emptied, and whether ever."""
    era, is_expired = happened, False
    latest = base.appended_ms
    for index, h in enumerate(happened):
        if latest and h.appended_ms - latest > int(expire_days * 86_400_000):
            era, is_expired = happened[index:], True
        latest = max(latest, h.appended_ms)
    return era, is_expired


def _sessions(happened: list[Happened], settings: Settings, base: Features) -> list[dict[str, Any]]:
    """The sessions of the interactions, oldest first; the first may go on with the base's."""
    gap = int(settings.features.session_gap_s * 1000)
    away = int(settings.features.expire_days * 86_400_000)
    sessions: list[dict[str, Any]] = []
    going_on: dict[str, Any] | None = None
    if base.session_count:
        going_on = {
            "id": base.session_id,
            "number": base.session_number,
            "start": base.session_start_ts,
            "last": base.session_last_ts,
            "count": base.session_count,
            "events": [],
        }
    number = base.session_number
    latest_append = base.appended_ms
    for h in happened:
        if latest_append and h.appended_ms - latest_append > away:
            going_on = None
        latest_append = max(latest_append, h.appended_ms)
        if h.event.type not in INTERACTIONS:
            continue
        named = h.event.session_id or ""
        if (
            going_on is None
            or (named and going_on["id"] and named != going_on["id"])
            or h.event.ts > going_on["last"] + gap
        ):
            number += 1
            going_on = {"id": "", "number": number, "start": h.event.ts, "last": 0, "count": 0, "events": []}
        going_on["id"] = named or going_on["id"]
        going_on["last"] = max(going_on["last"], h.event.ts)
        going_on["count"] += 1
        going_on["events"].append(h)
        if not sessions or sessions[-1] is not going_on:
            sessions.append(going_on)
    return sessions


def _affinity(recent: list[Happened], settings: Settings, base: Features) -> tuple[dict[str, float], int]:
    """Each category's events, each worth its weight halved per half-life until the latest event's time."""
    half_life = settings.features.affinity_half_life_days * 86_400_000
    terms = {category: [(base.affinity_ts, weight)] for category, weight in base.affinity.items()}
    at = base.affinity_ts

    def value(category: str) -> float:
        return sum(weight * float(0.5 ** ((at - ts) / half_life)) for ts, weight in terms[category])

    for h in recent:
        weight = getattr(settings.weights, h.event.type.value)
        if h.event.category is None or weight <= 0:
            continue
        terms.setdefault(h.event.category, []).append((h.event.ts, weight))
        at = max(at, h.event.ts)
        if len(terms) > 100:
            del terms[min(terms, key=lambda category: (value(category), category))]
    return {category: value(category) for category in terms}, at


def _purchased(happened: list[Happened], base: Features) -> dict[str, float]:
    kept = dict(base.purchased)
    for h in happened:
        if h.event.type in (EventType.PURCHASE, EventType.CANCEL):
            quantity = h.event.quantity if h.event.quantity is not None else 1
            bought = quantity if h.event.type == EventType.PURCHASE else -quantity
            kept[h.event.item_id] = kept.get(h.event.item_id, 0) + bought
            if kept[h.event.item_id] <= 1e-9:
                del kept[h.event.item_id]
    return kept


def _consumed(happened: list[Happened], base: Features) -> dict[str, int]:
    rated = [(h.event.item_id, h.event.ts) for h in happened if h.event.type == EventType.RATING]
    times = defaultdict(list, {item: [ts] for item, ts in base.consumed.items()})
    for item, ts in rated:
        times[item].append(ts)
    return {item: max(all_of_it) for item, all_of_it in times.items()}


def _disliked(happened: list[Happened], base: Features) -> dict[str, int]:
    since = dict(base.disliked)
    for h in happened:
        item, ts = h.event.item_id, h.event.ts
        if h.event.type == EventType.DISLIKE:
            since[item] = max(ts, since.get(item, ts))
        if h.event.type in (EventType.LIKE, EventType.PURCHASE) and item in since and since[item] <= ts:
            del since[item]
    return since
