import asyncio
import codecs
import contextlib
import gzip
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from shortlist.catalog.item import Item
from shortlist.home import Home
from shortlist.importing.importer import Request, import_files
from shortlist.importing.items import item_of
from shortlist.importing.mapping import EVENT_NAMES, parse_map
from shortlist.importing.problem import ColumnUnknown, FormatUnknown, ImportFailed, Outcome, Unreadable
from shortlist.progress import silent

from .conftest import NOW_MS, Killed, Ledger, Shop

Write = Callable[..., Path]
MAP = {"user_id": "u", "item_id": "i"}


def to_ledger(path: Path, to: Ledger, home: Path | None = None, **how: Any) -> Outcome:
    at = Home(home or path.parent.with_name("ledger-home"))
    return asyncio.run(import_files(Request(path=path, **how), to, at, silent, now_ms=NOW_MS, threads=1))


def test_a_mapped_table_becomes_events_in_the_order_of_time(shop: Shop, write: Write) -> None:
    path = write("log.csv", "when,who,what", "2023-01-01 10:00:00,a,x", "2023-01-01T09:00:00Z,b,y")
    outcome = shop.imports(path, mapping={"user_id": "who", "item_id": "what", "ts": "when"}, type="click")
    assert outcome.events == 2
    assert [(e.user_id, e.item_id, e.type.value) for e in shop.events()] == [
        ("b", "y", "click"),
        ("a", "x", "click"),
    ]


def test_names_that_say_it_need_no_mapping(shop: Shop, write: Write) -> None:
    path = write("log.csv", "customer_id;product_id;event;timestamp;qty", "1;2;buy;1600000000;3")
    shop.imports(path)
    (event,) = shop.events()
    assert (event.user_id, event.item_id, event.type.value, event.quantity) == ("1", "2", "purchase", 3.0)


def test_without_times_the_order_of_rows_stands_for_time(shop: Shop, write: Write) -> None:
    shop.imports(write("log.tsv", "u\ti", "a\tz", "a\ty", "a\tx"), mapping=MAP, type="view")
    assert [e.item_id for e in shop.events()] == ["z", "y", "x"]
    assert [s.item_id for s in shop.features("a").history] == ["z", "y", "x"]
    assert shop.features("a").first_ts > 0, "time 0 would read as never"


def test_positions_are_taken_for_times(shop: Shop, write: Write) -> None:
    shop.imports(write("log.csv", "u,i,pos", "a,second,1", "a,first,0"), mapping={**MAP, "ts": "pos"})
    assert [(e.item_id, e.ts) for e in shop.events()] == [("first", 1_000), ("second", 2_000)]


@pytest.mark.parametrize(
    ("text", "ts"),
    [
        ("1600000000", 1_600_000_000_000),
        ("1600000000.25", 1_600_000_000_250),
        ("1600000000123", 1_600_000_000_123),
        ("1600000000123456", 1_600_000_000_123),
        ("1600000000123456789", 1_600_000_000_123),
        ("2020-09-13 12:26:40", 1_600_000_000_000),
        ("2020-09-13T14:26:40+02:00", 1_600_000_000_000),
        ("2020-09-13T12:26:40Z", 1_600_000_000_000),
        ("2020-09-13 12:26:40 UTC", 1_600_000_000_000),
        ("2020-09-13", 1_599_955_200_000),
    ],
)
def test_times_are_understood_by_their_size_and_shape(write: Write, text: str, ts: int) -> None:
    ledger = Ledger()
    to_ledger(write("log.csv", "u,i,ts", f"a,x,{text}"), ledger, mapping={**MAP, "ts": "ts"})
    assert [e.ts for e in ledger.written] == [ts]


def test_json_lines_keep_numbers_and_text_as_ids(shop: Shop, write: Write) -> None:
    path = write(
        "log.jsonl",
        '{"u": 12345678901234567890, "i": "é", "v": {"at": 1600000000}}',
        '{"u": "007", "i": 5, "v": {"at": 1600000001}}',
    )
    shop.imports(path, mapping={**MAP, "ts": "v.at"})
    assert [(e.user_id, e.item_id) for e in shop.events()] == [("12345678901234567890", "é"), ("007", "5")]


