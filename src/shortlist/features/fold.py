"""Events in, feature values out: pure, and the definition of what every feature means."""

from shortlist.events.event import Event, EventType
from shortlist.features.store import Features
from shortlist.features.view import TASTE, FeatureView


def fold(features: Features, event: Event, *, offset: int, appended_ms: int, view: FeatureView) -> None:
    """Take one event, which is no repeat, into `features`, in place.

    offset, appended_ms: of its record. What expired before this record is emptied first."""
    expire(features, appended_ms, view)
    told = view.guests.news(features, event) if event.type is EventType.MERGE else ()
    for one in (event, *told):
        for add in view.steps[one.type]:
            add(features, one)
    if appended_ms > features.appended_ms:
        features.appended_ms = appended_ms
    features.version = offset + 1
    if event.type in TASTE or (
        event.type is EventType.IMPRESSION and view.fatigue.has_tired(features, event)
    ):
        features.taste_version = offset + 1


def expire(features: Features, now_ms: int, view: FeatureView) -> None:
    """Empty what lives only so long after the user's last append, when that time is over at `now_ms`."""
    if features.appended_ms and now_ms - features.appended_ms > view.expire_ms:
        for clear in view.expiring:
            clear(features)
