"""The public data sets as trials: read from a folder beside the project, never shipped with it."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
from numpy.typing import NDArray

from shortlist.catalog.item import Item
from shortlist.catalog.table import ItemTable
from shortlist.errors import ShortlistError
from shortlist.events.event import Event, EventType
from shortlist.events.interactions import Interactions
from shortlist.settings import WeightSettings
from shortlist.training.cases import Case, by_user, pasts
from shortlist.training.evaluate.trial import Trial

SESSION_GAP_S = 1800.0
TEST_SHARE = 0.2  # of events, the newest, of a temporal split


class DataMissing(ShortlistError):
    """The folder holds none of the data sets, or not the one that was named."""


def trials(folder: Path, only: str = "") -> Sequence[Callable[[], list[Trial]]]:
    """What can be measured with the data in `folder`, to be read one by one (they are large).

    only: part of the name of a data set; empty for all. Raises DataMissing naming what the folder holds.
    """
    there = [name for name in READERS if (folder / name).is_dir()]
    if not there:
        known = ", ".join(READERS)
        raise DataMissing(f"{folder}: no data set to measure with here; expected folders named {known}")
    found = [partial(READERS[name], folder / name) for name in there if only in name]
    if not found:
        raise DataMissing(f"no data set is called {only}; in {folder} there are {', '.join(there)}")
    return found


def ml_1m(folder: Path) -> list[Trial]:
    """The NCF leave-one-out split of MovieLens 1M: the last item of each user."""
    rows = _read(
        "select user, item, pos from read_parquet($train) order by pos, user", train=folder / "train.parquet"
    )
    titles = _read(
        "select item, title, genres from read_parquet($items) order by item", items=folder / "items.parquet"
    )
    table = _movies(titles["item"], titles["title"], titles["genres"])
    data = _interactions(rows["user"], rows["item"], rows["pos"].astype(np.float64), table)
    last = _read("select user, item from read_parquet($test) order by user", test=folder / "test.parquet")
    others = _read(
        "select user, item from read_parquet($negatives) order by user",
        negatives=folder / "test_negatives.parquet",
    )
    sampled = _groups(others["user"], others["item"])
    wanted = {u: [i] for u, i in zip(last["user"], last["item"], strict=True)}
    full = _cases(data, {str(u): np.array(i, np.int32) for u, i in wanted.items()})
    users = sorted(str(u) for u in wanted)
    among = []
    for user, case in zip(users, full, strict=True):
        negatives = sampled[int(user)]
        one = np.unique(np.concatenate([negatives[negatives != case.relevant[0]], case.relevant]))
        among.append(replace(case, among=one))
    headline = ("HR@10", "NDCG@10")
    people = _read(
        "select user, gender, age::int age, occupation from read_parquet($users)",
        users=folder / "users.parquet",
    )
    attributes = _attributes(people, "user")
    return [
        Trial(
            "ncf-ml-1m", protocol, data, table, cases, headline, (10,),
            excludes_seen=True, attributes=attributes,
        )
        for protocol, cases in (("LOO99", among), ("LOO-full", full))
    ]  # fmt: skip


def ml_latest_small(folder: Path) -> list[Trial]:
    """MovieLens latest-small, split by time."""
    rows = _read(
        "select userId, movieId, timestamp ts from read_csv($ratings) order by ts",
        ratings=folder / "ratings.csv.gz",
    )
    titles = _read(
        "select movieId, title, genres from read_csv($movies) order by movieId",
        movies=folder / "movies.csv.gz",
    )
    table = _movies(titles["movieId"], titles["title"], titles["genres"])
    return [_temporal("ml-latest-small", rows["userId"], rows["movieId"], rows["ts"], table)]


def ml_100k(folder: Path) -> list[Trial]:
    """MovieLens 100k, split by time."""
    rows = _read(
        """select u, i, ts from read_csv($events, header=false, delim='\t', names=['u','i','r','ts'])
        order by ts""",
        events=folder / "u.data.gz",
    )
    table = _bare(rows["i"])
    people = _read(
        """select * from read_csv($users, header=false, delim='|',
        names=['user','age','gender','occupation','zip'], types={'zip': 'varchar'})""",
        users=folder / "u.user",
    )
    trial = _temporal("ml-100k", rows["u"], rows["i"], rows["ts"], table)
    return [replace(trial, attributes=_attributes(people, "user"))]


def online_retail(folder: Path) -> list[Trial]:
    """Purchases of a gift shop: the last 28 days, new items only, then with repeats."""
    rows = _read(
        """select CustomerID::varchar u, StockCode i, epoch(min(InvoiceDate)) ts, min(Description) title
        from read_parquet($rows)
        where Quantity > 0 and UnitPrice > 0 and CustomerID is not null
        and StockCode in (select distinct item from read_parquet($known))
        and InvoiceDate < '2011-11-12' group by u, InvoiceNo, i order by ts, u, i""",
        rows=folder / "transactions.parquet",
        known=folder / "split28/train.parquet",
    )
    titles = dict(zip(rows["i"], rows["title"], strict=True))
    table = ItemTable([Item(item_id=str(i), title=str(titles[i] or "")) for i in sorted(titles)], 1)
    data = _interactions(rows["u"], rows["i"], rows["ts"].astype(np.float64), table, purchases=True)
    test = _read("select user, item, repeat from read_parquet($test)", test=folder / "split28/test.parquet")
    cuts, headline = (20,), ("Recall@20", "NDCG@20")
    made = []
    for repeats in (False, True):
        taken = test["repeat"] <= int(repeats)
        wanted = {
            str(u): table.positions(str(i) for i in items)
            for u, items in _groups(test["user"][taken], test["item"][taken]).items()
        }
        name = "LOG28-repeat" if repeats else "LOG28-new"
        cases = _cases(data, wanted)
        made.append(
            Trial(
                "online-retail", name, data, table, cases, headline, cuts,
                excludes_seen=not repeats, repeats=repeats,
            )
        )  # fmt: skip
    return made


def yoochoose(folder: Path) -> list[Trial]:
    """Anonymous click sessions: each next click of the following day.

    A third of next clicks go back to an item of the session. SESS allows to propose those; SESS-unseen does
    not, and counts such clicks as missed.
    """
    train = _read(
        "select SessionId u, ItemId i, Time ts from read_csv($train) order by ts",
        train=folder / "train.tsv.gz",
    )
    test = _read(
        "select SessionId u, ItemId i, Time ts from read_csv($test) order by u, ts",
        test=folder / "test.tsv.gz",
    )
    table = _bare(train["i"])
    data = _interactions(train["u"], train["i"], train["ts"].astype(np.float64), table)
    cases = []
    for _, rows in _runs(test["u"]):
        items = np.array([table.position(str(i)) for i in test["i"][rows]], np.int32)
        times = test["ts"][rows].astype(np.float64)
        for end in range(1, len(items)):
            if items[end] >= 0:
                past = items[:end]
                nothing = np.zeros(end, np.bool_)
                ones, zeros = np.ones(end, np.float32), np.zeros(end, np.int32)
                cases.append(Case(past, times[:end], ones, zeros, nothing, items[end : end + 1]))
    headline = ("HR@20", "MRR@20")
    return [
        Trial("yoochoose-100k", "SESS", data, table, cases, headline, (20,), excludes_seen=False),
        Trial("yoochoose-100k", "SESS-unseen", data, table, cases, headline, (20,), excludes_seen=True),
    ]


def shop(name: str, items: Sequence[Item], events: Sequence[Event], weights: WeightSettings) -> Trial:
    """A shop's events as one trial without a split: for what is held out otherwise."""
    table = ItemTable(items, 1)
    rows = [
        (event.user_id, table.position(event.item_id), event.ts / 1000, weight, event.type)
        for event in events
        if event.item_id and (weight := getattr(weights, event.type.value, 0.0)) > 0
    ]
    rows.sort(key=lambda row: row[2])
    users, positions, ts_s, weight, kinds = (np.array(column) for column in zip(*rows, strict=True))
    data = _interactions(users, np.array(table.ids)[positions], ts_s.astype(np.float64), table)
    data = replace(
        data, weights=weight.astype(np.float32), purchases=np.array(kinds == EventType.PURCHASE, np.bool_)
    )
    return Trial(name, "", data, table, [], ("Recall@20", "NDCG@20"), (20,), excludes_seen=True)