def test_parquet_ids_that_pandas_made_floats_are_whole_again(shop: Shop, tmp_path: Path) -> None:
    pq.write_table(pa.table({"u": [7.0, 8.0], "i": [1, 2]}), tmp_path / "odd [1]*.parquet")
    shop.imports(tmp_path / "odd [1]*.parquet", mapping=MAP, type="view")
    assert [(e.user_id, e.item_id) for e in shop.events()] == [("7", "1"), ("8", "2")]


def test_items_come_from_their_own_file_with_names_guessed(shop: Shop, write: Write) -> None:
    items = write(
        "products.csv",
        "sku,name,genres,list price,margin,stock,colour,created_at,parent_id",
        "x,Kettle,Kitchen|Tea,19.90,0.25,4,red,2020-09-13,kettles",
        "y,Lamp,Home > Light,,,,,,",
    )
    shop.imports(write("log.csv", "u,i", "a,x", "a,z"), mapping=MAP, type="view", items=items)
    found = shop.items()
    assert found["x"] == Item(
        item_id="x", title="Kettle", categories=("Kitchen", "Tea"), price=19.9, margin=0.25, stock=4,
        added_ms=1_599_955_200_000, attributes={"colour": "red"}, variant_of="kettles",
    )  # fmt: skip
    assert found["y"] == Item(item_id="y", title="Lamp", categories=("Home", "Light"))
    assert found["z"] == Item(item_id="z"), "known from events alone"
    assert [e.category for e in shop.events()] == ["Kitchen", None]


def test_item_columns_can_be_told(shop: Shop, write: Write) -> None:
    items = write(
        "p.jsonl", '{"code": 5, "label": "Rug", "tags": ["Floor", "Wool, soft"], "attributes": {"w": 2}}'
    )
    shop.imports(items=items, items_mapping={"item_id": "code", "title": "label", "categories": "tags"})
    rug = Item(item_id="5", title="Rug", categories=("Floor", "Wool, soft"), attributes={"w": 2})
    assert shop.items() == {"5": rug}


def test_a_second_items_file_replaces_and_the_last_row_of_an_id_counts(shop: Shop, write: Write) -> None:
    shop.imports(items=write("one.csv", "item_id,title,price", "x,Old,1", "y,Other,"))
    shop.imports(items=write("two.csv", "item_id,title,price", "x,Newer,2", "x,Newest,"))
    assert shop.items()["x"] == Item(item_id="x", title="Newest", price=2.0)
    assert shop.items()["y"].title == "Other"


NO_TIME = (
    "ts is not a time (known: seconds or milliseconds since 1970, and ISO 8601 as in 2024-05-31 18:45:00)"
)
REFUSALS = {
    ",x,1600000000,view,,": "user_id is missing",
    "a,,1600000000,view,,": "item_id is missing",
    f"{'é' * 513},x,1600000000,,,": "user_id is longer than 1024 bytes",
    "a,x\ty,1600000000,,,": "item_id has a control character",
    "a,x,31/05/2024,view,,": NO_TIME,
    "a,x,,view,,": "ts is missing",
    "a,x,nan,view,,": NO_TIME,
    "a,x,-5,view,,": "ts lies before 1970",
    "a,x,1800000000,view,,": "ts lies in the future",
    "a,x,1600000000,,,": "type is not known: none",
    "a,x,1600000000,jump,,": "type is not known: jump",
    "a,x,1600000000,rate,,": "rating is missing",
    "a,x,1600000000,rate,many,": "rating is not a number",
    "a,x,1600000000,rate,inf,": "rating is not a number",
    "a,x,1600000000,rate,1e9,": "rating is beyond a million",
    "a,x,1600000000,buy,,free": "price is not a number",
    "a,x,1600000000,buy,,-2": "price is negative or beyond 1e12",
    "a,x,1600000000": "the line does not split into 6 columns",
    "a,x,1600000000,view,,,more": "the line does not split into 6 columns",
}


