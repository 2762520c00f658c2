"""Who sees which new item: shares that grow and never move, draws whose propensity is what happens."""

from collections import Counter
from collections.abc import Collection

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shortlist.catalog.item import Item
from shortlist.catalog.store import Change
from shortlist.catalog.table import ItemTable
from shortlist.coldstart.exploration import PROMOTED, RETIRED, Exploration, places
from shortlist.settings import ExplorationSettings


class Known:
    """A ledger by hand."""

    def __init__(self) -> None:
        self.impressions: Counter[tuple[str, str]] = Counter()
        self.verdicts: dict[str, str] = {}
        self.new: Collection[str] = ()

    def seen(self, item_id: str, user_id: str) -> int:
        return self.impressions[item_id, user_id]

    def verdict(self, item_id: str) -> str:
        return self.verdicts.get(item_id, "")

    def watch(self, new: Collection[str]) -> None:
        self.new = new


def exploring(new: int, book: Known | None = None, old: int = 3, **changed: object) -> Exploration:
    """An exploration over a catalog of some old items and some new ones, n0, n1 …"""
    table = ItemTable(
        [Item(item_id=f"o{i}", title="old") for i in range(old)]
        + [Item(item_id=f"n{i}", title="new") for i in range(new)],
        1,
    )
    made = Exploration(ExplorationSettings(**changed), book or Known())  # type: ignore[arg-type]  # by name
    made.refresh(table, old)
    return made


def users_of(item_id: str, made: Exploration, users: int = 4_000) -> set[str]:
    return {f"u{n}" for n in range(users) if item_id in {i.item_id for i in made.trial.of(f"u{n}")}}


def test_an_item_gets_five_percent_of_users_and_keeps_them_when_it_gets_twenty() -> None:
    book = Known()
    made = exploring(2, book)
    few = users_of("n1", made)
    book.verdicts["n1"] = PROMOTED
    made.renew()
    many = users_of("n1", made)
    assert few < many
    assert len(few) / 4_000 == pytest.approx(0.05, abs=0.015)  # four standard deviations
    assert len(many) / 4_000 == pytest.approx(0.20, abs=0.026)


@given(st.floats(0, 1), st.floats(0, 1), st.text(min_size=1), st.text(max_size=5))
@settings(max_examples=60)
def test_a_user_in_a_share_is_in_every_larger_one(one: float, other: float, user: str, salt: str) -> None:
    small, large = sorted((one, other))
    is_in = bool(exploring(1, share=small, salt=salt).trial.of(user))
    assert bool(exploring(1, share=large, salt=salt).trial.of(user)) >= is_in


def test_items_have_users_of_their_own_and_another_salt_draws_anew() -> None:
    made = exploring(2, share=0.2)
    both = users_of("n0", made) & users_of("n1", made)
    assert len(both) / 4_000 == pytest.approx(0.04, abs=0.013)  # as chance has it
    assert users_of("n0", made) != users_of("n0", exploring(2, share=0.2, salt="other"))


@given(st.integers(1, 12), st.integers(1, 4), st.text(min_size=1), st.integers(0, 9))
@settings(max_examples=60)
def test_propensities_sum_to_the_places_there_are(new: int, slots: int, user: str, seen: int) -> None:
    book = Known()
    book.impressions["n0", user] = seen
    made = exploring(new, book, share=1.0)
    candidates = made.candidates(user)
    drawn = made.draw(user, candidates, slots)
    assert len(drawn) == min(slots, len(candidates)) == len({d.item_id for d in drawn})
    for one in drawn:
        assert one.propensity * len(one.candidates) == pytest.approx(min(slots, len(candidates)))
        assert one.item_id in one.candidates


@pytest.mark.parametrize(("new", "slots"), [(3, 1), (5, 2), (2, 2)])
def test_an_item_is_drawn_as_often_as_its_propensity_says(new: int, slots: int) -> None:
    made = exploring(new, share=1.0)
    won, users = Counter[str](), 6_000
    said = 0.0
    for n in range(users):
        for one in made.draw(f"user {n}", made.candidates(f"user {n}"), slots):
            won[one.item_id] += 1
            said = one.propensity
    for n in range(new):
        # 4 standard deviations of a share over 6,000 users: 4 × sqrt(0.25 / 6,000) = 0.026 at most
        assert won[f"n{n}"] / users == pytest.approx(said, abs=0.026)


