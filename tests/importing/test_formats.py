"""Each data set in a few made-up rows of its shape."""

import bz2
import gzip
import zipfile
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from shortlist.events.event import Event, EventType

from .conftest import Shop

Write = Callable[..., Path]


def brief(event: Event) -> tuple[str, str, str, int]:
    return event.user_id, event.type.value, event.item_id, event.ts


def test_movielens_100k_brings_ratings_titles_and_genres(shop: Shop, write: Write) -> None:
    folder = write("u.data", "7\t12\t4\t880000200", "7\t11\t2\t880000100", "9\t12\t5\t880000300").parent
    flags = {"11": "0|1|0|0|0|1", "12": "0|0|0|0|0|0|0|0|1"}
    rows = [f"{i}|Café {i} (1995)|01-Jan-1995||http://x|{f}" for i, f in flags.items()]
    rows = [row + "|0" * (23 - row.count("|")) for row in rows]
    write("u.item", *rows, encoding="latin-1")
    outcome = shop.imports(folder)
    assert (outcome.format, outcome.events, outcome.items, outcome.refused) == ("MovieLens 100k", 3, 2, {})
    assert [brief(e) for e in shop.events()] == [
        ("7", "rating", "11", 880_000_100_000),
        ("7", "rating", "12", 880_000_200_000),
        ("9", "rating", "12", 880_000_300_000),
    ]
    assert [e.rating for e in shop.events()] == [2.0, 4.0, 5.0]
    assert [e.category for e in shop.events()] == ["Action", "Drama", "Drama"]
    assert shop.items()["11"].title == "Café 11 (1995)"
    assert shop.items()["11"].categories == ("Action", "Comedy")
    assert shop.features("7").interaction_count == 2


def test_movielens_100k_works_from_the_ratings_file_alone(shop: Shop, write: Write) -> None:
    outcome = shop.imports(write("u.data", "7\t12\t4\t880000200"))
    assert (outcome.events, outcome.bare_items) == (1, 1)


def test_movielens_1m_splits_at_double_colons_and_reads_latin_1(shop: Shop, write: Write) -> None:
    write("movies.dat", 'a::"Odd" Été (1999)::Comedy|Drama', "b::B, the::Film-Noir", encoding="latin-1")
    folder = write("ratings.dat", "1::a::5::978300760", "1::b::3::978300700").parent
    outcome = shop.imports(folder)
    assert (outcome.events, outcome.items, outcome.refused) == (2, 2, {})
    assert shop.items()["a"].title == '"Odd" Été (1999)'
    assert shop.items()["a"].categories == ("Comedy", "Drama")
    assert [e.item_id for e in shop.events()] == ["b", "a"]


def test_movielens_latest_takes_movies_from_beside_the_ratings(shop: Shop, write: Write) -> None:
    write(
        "movies.csv",
        "movieId,title,genres",
        '1,"Boat, The (2001)",War|Drama',
        "2,Sun (2002),(no genres listed)",
    )
    write("tags.csv", "userId,movieId,tag,timestamp", "1,1,wet,1200000000")
    path = write("ratings.csv", "userId,movieId,rating,timestamp", "1,1,4.5,1200000000", "1,2,0.5,1200000001")
    assert shop.imports(path).events == 2
    assert shop.items()["1"].title == "Boat, The (2001)"
    assert shop.items()["2"].categories == ()


