"""Feature views: what is kept of every user, declared once, from which the fold is driven.

An aggregate owns some fields of `Features` and says which events move it and whether it expires. The fold,
the store and the docs read the declaration; only `verify` knows the features a second time, on purpose.
"""

from abc import ABC, abstractmethod
from bisect import bisect_right
from collections.abc import Callable, Mapping

from shortlist.events.event import INTERACTIONS, Event, EventType, told_again
from shortlist.features.session import is_new_session
from shortlist.features.store import Features, Ignored, Seen
from shortlist.settings import Settings

EVERYTHING = frozenset(EventType)
# Everything a user did; an impression is what the shop did.
ACTIONS = EVERYTHING - {EventType.IMPRESSION}
# What can reorder a slate: see `Features.taste_version`.
TASTE = INTERACTIONS | {EventType.DISLIKE, EventType.CANCEL, EventType.PREFERENCES, EventType.MERGE}

DAY_MS = 86_400_000
# Categories whose affinity is kept per user; a bound, not a tuning: people like fewer.
AFFINITIES = 100
# Guests whose mark is kept per user: devices on which somebody logged in.
GUESTS = 50
# Items shown in vain that are kept per user, the latest shown: as many as a cached pool holds. 3 kB.
IGNORED = 100


# The settings of features that change what is folded; see `FeatureView.declared`.
FOLDED = (
    "history",
    "session_gap_s",
    "expire_days",
    "affinity_half_life_days",
    "fatigue_half_life_days",
    "fatigue_impressions",
)


class Aggregate(ABC):
    """One kind of folding. `fields` of Features are its own: nothing else writes them."""

    fields: tuple[str, ...]
    types: frozenset[EventType]
    expires = False

    @abstractmethod
    def add(self, features: Features, event: Event) -> None:
        """Take `event`, whose type is one of `types`, into `features`."""

    def clear(self, features: Features) -> None:
        """Empty what expires."""
        raise NotImplementedError(f"{type(self).__name__} does not expire")

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(self.fields)})"


class CountByType(Aggregate):
    """`counts`: events by type."""

    fields = ("counts",)
    types = EVERYTHING

    def add(self, features: Features, event: Event) -> None:
        """One more of its type."""
        counts, name = features.counts, event.type._value_
        counts[name] = counts.get(name, 0) + 1


class Count(Aggregate):
    """`interaction_count`: how often the user interacted."""

    fields = ("interaction_count",)
    types = INTERACTIONS

    def add(self, features: Features, event: Event) -> None:
        """One more."""
        features.interaction_count += 1


class Span(Aggregate):
    """`first_ts`, `last_ts`: smallest and largest event time, so that `last_ts` never goes back. 0: none."""

    fields = ("first_ts", "last_ts")
    types = ACTIONS

    def add(self, features: Features, event: Event) -> None:
        """Widen the span to the event."""
        ts = event.ts
        if ts > features.last_ts:
            features.last_ts = ts
        if 0 < ts < features.first_ts or not features.first_ts:
            features.first_ts = ts


class Session(Aggregate):
    """`session_*`: the session that goes on. Its running number outlives it."""

    fields = ("session_id", "session_number", "session_start_ts", "session_last_ts", "session_count")
    types = INTERACTIONS
    expires = True

    def __init__(self, gap_s: float) -> None:
        self.gap_ms = int(gap_s * 1000)

    def add(self, features: Features, event: Event) -> None:
        """Go on with the session, or begin the next."""
        if is_new_session(
            count=features.session_count,
            current_id=features.session_id,
            last_ts=features.session_last_ts,
            ts=event.ts,
            session_id=event.session_id,
            gap_ms=self.gap_ms,
        ):
            features.session_number += 1
            features.session_id = ""
            features.session_start_ts = features.session_last_ts = event.ts
            features.session_count = 0
        features.session_count += 1
        if event.session_id:
            features.session_id = event.session_id
        if event.ts > features.session_last_ts:
            features.session_last_ts = event.ts

    def clear(self, features: Features) -> None:
        """No session goes on."""
        features.session_id = ""
        features.session_start_ts = features.session_last_ts = features.session_count = 0


class Last(Aggregate):
    """`last_5`: the last items by arrival, repeats kept: the flow's own FIFO."""

    fields = ("last_5",)
    types = INTERACTIONS
    expires = True

    def __init__(self, n: int) -> None:
        self.n = n

    def add(self, features: Features, event: Event) -> None:
        """In at the end, the oldest out."""
        last = features.last_5
        last.append(event.item_id)
        if len(last) > self.n:
            del last[0]

    def clear(self, features: Features) -> None:
        """None left."""
        features.last_5 = []