@pytest.mark.parametrize(("row", "reason"), REFUSALS.items())
def test_each_refusal_says_why_and_where_and_the_good_rows_stay(write: Write, row: str, reason: str) -> None:
    good = "good,x,1600000000,view,,"
    path = write("log.csv", "user_id,item_id,ts,type,rating,price", good, row, good)
    outcome = to_ledger(path, Ledger())
    assert outcome.events == 2
    assert outcome.refused == {reason: 1}
    (example,) = outcome.examples
    assert (example.line, example.reason) == (3, reason)


def test_refusals_are_counted_by_reason_with_a_few_examples(shop: Shop, write: Write) -> None:
    path = write("log.csv", "u,i", *["a,x"] * 3, *[",x"] * 50, "a", *["b,"] * 9)
    outcome = shop.imports(path, mapping=MAP, type="view")
    assert outcome.events == 3
    assert outcome.refused == {
        "user_id is missing": 50, "item_id is missing": 9, "the line does not split into 2 columns": 1,
    }  # fmt: skip
    lines = {(e.reason, e.line) for e in outcome.examples}
    assert ("the line does not split into 2 columns", 55) in lines
    assert ("item_id is missing", 56) in lines
    assert len(outcome.examples) == 7


def test_bad_items_are_refused_by_field(shop: Shop, write: Write) -> None:
    items = write(
        "p.csv",
        "item_id,title,price,stock",
        "ok,Fine,1,2",
        "a,A,-1,",
        "b,B,dear,",
        "c,C,,-3",
        ",D,,",
        "e,E,,x",
    )
    outcome = shop.imports(items=items)
    assert outcome.items == 1
    assert sum(outcome.refused.values()) == 5
    assert any("price is not a number" in reason for reason in outcome.refused)
    assert any("item_id is missing" in reason for reason in outcome.refused)


def test_a_file_without_one_good_row_is_an_error(shop: Shop, write: Write) -> None:
    with pytest.raises(ImportFailed, match="2 rows were refused because item_id is missing"):
        shop.imports(write("log.csv", "u,i", "a,", "b,"), mapping=MAP, type="view")


def test_equal_rows_of_one_file_are_events_of_their_own(shop: Shop, write: Write) -> None:
    path = write("log.csv", "u,i,ts", *["a,x,1600000000"] * 3)
    shop.imports(path, mapping={**MAP, "ts": "ts"}, type="view")
    assert len({e.event_id for e in shop.events()}) == 3
    assert shop.features("a").interaction_count == 3


def test_the_same_file_twice_changes_nothing(shop: Shop, write: Write) -> None:
    path = write("log.csv", "u,i", *(f"u{n % 5},i{n % 3}" for n in range(100)))
    items = write("items.csv", "item_id,title", "i0,Zero", "i1,One")
    first = shop.imports(path, mapping=MAP, type="view", items=items)
    log, catalog = shop.log(), shop.items()
    again = shop.imports(path, mapping=MAP, type="view", items=items)
    assert (first.events, again.events, again.items, len(again.unchanged)) == (100, 0, 0, 2)
    assert (shop.log(), shop.items()) == (log, catalog)


def test_two_files_of_a_folder_are_merged_by_time(shop: Shop, write: Write) -> None:
    write("b.csv", "u,i,ts", "a,first,1600000000", "a,third,1600000002")
    folder = write("a.csv", "u,i,ts", "a,second,1600000001").parent
    shop.imports(folder, mapping={**MAP, "ts": "ts"}, type="view")
    assert [e.item_id for e in shop.events()] == ["first", "second", "third"]


def test_a_new_file_in_the_folder_is_all_that_the_next_import_adds(shop: Shop, write: Write) -> None:
    folder = write("monday.csv", "u,i,ts", "a,x,1600000000").parent
    how = {"mapping": {**MAP, "ts": "ts"}, "type": "view"}
    shop.imports(folder, **how)
    write("tuesday.csv", "u,i,ts", "a,y,1600086400")
    outcome = shop.imports(folder, **how)
    assert (outcome.events, len(outcome.unchanged)) == (1, 1)
    assert [e.item_id for e in shop.events()] == ["x", "y"]


ROWS = st.lists(
    st.tuples(st.sampled_from("abc"), st.sampled_from("xyz"), st.integers(0, 5)), min_size=1, max_size=40
)


