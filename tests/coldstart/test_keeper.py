"""The ledger is a fold of the log: it survives whatever the log survives, and counts nothing twice."""

import random
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import msgspec
import pytest

from shortlist.coldstart import keeper as keeping
from shortlist.coldstart.keeper import LedgerKeeper
from shortlist.coldstart.ledger import Ledger, Row
from shortlist.database import open_database
from shortlist.events.event import Event, EventType, encode
from shortlist.events.log import EVENTS, SERVED, Record
from shortlist.events.log_rocksdb import RocksLog
from shortlist.features.processor import Processor
from shortlist.features.store_rocksdb import RocksFeatures
from shortlist.features.view import user_view
from shortlist.home import Home
from shortlist.settings import ExplorationSettings, Settings
from tests.features.made import append

NOW = 1_700_000_000_000
PARTITIONS = 5
SETTINGS = Settings(exploration=ExplorationSettings(impressions=40, ctr=0.2, limit=400))


class Shop:
    """A log, features and a ledger of the items "new" and "poor"."""

    def __init__(self, log: RocksLog, store: RocksFeatures, home: Home) -> None:
        self.log, self.store, self.home = log, store, home
        self.now = NOW
        self.keeper = self.opened()
        self.processor = Processor(log, store, on_folded=[self.keeper.on_folded], batch=7)

    def opened(self) -> LedgerKeeper:
        made = LedgerKeeper(self.log, self.store, SETTINGS, file=self.home.exploration)
        made.watch(["new", "poor"])
        return made

    def serve(self, *numbers: int, item: str = "new") -> None:
        slates = [
            {
                "request_id": f"r{n}", "ts": self.now, "user_id": f"u{n}", "trace_id": "t", "page": 1,
                "context": "browsing", "category": "", "items": ["a", item],
                "explored": [{"item_id": item, "position": 1, "propensity": 1.0, "candidates": [item]}],
            }
            for n in numbers
        ]  # fmt: skip
        value = msgspec.json.encode({"kind": "slates", "slates": slates})
        append(self.log, SERVED, [Record(f"{numbers}", value)])

    def happen(self, *what: tuple[str, int], item: str = "new") -> None:
        events = [
            Event(
                event_id=f"{kind}-{n}-{item}", user_id=f"u{n}", type=EventType(kind), item_id=item,
                ts=self.now + 1, request_id=f"r{n}", position=1,
            )
            for kind, n in what
        ]  # fmt: skip
        append(self.log, EVENTS, [Record(event.user_id, encode(event)) for event in events])

    def fold(self) -> None:
        self.processor.fold_all()


Opened = Callable[[], AbstractContextManager[Shop]]


@pytest.fixture
def opened(home: Home) -> Opened:
    @contextmanager
    def opening() -> Iterator[Shop]:
        database = open_database(home)
        made: Shop | None = None
        log = RocksLog(
            database,
            {EVENTS: PARTITIONS, SERVED: 2},
            now_ms=lambda: NOW if made is None else made.now,
        )
        store = RocksFeatures(database, user_view(SETTINGS), partitions=PARTITIONS, dedup_window=50)
        try:
            made = Shop(log, store, home)
            yield made
        finally:
            log.close()
            database.close()

    return opening


@pytest.fixture
def shop(opened: Opened) -> Iterator[Shop]:
    with opened() as made:
        yield made


def row(keeper: LedgerKeeper, item: str = "new") -> Row:
    return keeper.read(lambda ledger: ledger.row(item))


def test_events_meet_the_slates_that_showed_the_item(shop: Shop) -> None:
    shop.serve(1, 2, 3)
    shop.happen(("impression", 1), ("click", 1), ("impression", 2), ("purchase", 1), ("impression", 1))
    shop.fold()
    shop.keeper.settle()
    known = row(shop.keeper)
    assert (known.served, known.impressions, known.clicks, known.purchases) == (3, 2, 1, 1)
    assert known.positions == {1: 2}
    assert shop.keeper.seen("new", "u1") == 1  # the repeat has the same event id
    assert shop.keeper.seen("new", "u3") == 0


def test_an_event_may_come_before_its_slate_is_in_the_log_but_not_much(shop: Shop) -> None:
    shop.happen(("impression", 1), ("click", 1))
    shop.fold()
    shop.keeper.settle()
    shop.serve(1)
    shop.keeper.settle()
    assert row(shop.keeper).clicks == 1
    shop.happen(("click", 2))
    shop.fold()
    for _ in range(keeping.CHANCES):
        shop.keeper.settle()
    assert not shop.keeper._waiting