class History(Aggregate):
    """`history`: the last interactions by event time; equal times keep the order of arrival."""

    fields = ("history",)
    types = INTERACTIONS

    def __init__(self, n: int) -> None:
        self.n = n

    def add(self, features: Features, event: Event) -> None:
        """Insert where its time belongs; usually the end."""
        history = features.history
        seen = Seen(event.item_id, event.type._value_, event.ts, features.session_number)
        if not history or event.ts >= history[-1].ts:
            history.append(seen)
        else:
            history.insert(bisect_right(history, event.ts, key=_ts), seen)
        if len(history) > self.n:
            del history[: -self.n]


class DecayedSum(Aggregate):
    """`affinity`: weight by category at `affinity_ts`, the latest interaction's time; halves every half-life.

    A late event counts with what is left of it. Above `AFFINITIES` categories the weakest goes.
    """

    fields = ("affinity", "affinity_ts")
    types = INTERACTIONS
    expires = True

    def __init__(self, half_life_days: float, weights: Mapping[str, float]) -> None:
        self.half_life_ms = half_life_days * DAY_MS
        self.weights = weights

    def add(self, features: Features, event: Event) -> None:
        """Decay what is there to the event's time, or the event to what is there; then add."""
        weight = self.weights.get(event.type, 0.0)
        if event.category is None or weight <= 0:
            return
        affinity = features.affinity
        age_ms = event.ts - features.affinity_ts
        if age_ms > 0:
            if affinity:
                decay = 0.5 ** (age_ms / self.half_life_ms)
                for category in affinity:
                    affinity[category] *= decay
            features.affinity_ts = event.ts
        elif age_ms < 0:
            weight *= 0.5 ** (-age_ms / self.half_life_ms)
        affinity[event.category] = affinity.get(event.category, 0.0) + weight
        if len(affinity) > AFFINITIES:
            del affinity[min(affinity, key=lambda c: (affinity[c], c))]

    def clear(self, features: Features) -> None:
        """No taste left."""
        features.affinity = {}
        features.affinity_ts = 0


class Kept(Aggregate):
    """`purchased`: quantity bought by item, what was cancelled taken off; gone at nothing."""

    fields = ("purchased",)
    types = frozenset({EventType.PURCHASE, EventType.CANCEL})

    def add(self, features: Features, event: Event) -> None:
        """More for a purchase, less for a cancellation; one where the event names no quantity."""
        quantity = 1.0 if event.quantity is None else event.quantity
        signed = quantity if event.type is EventType.PURCHASE else -quantity
        left = features.purchased.get(event.item_id, 0.0) + signed
        if left > 1e-9:  # 0.1 + 0.2 - 0.3 is nothing
            features.purchased[event.item_id] = left
        else:
            features.purchased.pop(event.item_id, None)


class Consumed(Aggregate):
    """`consumed`: items rated, with the latest time of it."""

    fields = ("consumed",)
    types = frozenset({EventType.RATING})

    def add(self, features: Features, event: Event) -> None:
        """Rated, now or later than before."""
        consumed = features.consumed
        consumed[event.item_id] = max(event.ts, consumed.get(event.item_id, 0))


class Disliked(Aggregate):
    """`disliked`: items disliked and when; a like or purchase that is no older takes it back."""

    fields = ("disliked",)
    types = frozenset({EventType.DISLIKE, EventType.LIKE, EventType.PURCHASE})

    def add(self, features: Features, event: Event) -> None:
        """Set it, or take it back."""
        disliked, item, ts = features.disliked, event.item_id, event.ts
        if event.type is EventType.DISLIKE:
            disliked[item] = max(ts, disliked.get(item, 0))
        elif ts >= disliked.get(item, ts + 1):
            del disliked[item]


class Preferences(Aggregate):
    """`preferred`, `stars`, `answered_ts`: the latest answer to the survey, whole."""

    fields = ("preferred", "stars", "answered_ts")
    types = frozenset({EventType.PREFERENCES})

    def add(self, features: Features, event: Event) -> None:
        """It replaces an answer that is no younger."""
        if event.ts >= features.answered_ts:
            features.preferred, features.stars = list(event.categories), dict(event.ratings)
            features.answered_ts = event.ts