def table(folder: Path, rows: list[tuple[str, str, int]]) -> Path:
    path = folder / "log.csv"
    path.write_text("u,i,ts\n" + "".join(f"{u},{i},{1_600_000_000 + t}\n" for u, i, t in rows))
    return path


def imported(path: Path, home: Path, to: Ledger) -> Outcome:
    return to_ledger(path, to, home, mapping={**MAP, "ts": "ts"}, type="view")


@settings(max_examples=12, deadline=None)
@example(rows=[("a", "x", 0)] * 2, deaths=[1, 1])  # the second dies before it writes anything
@given(rows=ROWS, deaths=st.lists(st.integers(0, 45), max_size=4))
def test_however_often_it_dies_the_log_is_as_if_it_had_not(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str, int]], deaths: list[int]
) -> None:
    folder = tmp_path_factory.mktemp("import")
    path = table(folder, rows)
    whole, broken = Ledger(), Ledger()
    imported(path, folder / "whole", whole)
    for death in deaths:
        broken.dies_at = death
        with contextlib.suppress(Killed):
            imported(path, folder / "broken", broken)
    broken.dies_at = None
    outcome = imported(path, folder / "broken", broken)
    assert broken.written == whole.written
    assert [e.ts for e in whole.written] == sorted(e.ts for e in whole.written)
    assert len(whole.written) == len(rows)
    assert outcome.events + outcome.earlier in (0, len(rows))


KILLED = """
import asyncio, os, signal, sys
from pathlib import Path
from typing import Any
from shortlist.app.catalog import catalog
from shortlist.app.loop import owned, processor
from shortlist.home import Home
from shortlist.importing.destination import Engines
from shortlist.importing.importer import Request, import_files
from shortlist.settings import Settings

def report(stage, done):
    if stage == sys.argv[3] and done >= float(sys.argv[4]):
        os.kill(os.getpid(), signal.SIGKILL)

async def main():
    settings, home = Settings(), Home(Path(sys.argv[1]))
    async with catalog(settings, home) as items:
        with owned(settings, home) as loop:
            to = Engines(items, loop.log, processor(settings, loop).fold_all)
            to.batch = 100
            request = Request(path=Path(sys.argv[2]), mapping={"user_id": "u", "item_id": "i"}, type="view")
            await import_files(request, to, home, report, now_ms=1_700_000_000_000, threads=1)

asyncio.run(main())
"""


@pytest.mark.parametrize(("stage", "share"), [("writing events", 0.3), ("Folding events", 0.2)])
def test_a_killed_import_goes_on_without_double_events(
    shop: Shop, write: Write, stage: str, share: float
) -> None:
    path = write("log.csv", "u,i", *(f"u{n % 7},i{n % 13}" for n in range(1_000)))
    words = [sys.executable, "-c", KILLED, str(shop.home.path), str(path), stage, str(share)]
    assert subprocess.run(words, check=False).returncode == -signal.SIGKILL
    outcome = shop.imports(path, mapping=MAP, type="view")
    other = Shop(shop.home.path.with_name("other"))
    other.imports(path, mapping=MAP, type="view")
    assert shop.log() == other.log()
    assert outcome.earlier == (300 if stage == "writing events" else 0)
    for user in ("u0", "u6"):
        mine, theirs = shop.features(user), other.features(user)
        assert (mine.counts, mine.history) == (theirs.counts, theirs.history)