def test_impressions_count_for_the_cap_at_once_and_wherever_they_were(shop: Shop) -> None:
    shop.happen(("impression", 9))  # of no slate with an explored place
    shop.fold()
    assert shop.keeper.seen("new", "u9") == 1
    shop.keeper.watch(["poor"])
    assert shop.keeper.seen("new", "u9") == 0


def test_without_room_to_count_nobody_new_is_shown_anything(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeping, "MOST_PAIRS", 1)
    shop.happen(("impression", 1), ("impression", 2))
    shop.fold()
    full = SETTINGS.exploration.per_user
    assert sorted(shop.keeper.seen("new", f"u{n}") for n in (1, 2, 3)) == [1, full, full]


def test_slates_count_for_the_cap_where_no_impressions_come(shop: Shop) -> None:
    told: list[str] = []
    shop.keeper.on_tired(told.extend)
    most = SETTINGS.exploration.per_user
    for n in range(keeping.UNREPORTED * most):
        assert shop.keeper.seen("new", "u1") == n // keeping.UNREPORTED < most
        shop.serve(1)
        shop.keeper.settle()
    assert shop.keeper.seen("new", "u1") == most
    assert told == ["u1"] * most
    assert row(shop.keeper).impressions == 0  # nothing is learned from what nobody reported


def test_slates_count_only_where_fewer_impressions_are_reported(shop: Shop) -> None:
    told: list[str] = []
    shop.keeper.on_tired(told.extend)
    for n in range(2):
        seen = Event(event_id=f"{n}", user_id="u1", type=EventType.IMPRESSION, item_id="new", ts=NOW)
        append(shop.log, EVENTS, [Record("u1", encode(seen))])
    for _ in range(2 * keeping.UNREPORTED):
        shop.serve(1)
    shop.fold()
    shop.keeper.settle()
    assert (shop.keeper.seen("new", "u1"), told) == (2, [])


def traffic(shop: Shop, rng: random.Random, visits: range) -> None:
    """Visits of 60 users; "new" is clicked at 60 %, "poor" never."""
    for n in visits:
        item = "new" if n % 2 else "poor"
        shop.serve(n, item=item)
        kinds = ["impression"] + ["click"] * (item == "new" and rng.random() < 0.6)
        shop.happen(*[(kind, n) for kind in kinds], item=item)


def ledger_of(keeper: LedgerKeeper) -> dict[str, tuple[int, int, int]]:
    def look(ledger: Ledger) -> dict[str, tuple[int, int, int]]:
        return {r.item_id: (r.served, r.impressions, r.clicks) for r in ledger.rows.values()}

    return keeper.read(look)


def test_a_lost_checkpoint_gives_the_same_ledger_with_the_decisions_that_were_made(opened: Opened) -> None:
    with opened() as shop:
        told: list[str] = []
        shop.keeper.on_decided(lambda: told.append(shop.keeper.verdict("new")))
        traffic(shop, random.Random(1), range(120))
        shop.fold()
        shop.keeper.settle()
        assert (shop.keeper.verdict("new"), shop.keeper.verdict("poor")) == ("promoted", "retired")
        assert "promoted" in told
        before, decided = ledger_of(shop.keeper), row(shop.keeper).decision
    with opened() as shop:
        assert not shop.home.exploration.exists()
        shop.keeper.replay()
        assert ledger_of(shop.keeper) == before
        assert row(shop.keeper).decision == decided


def test_a_lost_checkpoint_is_counted_anew_over_months(opened: Opened) -> None:
    with opened() as shop:
        for day in range(60):
            shop.now = NOW + day * 86_400_000
            shop.serve(day)
            shop.happen(("impression", day), ("impression", day), ("click", day))
            shop.fold()
            shop.keeper.settle()
        before, seen = ledger_of(shop.keeper), shop.keeper._seen
        assert before == {"new": (60, 60, 60)}
    with opened() as shop:
        shop.keeper.replay()
        assert ledger_of(shop.keeper) == before
        assert shop.keeper._seen == seen
        assert len(shop.keeper.ledger.slots) == 2  # those of the last day, as in a ledger that never stopped


def test_a_checkpoint_and_what_came_after_it_make_the_same_ledger_as_no_break(opened: Opened) -> None:
    rng = random.Random(2)
    with opened() as shop:
        traffic(shop, rng, range(50))
        shop.fold()
        shop.keeper.settle()
        shop.happen(("click", 50))  # waits for its slate over the restart
        shop.fold()
        shop.keeper.save()
        shop.serve(50)
        traffic(shop, rng, range(51, 80))
        shop.fold()  # and never saved
        shop.keeper.settle()
        expected, seen = ledger_of(shop.keeper), shop.keeper._seen
    with opened() as shop:
        shop.keeper.replay()
        assert ledger_of(shop.keeper) == expected
        assert shop.keeper._seen == seen
        assert shop.keeper._pairs == sum(map(len, seen.values()))


