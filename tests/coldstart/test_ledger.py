"""What the ledger counts, and when it decides."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shortlist.coldstart.ledger import ExploredSlot, Ledger, ServedSlate
from shortlist.events.event import Event, EventType
from shortlist.settings import ExplorationSettings

NOW = 1_700_000_000_000
SETTINGS = ExplorationSettings()


def slate(number: int, item: str = "new", user: str = "", position: int = 8, ts: int = NOW) -> ServedSlate:
    explored = [ExploredSlot(item, position)] if item else []
    return ServedSlate(
        request_id=f"r{number}",
        ts=ts,
        user_id=user or f"u{number}",
        trace_id="t",
        context="browsing",
        explored=explored,
    )


def event(kind: str, number: int | None, item: str = "new", user: str = "", **more: object) -> Event:
    return Event(
        event_id=f"{kind}{number}",
        user_id=user or f"u{number}",
        type=EventType(kind),
        item_id=item,
        ts=int(more.pop("ts", NOW + 1_000)),  # type: ignore[call-overload]
        request_id=None if number is None else f"r{number}",
        **more,  # type: ignore[arg-type]
    )


def shown(ledger: Ledger, impressions: int, clicks: int, start: int = 0, item: str = "new") -> None:
    """The first `clicks` of so many slates are clicked."""
    for number in range(start, start + impressions):
        ledger.promise(slate(number, item), is_panel=False)
        if number < start + clicks:
            ledger.learn(event("click", number, item))
        ledger.learn(event("impression", number, item))


OF_A_THOUSAND = {40: "promoted", 38: "", 35: "", 23: "", 21: "retired", 0: "retired"}


@pytest.mark.parametrize(("clicks", "verdict"), OF_A_THOUSAND.items())
def test_a_thousand_impressions_decide_what_they_can(clicks: int, verdict: str) -> None:
    ledger = Ledger(SETTINGS)
    shown(ledger, 999, clicks)
    assert ledger.rows["new"].decision is None
    shown(ledger, 1, 0, start=999)
    decision = ledger.rows["new"].decision
    assert (decision.verdict if decision else "") == verdict
    assert ledger.fresh == ([decision] if decision else [])


def test_the_undecided_is_judged_again_after_another_thousand_and_no_sooner() -> None:
    ledger = Ledger(SETTINGS)
    shown(ledger, 1_000, 35)
    shown(ledger, 999, 50, start=1_000)
    assert ledger.rows["new"].decision is None
    shown(ledger, 1, 0, start=1_999)
    decision = ledger.rows["new"].decision
    assert decision is not None
    assert (decision.verdict, decision.impressions) == ("promoted", 2_000)


def test_at_the_limit_the_undecided_retires() -> None:
    ledger = Ledger(ExplorationSettings(impressions=100, limit=250))
    for start, impressions in ((0, 100), (100, 100), (200, 49)):
        shown(ledger, impressions, 3, start=start)
    assert ledger.rows["new"].decision is None
    shown(ledger, 1, 0, start=249)
    decision = ledger.rows["new"].decision
    assert decision is not None
    assert (decision.verdict, decision.why) == ("retired", "limit")


@given(
    st.lists(st.tuples(st.sampled_from(["impression", "click", "purchase"]), st.integers(0, 5)), max_size=40),
    st.randoms(),
)
@settings(max_examples=60)
def test_the_order_and_number_of_events_do_not_matter(
    happened: list[tuple[str, int]], shuffle: random.Random
) -> None:
    one, other = Ledger(SETTINGS), Ledger(SETTINGS)
    for number in range(6):
        one.promise(slate(number), is_panel=False)
        other.promise(slate(number), is_panel=False)
    for kind, number in happened:
        one.learn(event(kind, number))
    mixed = happened + happened[:5]
    shuffle.shuffle(mixed)
    for kind, number in mixed:
        other.learn(event(kind, number))
    row = one.row("new")
    assert row == other.row("new")
    assert row.clicks <= row.impressions <= row.served == 6
    assert row.impressions == len({n for kind, n in happened if kind != "purchase"})


def test_only_the_user_the_item_and_the_slate_that_were_served_count() -> None:
    ledger = Ledger(SETTINGS)
    ledger.promise(slate(1), is_panel=False)
    assert not ledger.learn(event("click", 2, user="u1"))  # another slate
    assert not ledger.learn(event("click", 1, item="other"))
    ledger.learn(event("click", 1, user="mallory"))
    ledger.learn(event("click", 1, ts=NOW + 25 * 3_600_000))  # a day later
    assert ledger.rows["new"].clicks == 0


def test_slates_that_share_a_request_id_are_one_for_each_user() -> None:
    ledger = Ledger(SETTINGS)
    for user in ("ann", "bob", "ann"):
        ledger.promise(slate(1, user=user), is_panel=False)
        ledger.learn(event("impression", 1, user=user))
        ledger.learn(event("click", 1, user="ann"))
    row = ledger.rows["new"]
    assert (row.served, row.impressions, row.clicks) == (2, 2, 1)
    for user in ("ann", "bob", "ann"):
        ledger.promise(slate(2, item="", user=user), is_panel=True)
        ledger.learn(event("impression", 2, item="a", user=user, position=0))
    assert ledger.shown[0] == 2


def test_a_purchase_without_a_slate_belongs_to_the_click_before_it() -> None:
    ledger = Ledger(SETTINGS)
    ledger.promise(slate(1), is_panel=False)
    assert not ledger.learn(event("purchase", None, user="u1"))
    ledger.learn(event("click", 1))
    assert ledger.learn(event("purchase", None, user="u1"))
    assert ledger.learn(event("purchase", None, user="u1"))
    assert ledger.rows["new"].purchases == 1


def test_what_a_place_would_have_brought_is_what_panel_slates_earn_there() -> None:
    ledger = Ledger(SETTINGS)
    shown(ledger, 100, 2)
    assert ledger.expected(ledger.rows["new"]) is None  # nobody saw such a place without a new item yet
    for number in range(1_000, 1_200):
        ledger.promise(slate(number, item=""), is_panel=True)
        ledger.learn(event("impression", number, item="old", position=8))
        if number < 1_010:
            ledger.learn(event("click", number, item="old", position=8))
    assert ledger.place_ctr(8) == 0.05
    assert ledger.expected(ledger.rows["new"]) == pytest.approx(0.05 * 100)


def test_slates_outside_the_panel_and_lists_of_other_kinds_say_nothing_of_a_place() -> None:
    ledger = Ledger(SETTINGS)
    ledger.promise(slate(1, item=""), is_panel=False)
    similar = ServedSlate(request_id="r2", ts=NOW, user_id="u2", route="similar")
    ledger.promise(similar, is_panel=True)
    assert not ledger.learn(event("impression", 1, position=0))
    assert not ledger.learn(event("impression", 2, position=0))


def test_memory_stays_bounded_and_old_slates_go() -> None:
    ledger = Ledger(SETTINGS, slots=50)
    shown(ledger, 80, 80)
    ledger.forget()
    assert len(ledger.slots) == len(ledger._clicked_by) == 50
    ledger.promise(slate(99, ts=NOW + 25 * 3_600_000), is_panel=False)
    ledger.forget()
    assert list(ledger.slots) == [("u99", "r99", "new")]
    assert ledger.rows["new"].clicks == 80