def test_files_of_an_interrupted_import_cannot_be_mixed_into_another(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    path = table(tmp_path / "in", [("a", "x", 1)] * 20)
    to = Ledger()
    to.dies_at = 9
    with pytest.raises(Killed):
        imported(path, tmp_path / "home", to)
    to.dies_at = None
    (tmp_path / "in" / "more.csv").write_text("u,i,ts\nb,y,1600000000\n")
    with pytest.raises(ImportFailed, match="interrupted at 7 of 20"):
        imported(tmp_path / "in", tmp_path / "home", to)
    imported(path, tmp_path / "home", to)
    imported(tmp_path / "in", tmp_path / "home", to)
    assert len(to.written) == 21


def test_one_import_at_a_time(shop: Shop, write: Write) -> None:
    import fcntl

    folder = shop.home.make().path / "imports"
    folder.mkdir()
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(ImportFailed, match="another import"):
            shop.imports(write("log.csv", "u,i", "a,x"), mapping=MAP, type="view")


def test_nothing_is_left_of_the_work(shop: Shop, write: Write) -> None:
    (shop.home.make().path / "imports" / "work-dead").mkdir(parents=True)
    shop.imports(write("log.csv", "u,i", "a,x"), mapping=MAP, type="view")
    left = sorted(path.name for path in (shop.home.path / "imports").iterdir() if path.is_dir())
    assert left == []


def test_a_column_that_is_not_there_names_the_nearest(shop: Shop, write: Write) -> None:
    path = write("log.csv", "user_name,item,when", "a,x,1")
    with pytest.raises(ColumnUnknown, match="no column 'username' for user_id; did you mean 'user_name'"):
        shop.imports(path, mapping={"user_id": "username", "item_id": "item"})
    with pytest.raises(ColumnUnknown, match="no column 'zzz' for item_id; there are user_name, item, when"):
        shop.imports(path, mapping={"user_id": "user_name", "item_id": "zzz"})


def test_a_table_whose_names_say_nothing_asks_for_a_mapping(shop: Shop, write: Write) -> None:
    with pytest.raises(FormatUnknown, match=r"no column looks like user_id.*--map user_id=COLUMN"):
        shop.imports(write("log.csv", "p,q", "a,x"))


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("shop.csv", b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR", "not text but a PNG picture"),
        ("log.csv", bytes(range(256)) * 9, "not text but something binary"),
        ("log.xlsx", b"PK\x03\x04\x14\x00", "an Excel workbook.*save a sheet as CSV"),
        (
            "log.jsonl",
            b'{"user_id": 1, "item\n{"user_id"\n',
            "line 1 is not JSON: .*one whole object per line",
        ),
        ("log.json", b'{\n  "user_id": 1\n}\n', "line 1 is not JSON"),
    ],
)
def test_a_file_that_is_no_table_is_called_what_it_is(
    shop: Shop, write: Write, name: str, content: bytes, why: str
) -> None:
    path = write(name)
    path.write_bytes(content)
    with pytest.raises(Unreadable, match=why):
        shop.imports(path)


def test_a_mapping_the_wrong_way_round_is_turned(shop: Shop, write: Write) -> None:
    with pytest.raises(ColumnUnknown, match="wrong way round: the field comes first, write item_id=sku"):
        parse_map("user_id=who,sku=item_id", list(EVENT_NAMES))
    path = write("log.csv", "user_id,rating,what", "a,1,x")
    with pytest.raises(ColumnUnknown, match=r"wrong way round\? The field comes first: type=rating"):
        shop.imports(path, mapping={"rating": "type", "item_id": "what"})


def test_items_without_an_id_name_the_option_of_items(shop: Shop, write: Write) -> None:
    with pytest.raises(ColumnUnknown, match="--map-items item_id=COLUMN"):
        shop.imports(items=write("products.csv", "code,title", "x,Kettle"))


def test_a_broken_line_of_json_is_named_and_the_others_stay(shop: Shop, write: Write) -> None:
    outcome = shop.imports(write("log.jsonl", '{"user": 1, "item": 2}', '{"user": 1, "it', '{"user": 3}'))
    assert outcome.events == 1
    assert outcome.refused == {"the line is not JSON": 1, "item_id is missing": 1}
    broken = next(e for e in outcome.examples if e.reason == "the line is not JSON")
    assert (broken.line, broken.value) == (2, '{"user": 1, "it')


def test_a_time_of_no_known_form_is_shown_with_the_known_ones(shop: Shop, write: Write) -> None:
    with pytest.raises(ImportFailed, match=r"seconds or milliseconds.*ISO 8601.*line 2: a, x, 31\.05\.2024"):
        shop.imports(write("log.csv", "user,item,time", "a,x,31.05.2024", "b,y,1.6.2024"))


