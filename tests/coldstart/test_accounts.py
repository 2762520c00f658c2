"""The ledger as people read it."""

import pytest

from shortlist.catalog.item import Item
from shortlist.catalog.store import Change
from shortlist.catalog.table import ItemTable
from shortlist.coldstart.accounts import Account, Accounts, accounts
from shortlist.coldstart.exploration import Exploration
from shortlist.coldstart.ledger import Ledger
from shortlist.settings import ExplorationSettings
from tests.coldstart.test_exploration import Known
from tests.coldstart.test_ledger import event, shown, slate

SETTINGS = ExplorationSettings(items=3)


class Shop:
    """Two old items and five new ones, of which three are tried out at a time."""

    def __init__(self) -> None:
        items = [Item(item_id=f"o{n}", title=f"Old {n}") for n in range(2)]
        items += [Item(item_id=f"n{n}", title=f"New {n}") for n in range(5)]
        self.table, self.book, self.ledger = ItemTable(items, 1), Known(), Ledger(SETTINGS)
        self.exploration = Exploration(SETTINGS, self.book)
        self.exploration.refresh(self.table, 2)

    def show(self, item_id: str, impressions: int, clicks: int) -> None:
        shown(self.ledger, impressions, clicks, start=len(self.ledger.slots), item=item_id)
        row = self.ledger.rows[item_id]
        if row.decision is not None:
            self.book.verdicts[item_id] = row.decision.verdict
        self.exploration.renew()

    def read(self) -> Accounts:
        return accounts(self.ledger, self.exploration, self.table)

    def item(self, item_id: str) -> Account:
        return next(item for item in self.read().items if item.item_id == item_id)


def test_every_item_says_where_it_stands() -> None:
    shop = Shop()
    shop.show("n0", 1_000, 60)
    shop.show("n1", 1_000, 5)
    shop.show("n2", 10, 1)
    shop.table.apply([Change(2, "n4", Item(item_id="n4", hidden=True))])
    shop.exploration.refresh(shop.table, 2)
    said = {item.item_id: (item.status, item.share) for item in shop.read().items}
    assert said == {
        "n0": ("promoted", 0.2),
        "n1": ("retired", 0.0),
        "n2": ("exploring", 0.05),
        "n3": ("exploring", 0.05),  # moved up when n1 stopped
        "n4": ("unavailable", 0.0),
    }
    assert [item.item_id for item in shop.read().items] == ["n2", "n3", "n0", "n4", "n1"]


def test_who_is_not_among_the_first_waits() -> None:
    shop = Shop()
    assert shop.item("n3").status == "waiting"
    assert (shop.item("n3").promised, shop.item("n3").ctr) == (0, None)


def test_a_training_makes_it_an_ordinary_item_and_its_history_stays() -> None:
    shop = Shop()
    shop.show("n0", 1_000, 60)
    shop.exploration.refresh(shop.table, 7)
    (left,) = shop.read().items  # the others were never shown: there is nothing to keep
    assert (left.item_id, left.status, left.clicks) == ("n0", "graduated", 60)
    assert left.decision is not None
    shop.table.apply([Change(2, "n0", None)])
    assert shop.item("n0").status == "gone"


def test_promised_delivered_learned_and_what_it_cost() -> None:
    shop = Shop()
    shop.show("n0", 100, 2)
    shop.ledger.promise(slate(500, "n0"), is_panel=False)  # on its way to somebody
    assert shop.item("n0").cost is None
    for number in range(1_000, 1_100):
        shop.ledger.promise(slate(number, item=""), is_panel=True)
        shop.ledger.learn(event("impression", number, item="old", position=8))
        if number < 1_005:
            shop.ledger.learn(event("click", number, item="old", position=8))
    item, everything = shop.item("n0"), shop.read()
    assert (item.promised, item.delivered, item.until_decision) == (101, 100, 900)
    assert item.ctr == 0.02
    assert item.ctr_low < 0.02 < item.ctr_high
    assert item.place_ctr == pytest.approx(0.05)
    assert item.cost == pytest.approx(3.0)
    assert (everything.promised, everything.delivered, everything.clicks) == (101, 100, 2)
    assert everything.cost == pytest.approx(3.0)