def test_retailrocket_maps_its_types_and_takes_the_last_category(shop: Shop, write: Write) -> None:
    header = "timestamp,itemid,property,value"
    rows = ["1433041200000,5,categoryid,16", "1433646000000,5,categoryid,18", "1433041200000,5,790,n32.0"]
    write("item_properties_part1.csv", header, *rows)
    rows = ["1433041200000,6,available,1", "1433646000000,6,available,0", "1433646000000,5,available,1"]
    write("item_properties_part2.csv", header, *rows)
    header = "timestamp,visitorid,event,itemid,transactionid"
    rows = ["1433221332117,25,view,5,", "1433221332118,25,addtocart,5,", "1433221332119,25,transaction,5,77"]
    folder = write("events.csv", header, *rows).parent
    outcome = shop.imports(folder)
    assert (outcome.format, outcome.events, outcome.refused) == ("RetailRocket", 3, {})
    assert [e.type for e in shop.events()] == [EventType.VIEW, EventType.CART, EventType.PURCHASE]
    assert shop.items()["5"].categories == ("Category 18",)
    assert shop.items()["5"].stock is None
    assert shop.items()["6"].stock == 0
    assert shop.features("25").purchased == {"5": 1.0}


def test_retailrocket_needs_no_properties(shop: Shop, write: Write) -> None:
    path = write("events.csv", "timestamp,visitorid,event,itemid,transactionid", "1433221332117,25,view,5,")
    assert shop.imports(path).bare_items == 1


def test_rees46_makes_items_of_what_its_rows_say(shop: Shop, write: Write) -> None:
    path = write(
        "2019-Oct.csv",
        "event_time,event_type,product_id,category_id,category_code,brand,price,user_id,user_session",
        "2019-10-01 00:00:10 UTC,cart,7,99,appliances.kitchen.water_heater,oro,35.50,1,s1",
        "2019-10-01 00:00:00 UTC,view,7,99,appliances.kitchen.water_heater,oro,33.20,1,s1",
        "2019-10-01 00:00:20 UTC,remove_from_cart,7,99,,,33.20,1,s1",
        "2019-10-01 00:00:30 UTC,purchase,8,98,,,9.99,2,s2",
    )
    outcome = shop.imports(path)
    assert (outcome.events, outcome.refused) == (3, {"type is not known: remove_from_cart": 1})
    first, *_ = shop.events()
    assert (first.type, first.ts, first.session_id, first.price) == ("view", 1_569_888_000_000, "s1", 33.2)
    heater = shop.items()["7"]
    assert (heater.title, heater.brand, heater.price) == ("Oro water heater", "oro", 33.2)
    assert heater.categories == ("appliances.kitchen.water_heater", "appliances")
    assert first.category == "appliances.kitchen.water_heater"
    assert shop.items()["8"].title == ""


def test_what_rows_say_of_an_item_does_not_replace_the_catalogs_own_word(shop: Shop, write: Write) -> None:
    items = write("mine.jsonl", '{"item_id": "7", "title": "My heater"}', '{"item_id": "9", "title": "Gone"}')
    shop.imports(items=items)
    shop.delete_item("9")
    header = "event_time,event_type,product_id,category_id,category_code,brand,price,user_id,user_session"
    shop.imports(
        write("events.csv", header, *(f"2019-10-01 00:00:00 UTC,view,{i},9,a.b,oro,1,1,s" for i in (7, 8, 9)))
    )
    found = shop.items()
    assert (found["7"].title, found["8"].title, "9" in found) == ("My heater", "Oro b", False)


def test_yoochoose_takes_clicks_and_buys_by_session(shop: Shop, write: Write) -> None:
    write("yoochoose-clicks.dat", "1,2014-04-07T10:51:09.277Z,214,0", "1,2014-04-07T10:54:09.868Z,215,5",
          "2,2014-04-07T11:00:00.000Z,216,S", "2,2014-04-07T11:00:01.000Z,217,2089046013")  # fmt: skip
    folder = write(
        "yoochoose-buys.dat", "1,2014-04-07T10:55:00.000Z,215,1046,2", "1,2014-04-07T10:56:00.000Z,214,0,0"
    ).parent
    outcome = shop.imports(folder)
    assert (outcome.format, outcome.events, outcome.refused) == ("YooChoose", 6, {})
    assert [brief(e) for e in shop.events()][:3] == [
        ("1", "click", "214", 1_396_867_869_277),
        ("1", "click", "215", 1_396_868_049_868),
        ("1", "purchase", "215", 1_396_868_100_000),
    ]
    buys = [e for e in shop.events() if e.type == "purchase"]
    assert [(e.quantity, e.price, e.session_id) for e in buys] == [(2.0, 1046.0, "1"), (None, None, "1")]
    assert shop.items()["215"].categories == ("Category 5",)
    assert shop.items()["217"].brand == "2089046013"