def test_several_data_sets_in_a_folder_are_refused_by_name(shop: Shop, write: Write) -> None:
    small = write("ml-small/ratings.csv", "userId,movieId,rating,timestamp", "1,2,3,1600000000")
    rocket = write("rocket/events.csv", "timestamp,visitorid,event,itemid", "1600000000000,1,view,2")
    with pytest.raises(FormatUnknown, match="holds 2 data sets") as several:
        shop.imports(small.parents[1])
    for part in (f"{small.parent} (MovieLens)", f"{rocket.parent} (RetailRocket)", "shortlist import "):
        assert part in str(several.value)
    assert shop.imports(rocket.parent).events == 1

    write("ml-small/events.csv", *rocket.read_text().splitlines())
    with pytest.raises(FormatUnknown, match=r"ratings\.csv \(MovieLens\).*events\.csv \(RetailRocket\)"):
        shop.imports(small.parent)


def test_items_that_no_event_speaks_of_make_the_columns_doubtful(shop: Shop, write: Write) -> None:
    items = write("products.csv", "id,sku,title", "1,x,Kettle", "2,y,Lamp")
    log = write("log.csv", "user,item", "a,x", "b,y")
    good = shop.imports(log, items=items)
    assert good.remarks == [f"{items}: read item_id=sku, title=title (--map-items names other columns)"]

    more = write("more.csv", "user,item", "a,z")
    doubtful = shop.imports(more, items=items, items_mapping={"item_id": "id"})
    assert "none of the 1 items that events speak of is among the 2 items read" in doubtful.remarks[1]


def test_a_folder_of_unknown_tables_asks_for_one(shop: Shop, write: Write) -> None:
    write("one.csv", "p,q", "a,x")
    with pytest.raises(FormatUnknown, match="name one file and its columns"):
        shop.imports(write("two.csv", "p,q", "a,x").parent)
    empty = write("three/readme.md", "hello").parent
    with pytest.raises(FormatUnknown, match="no file with rows"):
        shop.imports(empty)


def test_unreadable_files_say_what_is_wrong(shop: Shop, write: Write, tmp_path: Path) -> None:
    def refused(path: Path, match: str, **how: str) -> None:
        with pytest.raises(Unreadable, match=match):
            shop.imports(path, mapping=MAP, **how)

    refused(tmp_path / "none.csv", "no such file")
    refused(write("empty.csv"), "empty")
    refused(
        write("latin.csv", "u,i", "a,x", "b,é", encoding="latin-1"), "line 3 is not utf-8 .byte 0xe9.*latin-1"
    )
    refused(write("some.csv", "u,i", "a,x"), "no encoding 'klingon'", encoding="klingon")
    refused(write("list.json", '[{"u": 1, "i": 2}]'), "one object per line")
    cut = tmp_path / "cut.csv.gz"

    cut.write_bytes(gzip.compress(b"u,i\n" + os.urandom(100_000).hex().encode())[:5_000])
    refused(cut, "cut short or damaged")
    torn = tmp_path / "torn.csv.zst"
    torn.write_bytes(
        bytes(pa.Codec("zstd").compress(b"u,i\n" + os.urandom(300_000).hex().encode(), asbytes=True))
    )
    torn.write_bytes(torn.read_bytes()[:5_000])
    refused(torn, "cut short or damaged")
    torn.write_bytes(b"\x28\xb5\x2f\xfd not really")
    refused(torn, "cut short or damaged")
    bad_zip = tmp_path / "bad.zip"
    bad_zip.write_bytes(b"PK\x03\x04 not really")
    refused(bad_zip, "zip")
    bad_parquet = tmp_path / "bad.parquet"
    bad_parquet.write_bytes(b"PAR1 not really")
    refused(bad_parquet, "not a Parquet file")


def test_an_encoding_can_be_told(shop: Shop, write: Write) -> None:
    path = write("latin.csv", "u,i", "é,x", encoding="latin-1")
    shop.imports(path, mapping=MAP, type="view", encoding="latin-1")
    assert {e.user_id for e in shop.events()} == {"é"}


MARKS = {
    "utf-16-le": codecs.BOM_UTF16_LE,
    "utf-16-be": codecs.BOM_UTF16_BE,
    "utf-32-le": codecs.BOM_UTF32_LE,
    "utf-32-be": codecs.BOM_UTF32_BE,
}


