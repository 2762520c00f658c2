"""Lists that a snapshot keeps, and when they are made anew."""

from collections.abc import Mapping, Sequence

from shortlist.catalog.item import Item
from shortlist.catalog.store import Change
from shortlist.catalog.table import ItemTable
from shortlist.serving.snapshot import Snapshot, snapshot
from shortlist.settings import CandidateSettings


class Published:
    """Trends that are published by hand."""

    def __init__(self, *item_ids: str) -> None:
        self.asked = 0
        self.publish(*item_ids)

    def publish(self, *item_ids: str) -> None:
        self.by_id = dict.fromkeys(item_ids, 1.0)

    def top(self, category: str | None, n: int) -> Sequence[str]:
        self.asked += 1
        return list(self.by_id)[:n]

    def weights(self) -> Mapping[str, float]:
        return self.by_id


def trending(now: Snapshot, limit: int = 5) -> list[str]:
    return [now.table.ids[at] for at in now.trending(-1, limit).tolist()]


def test_what_trends_is_looked_up_once_per_publication() -> None:
    trends = Published("tea", "jam", "saw")
    table = ItemTable([Item(item_id=name) for name in ("jam", "saw", "tea")], 1)
    now = snapshot(None, table, trends, CandidateSettings())
    assert [trending(now), trending(now), trending(now, 1)] == [["tea", "jam", "saw"]] * 2 + [["tea"]]
    assert trends.asked == 2  # for each length
    trends.publish("saw")
    assert [trending(now), trending(now, 1)] == [["saw"]] * 2


def test_what_comes_into_the_catalog_trends_at_once() -> None:
    trends = Published("new", "tea")
    table = ItemTable([Item(item_id="tea")], 1)
    now = snapshot(None, table, trends, CandidateSettings())
    assert trending(now) == ["tea"]
    table.apply([Change(2, "new", Item(item_id="new"))])
    assert trending(now) == ["new", "tea"]