READERS: dict[str, Callable[[Path], list[Trial]]] = {
    "ncf-ml-1m": ml_1m,
    "ml-latest-small": ml_latest_small,
    "ml-100k": ml_100k,
    "online-retail": online_retail,
    "yoochoose-100k": yoochoose,
}


def _temporal(
    name: str, users: NDArray[Any], items: NDArray[Any], ts: NDArray[Any], table: ItemTable
) -> Trial:
    """Train on the older four fifths of events; test on users known by then, on items new to them."""
    cut = float(np.quantile(ts, 1 - TEST_SHARE))
    before = ts < cut
    data = _interactions(users[before], items[before], ts[before].astype(np.float64), table)
    wanted: dict[str, Any] = {}
    seen = _groups(users[before], items[before])
    for user, later in _groups(users[~before], items[~before]).items():
        new = np.setdiff1d(later, seen.get(user, []))
        if user in seen and len(new):
            wanted[str(user)] = table.positions(str(i) for i in new)
    headline = ("NDCG@10", "Recall@20")
    return Trial(name, "TIME", data, table, _cases(data, wanted), headline, (10, 20), excludes_seen=True)


def _attributes(rows: Mapping[str, NDArray[Any]], user: str) -> dict[str, dict[str, Any]]:
    """By user id, from columns of which one is the user's."""
    columns = {name: values.tolist() for name, values in rows.items() if name != user}
    return {
        str(user_id): dict(zip(columns, values, strict=True))
        for user_id, *values in zip(rows[user].tolist(), *columns.values(), strict=True)
    }