@pytest.mark.parametrize("encoding", MARKS)
@pytest.mark.parametrize("marked", [True, False])
@pytest.mark.parametrize("told", [True, False])
@pytest.mark.parametrize("packed", ["", "gzip", "zstd"])
def test_wide_text_is_read_with_and_without_its_mark(
    shop: Shop, tmp_path: Path, encoding: str, marked: bool, told: bool, packed: Literal["", "gzip", "zstd"]
) -> None:
    def written(name: str, text: str) -> Path:
        data = (MARKS[encoding] if marked else b"") + text.encode(encoding)
        path = tmp_path / name
        path.write_bytes(bytes(pa.Codec(packed).compress(data, asbytes=True)) if packed else data)
        return path

    log, items = written("log.csv", "user_id,item_id\n日本,x\n"), written("items.csv", "sku,title\nx,Tê\n")
    shop.imports(log, items=items, encoding=encoding if told else "")

    assert [(e.user_id, e.item_id) for e in shop.events()] == [("日本", "x")]
    assert shop.items()["x"].title == "Tê"


@pytest.mark.parametrize("encoding", MARKS)
@pytest.mark.parametrize("told", ["", "utf-16", "utf-32"])
def test_wide_text_is_seen_in_any_script(shop: Shop, tmp_path: Path, encoding: str, told: str) -> None:
    path = tmp_path / "log.csv"
    path.write_bytes(("user_id,item_id\n" + "пользователь,товар\n日本語,東京都\n" * 20).encode(encoding))
    shop.imports(path, encoding=told)
    assert {(e.user_id, e.item_id) for e in shop.events()} == {
        ("пользователь", "товар"),
        ("日本語", "東京都"),
    }


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-32-be", "utf-32"])
def test_a_wide_encoding_that_a_file_is_not_in_is_refused(shop: Shop, write: Write, encoding: str) -> None:
    with pytest.raises(Unreadable, match=rf"log\.csv: not {encoding}; leave --encoding out"):
        shop.imports(write("log.csv", "user_id,item_id", "a,x"), encoding=encoding)


def test_quoted_values_hold_delimiters_quotes_and_line_ends(shop: Shop, write: Write) -> None:
    path = write("log.csv", "u,i", '"a, ""b""",x', "c,y")
    shop.imports(path, mapping=MAP, type="view")
    assert {e.user_id for e in shop.events()} == {'a, "b"', "c"}


def test_windows_line_ends_and_a_byte_order_mark_are_fine(shop: Shop, tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_bytes("\ufeffu,i\r\na,x\r\n".encode())
    shop.imports(path, mapping=MAP, type="view")
    assert [(e.user_id, e.item_id) for e in shop.events()] == [("a", "x")]


def test_a_table_without_a_header_is_mapped_by_position(shop: Shop, write: Write) -> None:
    shop.imports(write("log.csv", "1,10,5", "2,20,4"), mapping={"user_id": "column0", "item_id": "column1"})
    assert {(e.user_id, e.item_id) for e in shop.events()} == {("1", "10"), ("2", "20")}


@pytest.mark.parametrize("item_id", ["🥕", "../x", "a'b", 'a"b', "%s", "{x}", "é" * 512])
def test_ids_of_every_kind_round_trip(shop: Shop, tmp_path: Path, item_id: str) -> None:
    path = tmp_path / "log.jsonl"
    path.write_text(json.dumps({"u": item_id, "i": item_id}, ensure_ascii=False) + "\n", encoding="utf-8")
    shop.imports(path, mapping=MAP, type="view")
    assert [(e.user_id, e.item_id) for e in shop.events()] == [(item_id, item_id)]
    assert item_id in shop.items()


def test_a_row_with_more_attributes_than_an_item_may_have_is_refused_by_name() -> None:
    rest = json.dumps({"words": "x" * 20_000})
    with pytest.raises(ValueError, match="attributes: 20012 bytes of JSON; there may be 16384"):
        item_of({"item_id": "7", "attributes": rest})
    assert item_of({"item_id": "7", "attributes": '{"colour": "red"}'}).attributes == {"colour": "red"}