def test_a_checkpoint_of_another_log_is_not_believed(shop: Shop, home: Home) -> None:
    shop.serve(1)
    shop.happen(("impression", 1))
    shop.fold()
    shop.keeper.settle()
    shop.keeper.save()
    first, *rest = home.exploration.read_bytes().splitlines()
    saved = msgspec.json.decode(first)
    saved["events"][0] += 1_000
    home.exploration.write_bytes(b"\n".join([msgspec.json.encode(saved), *rest]))
    again = shop.opened()
    assert not again.ledger.rows
    again.replay()
    assert row(again).impressions == 1
    home.exploration.write_bytes(b"torn")
    assert not shop.opened().ledger.rows


def test_a_checkpoint_of_many_parts_is_whole(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeping, "AT_ONCE", 3)
    traffic(shop, random.Random(4), range(20))
    shop.fold()
    shop.keeper.settle()
    shop.keeper.save()
    again = shop.opened()
    assert len(shop.home.exploration.read_bytes().splitlines()) > 2 * 20 / 3
    assert (again._seen, again._pairs) == (shop.keeper._seen, shop.keeper._pairs)
    assert (again.ledger.slots, again.ledger.rows) == (shop.keeper.ledger.slots, shop.keeper.ledger.rows)


def test_a_checkpoint_is_of_one_moment_whatever_is_folded_while_it_is_encoded(shop: Shop) -> None:
    traffic(shop, random.Random(4), range(9))
    shop.fold()
    shop.keeper.settle()
    with shop.keeper._lock:
        parts = shop.keeper._parts()
    before = shop.keeper._seen["new"].copy()
    shop.happen(("impression", 50))
    shop.fold()  # in the middle of it
    kept = [part.pairs["new"] for part in parts if "new" in part.pairs]
    assert kept == [before] != [shop.keeper._seen["new"]]


def test_a_running_keeper_saves_at_its_end(opened: Opened) -> None:
    with opened() as shop:
        shop.keeper.start()
        shop.serve(1)
        shop.happen(("click", 1))
        shop.fold()
        shop.keeper.stop()
        assert row(shop.keeper).clicks == 1
    with opened() as shop:
        assert row(shop.keeper).clicks == 1


def test_what_a_guest_saw_is_what_the_user_saw(shop: Shop) -> None:
    shop.happen(("impression", 1), ("impression", 2))
    shop.fold()
    told = Event(
        event_id="login", user_id="u2", type=EventType.MERGE, item_id="", ts=NOW + 2, guest="u1", past=()
    )
    append(shop.log, EVENTS, [Record("u2", encode(told))])
    shop.fold()
    assert (shop.keeper.seen("new", "u2"), shop.keeper.seen("new", "u1")) == (2, 0)
    assert shop.keeper._pairs == 1


def test_a_user_who_is_forgotten_is_named_nowhere_and_their_clicks_stay(shop: Shop) -> None:
    shop.serve(1, 2)
    shop.happen(("impression", 1), ("click", 1), ("impression", 2))
    shop.fold()
    shop.keeper.settle()
    shop.keeper.forget_user("u1")
    shop.keeper.save()
    assert row(shop.keeper).clicks == 1
    assert b"u1" not in shop.home.exploration.read_bytes()
    assert b"u2" in shop.home.exploration.read_bytes()
    assert shop.keeper._pairs == 1


def test_a_replay_does_not_remember_who_was_forgotten(opened: Opened) -> None:
    with opened() as shop:
        shop.serve(1, 2)
        shop.happen(("impression", 1), ("impression", 2))
        shop.fold()
        shop.store.delete("u1")
    with opened() as shop:  # whose checkpoint is of before the deletion: there is none
        shop.keeper.replay()
        assert (shop.keeper.seen("new", "u1"), shop.keeper.seen("new", "u2")) == (0, 1)
        shop.keeper.save()
        assert b'"u1"' not in shop.home.exploration.read_bytes()
        assert b'"u2"' in shop.home.exploration.read_bytes()


def test_a_slate_that_was_served_just_before_its_user_was_forgotten_names_them_no_more(shop: Shop) -> None:
    shop.happen(("impression", 1), ("impression", 2))
    shop.fold()
    shop.serve(1, 2)
    shop.store.delete("u1")
    shop.keeper.forget_user("u1")
    shop.keeper.settle()  # reads the slates only now
    shop.keeper.save()
    assert b'"u1"' not in shop.home.exploration.read_bytes()
    assert b'"u2"' in shop.home.exploration.read_bytes()