def test_prepared_yoochoose_is_known_by_its_header(shop: Shop, write: Write) -> None:
    path = write("train.tsv", "SessionId\tItemId\tTime", "3\t21\t1396437466.94", "3\t22\t1396438212.318")
    assert shop.imports(path).events == 2
    assert [e.ts for e in shop.events()] == [1_396_437_466_940, 1_396_438_212_318]


def test_online_retail_knows_cancellations_and_reads_parquet(shop: Shop, tmp_path: Path) -> None:
    table = pa.table(
        {
            "InvoiceNo": ["5", "C6", "7"],
            "StockCode": ["85A", "85A", "22"],
            "Description": ["HEART LIGHT", "HEART LIGHT", "BOX"],
            "Quantity": [6, -2, 1],
            "InvoiceDate": pa.array([1_291_000_000, 1_291_000_100, 1_291_000_200], pa.timestamp("s")),
            "UnitPrice": [2.55, 2.55, 1.0],
            "CustomerID": [17850.0, 17850.0, None],
            "Country": ["UK"] * 3,
        }
    )
    pq.write_table(table, tmp_path / "retail.parquet")
    outcome = shop.imports(tmp_path / "retail.parquet")
    assert (outcome.events, outcome.refused) == (2, {"user_id is missing": 1})
    bought, cancelled = shop.events()
    assert brief(bought) == ("17850", "purchase", "85A", 1_291_000_000_000)
    assert (cancelled.type, cancelled.quantity) == ("cancel", 2.0)
    assert shop.features("17850").purchased == {"85A": 4.0}
    assert shop.items()["85A"].title == "HEART LIGHT"
    assert shop.items()["85A"].currency == "GBP"


RATINGS = b"userId,movieId,rating,timestamp\n1,1,4.0,1200000000\n1,2,3.0,1200000001\n"


def _zst(data: bytes) -> bytes:
    return bytes(pa.Codec("zstd").compress(data, asbytes=True))


@pytest.mark.parametrize(
    ("name", "pack"),
    [
        ("ratings.csv.gz", gzip.compress),
        ("ratings.csv.bz2", bz2.compress),
        ("ratings.csv.zst", _zst),
        ("parts.csv.zst", lambda data: _zst(data[:40]) + _zst(data[40:])),
        ("Ratings.CSV", bytes),
    ],
)
def test_files_may_be_compressed(
    shop: Shop, tmp_path: Path, name: str, pack: Callable[[bytes], bytes]
) -> None:
    (tmp_path / name).write_bytes(pack(RATINGS))
    assert shop.imports(tmp_path / name).events == 2


def test_a_zip_is_a_folder(shop: Shop, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "ml-tiny.zip", "w") as archive:
        archive.writestr("ml-tiny/README.txt", "read me")
        archive.writestr("ml-tiny/ratings.csv", RATINGS)
        archive.writestr("ml-tiny/movies.csv", b"movieId,title,genres\n1,A,Drama\n2,B,Drama\n")
    outcome = shop.imports(tmp_path / "ml-tiny.zip")
    assert (outcome.events, outcome.items) == (2, 2)


def test_the_same_content_compressed_or_renamed_is_the_same(shop: Shop, tmp_path: Path) -> None:
    (tmp_path / "ratings.csv").write_bytes(RATINGS)
    shop.imports(tmp_path / "ratings.csv")
    (tmp_path / "copy").mkdir()
    (tmp_path / "copy" / "ratings.csv.gz").write_bytes(gzip.compress(RATINGS))
    again = shop.imports(tmp_path / "copy")
    assert (again.events, len(again.unchanged), len(shop.events())) == (0, 1, 2)