class Guests(Aggregate):
    """`merged`: guests who became this user, and up to which offset of theirs their events are in.

    A guest's next merge counts from there, however long ago the first was. Above `GUESTS` the one of the
    longest gone login goes.
    """

    fields = ("merged",)
    types = frozenset({EventType.MERGE})

    def news(self, features: Features, merge: Event) -> list[Event]:
        """The events of a merge, as the user's own, that no merge of this guest told before."""
        known = features.merged.get(merge.guest or "", 0)
        return [event for offset, event in told_again(merge) if offset >= known]

    def add(self, features: Features, event: Event) -> None:
        """Mark how far the guest's events are told."""
        merged, guest = features.merged, event.guest or ""
        known = merged.pop(guest, 0)  # put back at the end
        merged[guest] = max([known, *(offset + 1 for offset, _ in told_again(event))])
        if len(merged) > GUESTS:
            del merged[next(iter(merged))]


class Became(Aggregate):
    """`became`: the user who this guest is. The first login stands; a later one is somebody else."""

    fields = ("became",)
    types = frozenset({EventType.LOGIN})

    def add(self, features: Features, event: Event) -> None:
        """Take the first."""
        features.became = features.became or event.became or ""


class Fatigue(Aggregate):
    """`ignored`: impressions by item since the last interaction with it; each halves every half-life.

    Above `IGNORED` items the one shown longest ago goes.
    """

    fields = ("ignored",)
    types = INTERACTIONS | {EventType.IMPRESSION}
    expires = True

    def __init__(self, half_life_days: float, impressions: float) -> None:
        self.half_life_ms = half_life_days * DAY_MS
        self.impressions = impressions

    def add(self, features: Features, event: Event) -> None:
        """One more impression, or none any more."""
        ignored, item = features.ignored, event.item_id
        if event.type is not EventType.IMPRESSION:
            if ignored:
                ignored.pop(item, None)
            return
        before, ts = ignored.get(item), event.ts
        if before is None:
            ignored[item] = Ignored(1.0, ts)
        elif ts >= before.ts:
            ignored[item] = Ignored(before.shown * 0.5 ** ((ts - before.ts) / self.half_life_ms) + 1.0, ts)
        else:
            ignored[item] = Ignored(before.shown + 0.5 ** ((before.ts - ts) / self.half_life_ms), before.ts)
        if len(ignored) > IGNORED:
            del ignored[min(ignored, key=lambda i: (ignored[i].ts, i))]

    def has_tired(self, features: Features, event: Event) -> bool:
        """Whether this impression, which was just added, was one too many: the item's score halves now."""
        now = features.ignored.get(event.item_id)
        if now is None or self.impressions <= 0:
            return False
        # Rounded, so that five at one time are five on every way of adding them up.
        level = round(now.shown, 6) // self.impressions
        return level > round(now.shown - 1.0, 6) // self.impressions

    def clear(self, features: Features) -> None:
        """Nothing was shown."""
        features.ignored = {}


class FeatureView:
    """The aggregates of a user and their lifetime. Order matters: a session is known before its history."""

    def __init__(
        self, aggregates: list[Aggregate], *, expire_days: float, declared: Mapping[str, float]
    ) -> None:
        """declared: setting → value, of every setting that what is folded depends on."""
        self.aggregates = aggregates
        self.declared = declared
        self.guests = next(a for a in aggregates if isinstance(a, Guests))
        self.fatigue = next(a for a in aggregates if isinstance(a, Fatigue))
        self.expire_ms = int(expire_days * DAY_MS)
        self.expiring = [aggregate.clear for aggregate in aggregates if aggregate.expires]
        # What an event of each type has to run through, found once instead of for every event.
        self.steps: dict[EventType, list[Callable[[Features, Event], None]]] = {
            kind: [aggregate.add for aggregate in aggregates if kind in aggregate.types] for kind in EventType
        }


def user_view(settings: Settings) -> FeatureView:
    """What is kept of every user."""
    chosen = settings.features
    weights = settings.weights.by_type()
    return FeatureView(
        [
            CountByType(),
            Count(),
            Span(),
            Session(chosen.session_gap_s),
            Last(5),
            History(chosen.history),
            DecayedSum(chosen.affinity_half_life_days, weights),
            Kept(),
            Consumed(),
            Disliked(),
            Preferences(),
            Guests(),
            Became(),
            Fatigue(chosen.fatigue_half_life_days, chosen.fatigue_impressions),
        ],
        expire_days=chosen.expire_days,
        declared={
            **{f"features.{name}": float(getattr(chosen, name)) for name in FOLDED},
            **{f"weights.{name}": float(weight) for name, weight in weights.items()},
        },
    )


def _ts(seen: Seen) -> int:
    return seen.ts