def _cases(data: Interactions, wanted: dict[str, Any]) -> list[Case]:
    """One case per wanted user of `data`, in the order of their ids; users with nothing to find are none."""
    ordered = by_user(data)
    code = {user: number for number, user in enumerate(data.user_ids)}
    where = pasts(data)
    cases = []
    for user in sorted(wanted):
        past = where[code[user]] if user in code else slice(0, 0)
        if len(wanted[user]):
            cases.append(
                Case(
                    ordered.items[past],
                    ordered.ts_s[past],
                    ordered.weights[past],
                    ordered.sessions[past],
                    ordered.purchases[past],
                    relevant=np.unique(wanted[user]).astype(np.int32),
                    user=code.get(user, -1),
                )
            )
    return cases


def _interactions(
    users: NDArray[Any],
    items: NDArray[Any],
    ts_s: NDArray[np.float64],
    table: ItemTable,
    *,
    purchases: bool = False,
) -> Interactions:
    """Rows, sorted by time, as history would give them; a session ends at a silence of 30 minutes."""
    user_ids, codes = np.unique(users, return_inverse=True)
    distinct, inverse = np.unique(items, return_inverse=True)
    positions = np.array([table.position(str(i)) for i in distinct], np.int32)[inverse]
    order = np.argsort(codes, kind="stable")
    gap = np.diff(ts_s[order], prepend=-np.inf) > SESSION_GAP_S
    number = np.cumsum(gap | (np.diff(codes[order], prepend=-1) != 0))
    sessions = np.empty(len(codes), np.int32)
    sessions[order] = number
    return Interactions(
        users=codes.astype(np.int32),
        items=positions,
        ts_s=ts_s,
        weights=np.full(len(codes), 3.0 if purchases else 1.0, np.float32),
        sessions=sessions,
        purchases=np.full(len(codes), purchases),
        user_ids=[str(u) for u in user_ids],
        item_ids=list(table.ids),
    )


def _movies(ids: NDArray[Any], titles: NDArray[Any], genres: NDArray[Any]) -> ItemTable:
    return ItemTable(
        [
            Item(item_id=str(i), title=str(title), categories=tuple(str(genre).split("|")))
            for i, title, genre in zip(ids, titles, genres, strict=True)
        ],
        1,
    )


def _bare(ids: NDArray[Any]) -> ItemTable:
    return ItemTable([Item(item_id=str(i)) for i in np.unique(ids)], 1)


def _read(query: str, **files: Path) -> dict[str, NDArray[Any]]:
    """The columns of a query over files, which it names as $parameters."""
    with duckdb.connect() as database:
        paths = {name: str(path) for name, path in files.items()}
        columns: dict[str, NDArray[Any]] = database.execute(query, paths).fetchnumpy()
    return columns


def _groups(keys: NDArray[Any], values: NDArray[Any]) -> dict[Any, NDArray[Any]]:
    order = np.argsort(keys, kind="stable")
    return {key: values[order[rows]] for key, rows in _runs(keys[order])}


def _runs(keys: NDArray[Any]) -> Iterable[tuple[Any, slice]]:
    """(key, slice) of each run of equal keys."""
    starts: Sequence[int] = np.flatnonzero(np.r_[True, keys[1:] != keys[:-1]]).tolist() if len(keys) else []
    for start, end in zip(starts, [*starts[1:], len(keys)], strict=True):
        yield keys[start], slice(start, end)
