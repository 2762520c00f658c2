"""What training reads of a past is what the fold keeps of it."""

import asyncio
import itertools
from collections import defaultdict

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shortlist.events.event import Event, EventType, decode, encode
from shortlist.events.log import EVENTS, Record
from shortlist.features.dedup import Window, identity
from shortlist.features.fold import fold
from shortlist.features.store import Features
from shortlist.features.view import user_view
from shortlist.settings import Settings
from shortlist.training.clean import kept_quantities
from shortlist.training.history import TYPES, History, read_history
from shortlist.training.sessions import IS_INTERACTION, session_numbers
from tests.training.conftest import Shop

ITEMS = ["a", "b"]
MINUTE, DAY = 60_000, 86_400_000
examples = itertools.count()

steps = st.lists(
    st.tuples(
        st.sampled_from(["u", "u", "v"]),
        st.sampled_from([*[EventType.VIEW] * 5, *EventType]),
        st.sampled_from(["a", "b", "unknown"]),
        st.sampled_from(
            [0, 1_000, 1_000, 29 * MINUTE, 31 * MINUTE, -MINUTE, -40 * MINUTE]
        ),  # event time moves
        st.sampled_from([0, 0, 0, 0, 0, 0, MINUTE, 6 * DAY, 8 * DAY]),  # the log's clock moves
        st.sampled_from([None, None, "", "s1", "s1", "s2"]),
        st.sampled_from([None, 1.0, 2.0, 0.5]),
        st.booleans(),  # sent again
    ),
    min_size=15,
    max_size=40,
)


def folded(shop: Shop) -> dict[str, Features]:
    """Every user's features, by the fold itself."""
    view, users = user_view(Settings()), defaultdict[str, Features](Features)
    for partition, end in enumerate(shop.log.ends(EVENTS)):
        window = Window(10_000)
        for stored in shop.log.read(EVENTS, partition, 0, end):
            event = decode(stored.value)
            if not window.is_duplicate(identity(event), stored.offset):
                fold(
                    users[event.user_id],
                    event,
                    offset=stored.offset,
                    appended_ms=stored.appended_ms,
                    view=view,
                )
    return users


def seen(history: History, user: str) -> list[tuple[str, str, int, int]]:
    """Item, type, time and session of a user's interactions by time, as `Features.history` has them."""
    numbers = session_numbers(history, Settings().features)
    code = history.user_ids.index(user)
    rows = [r for r in range(len(history)) if history.users[r] == code and IS_INTERACTION[history.types[r]]]
    rows.sort(key=lambda r: history.ts_ms[r])
    return [
        (
            [*ITEMS, "unknown"][history.items[r]],
            TYPES[history.types[r]].value,
            int(history.ts_ms[r]),
            int(numbers[r]),
        )
        for r in rows
    ]


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps)
def test_sessions_and_purchases_are_those_of_the_fold(shop: Shop, steps: list) -> None:  # type: ignore[type-arg]
    example, ts = next(examples), shop.now_ms
    records: list[Record] = []  # that have the same time of append
    for number, (user, kind, item, moved, waited, session, quantity, again) in enumerate(steps):
        if waited:
            asyncio.run(shop.log.append(EVENTS, records))
            records = []
        ts += moved
        shop.now_ms += waited
        event = Event(
            event_id=str(number),
            user_id=f"{user}{example}",
            type=kind,
            item_id=item,
            ts=ts,
            session_id=session,
            quantity=quantity,
        )
        record = Record(event.user_id, encode(event))
        records += [record, record] if again else [record]
    asyncio.run(shop.log.append(EVENTS, records))

    history, truth = read_history(shop.log, ITEMS, 10_000), folded(shop)

    for user in {f"{step[0]}{example}" for step in steps}:
        kept = defaultdict[str, float](float)
        for row, quantity in enumerate(kept_quantities(history)):
            if history.user_ids[history.users[row]] == user and history.items[row] >= 0 and quantity > 0:
                kept[ITEMS[history.items[row]]] += quantity
        past = [(s.item_id, s.type, s.ts, s.session) for s in truth[user].history]
        assert seen(history, user) == past
        assert kept == {i: q for i, q in truth[user].purchased.items() if i in ITEMS}
