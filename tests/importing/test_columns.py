"""Users, pairs and histories are read from whatever table somebody has."""

import gzip
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from shortlist.importing.columns import CASE, ITEM, PLACE, USER, read_columns
from shortlist.importing.problem import ColumnUnknown, Unreadable

PAIRS = {"user": USER, "item": ITEM}


def written(tmp_path: Path, text: str, name: str = "f") -> Path:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    "text",
    [
        "user,item\n1,a\n2,b\n",
        "item_id;rating;user_id\na;5;1\nb;4;2\n",
        "userId\tmovieId\n1\ta\n2\tb\n",
        "1,a\n2,b\n",
        '{"user_id": 1, "item_id": "a"}\n{"user_id": "2", "item_id": "b", "x": []}\n',
        "user,item\n1,a\n,gone\n2,b",
        "User,Item\r\n1,a\r\n2,b\r\n",
    ],
    ids=["csv", "semicolons, other order", "tsv", "no header", "json lines", "a row without user", "windows"],
)
def test_pairs_are_recognised_by_content_and_header(tmp_path: Path, text: str) -> None:
    assert read_columns(written(tmp_path, text), PAIRS) == [["1", "2"], ["a", "b"]]


def test_a_column_of_ids_may_have_no_header(tmp_path: Path) -> None:
    assert read_columns(written(tmp_path, "alice\nbob\n🎈\n"), {"user": USER}) == [["alice", "bob", "🎈"]]


def test_leading_zeros_are_part_of_an_id(tmp_path: Path) -> None:
    assert read_columns(written(tmp_path, "user\n007\n7\n"), {"user": USER}) == [["007", "7"]]


def test_parquet_numbers_become_their_decimal_strings(tmp_path: Path) -> None:
    pq.write_table(pa.table({"user": [1, 2], "item": [3.0, 4.0]}), tmp_path / "p")

    assert read_columns(tmp_path / "p", PAIRS) == [["1", "2"], ["3", "4"]]


def test_a_compressed_file_is_read_like_a_plain_one(tmp_path: Path) -> None:
    (tmp_path / "f.csv.gz").write_bytes(gzip.compress(b"user,item\n1,a\n"))

    assert read_columns(tmp_path / "f.csv.gz", PAIRS) == [["1"], ["a"]]


def test_histories_have_a_case_an_item_and_a_place(tmp_path: Path) -> None:
    path = written(tmp_path, "SessionId,ItemId,Time\ns,a,20\ns,b,10\n")

    assert read_columns(path, {"case": CASE, "item": ITEM, "pos": PLACE}) == [
        ["s", "s"],
        ["a", "b"],
        ["20", "10"],
    ]


def test_a_missing_column_is_named_with_what_there_is(tmp_path: Path) -> None:
    with pytest.raises(ColumnUnknown, match=r"no column for item .* it has user, rating"):
        read_columns(written(tmp_path, "user,rating\n1,5\n"), PAIRS)


def test_a_missing_file_says_so(tmp_path: Path) -> None:
    with pytest.raises(Unreadable, match="no such file"):
        read_columns(tmp_path / "nothing", PAIRS)


def test_an_empty_file_says_so(tmp_path: Path) -> None:
    with pytest.raises(Unreadable, match="empty"):
        read_columns(written(tmp_path, ""), PAIRS)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32", "utf-8-sig"])
def test_text_is_read_as_its_mark_says(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "pairs.csv"
    path.write_bytes("user,item\nå,x\n".encode(encoding))

    assert read_columns(path, PAIRS) == [["å"], ["x"]]
