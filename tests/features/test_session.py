"""Sessions in training are numbered as the fold numbers them."""

from hypothesis import given, settings
from hypothesis import strategies as st

from shortlist.events.event import INTERACTIONS, Event, EventType
from shortlist.features.fold import fold
from shortlist.features.session import SessionNumbers
from shortlist.features.store import Features
from shortlist.features.view import user_view
from shortlist.settings import Settings
from tests.features.made import START_MS, events


@settings(max_examples=60, deadline=None)
@given(st.lists(events().filter(lambda event: event.type is not EventType.MERGE), max_size=50))
def test_training_numbers_sessions_as_the_fold_does(happened: list[Event]) -> None:
    view = user_view(Settings())
    numbers, users = SessionNumbers(1_800.0), dict[str, Features]()
    for offset, event in enumerate(happened):
        features = users.setdefault(event.user_id, Features())
        fold(features, event, offset=offset, appended_ms=START_MS, view=view)
        if event.type in INTERACTIONS:
            assert numbers.number(event.user_id, event.ts, event.session_id) == features.session_number