def test_a_draw_stays_the_same_until_one_of_its_items_is_seen() -> None:
    book = Known()
    made = exploring(8, book, share=1.0)
    first = made.draw("ann", made.candidates("ann"), 1)
    assert made.draw("ann", made.candidates("ann"), 1) == first
    winners = set()
    for n in range(8):
        book.impressions[f"n{n}", "ann"] = 2
        winners.add(made.draw("ann", made.candidates("ann"), 1)[0].item_id)
    assert len(winners) > 1


@given(st.integers(1, 6), st.integers(1, 4), st.integers(1, 30))
@settings(max_examples=60)
def test_nobody_is_given_an_item_more_often_than_the_cap(new: int, per_user: int, visits: int) -> None:
    book = Known()
    made = exploring(new, book, share=1.0, per_user=per_user)
    for _ in range(visits):
        for one in made.draw("ann", made.candidates("ann"), 1):
            book.impressions[one.item_id, "ann"] += 1
    assert max(book.impressions.values()) <= per_user
    assert sum(book.impressions.values()) == min(visits, new * per_user)


def test_what_retired_is_hidden_or_waits_its_turn_is_not_tried() -> None:
    book = Known()
    book.verdicts["n0"] = RETIRED
    made = exploring(4, book, items=2)
    assert [item.item_id for item in made.trial.items] == ["n1", "n2"]
    table = made._table
    assert table is not None
    table.apply(
        [
            Change(2, "n1", Item(item_id="n1", title="new", hidden=True)),
            Change(2, "n9", Item(item_id="n9", title="new")),
        ]
    )
    made.refresh(table, 3)
    assert [item.item_id for item in made.trial.items] == ["n2", "n3"]
    assert list(book.new) == ["n0", "n1", "n2", "n3", "n9"]


def test_what_only_events_speak_of_is_not_tried_until_something_is_said_of_it() -> None:
    made = exploring(1, Known())
    table = made._table
    assert table is not None
    table.apply([Change(2, "n5", Item(item_id="n5"))])
    made.refresh(table, 3)
    assert [item.item_id for item in made.trial.items] == ["n0"]
    table.apply([Change(3, "n5", Item(item_id="n5", categories=("Lamps",)))])
    made.refresh(table, 3)
    assert [item.item_id for item in made.trial.items] == ["n0", "n5"]


def test_after_a_training_there_is_nothing_left_to_watch() -> None:
    book = Known()
    made = exploring(2, book)
    assert book.new == ["n0", "n1"]
    items = [Item(item_id=item_id, title="one") for item_id in ("o0", "o1", "o2", "n0", "n1")]
    made.refresh(ItemTable(items, 2), 0)  # a model that is gone: nobody is forgotten for that
    assert book.new == ["n0", "n1"]
    made.refresh(ItemTable(items, 2), 5)
    assert book.new == []


def test_the_trial_stays_the_same_object_while_nothing_changes() -> None:
    made = exploring(2)
    trial = made.trial
    made.renew()
    assert made.trial is trial


def test_nothing_is_new_before_the_first_training_or_when_it_is_turned_off() -> None:
    assert not exploring(2, old=0).trial.items
    assert not exploring(2, enabled=False).trial.items


@given(st.integers(1, 100), st.integers(0, 5), st.integers(0, 4))
@settings(max_examples=60)
def test_places_lie_in_the_slate_and_keep_the_proportion(limit: int, new: int, trending: int) -> None:
    of_new, of_trending = places(limit, ExplorationSettings(new_slots=new, trending_slots=trending))
    both = of_new + of_trending
    assert len(set(both)) == len(both)
    assert all(0 < place < limit for place in both)
    if limit >= 10:
        assert (len(of_new), len(of_trending)) == (limit // 10 * new, limit // 10 * trending)
