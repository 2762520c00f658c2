"""Recommendations for many users, in a file."""

import csv
import json
import re
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result
from tests.cli.conftest import BIKES, TEA, shop_events

from shortlist.cli.recommend import command
from shortlist.features.store import FoldChanged
from shortlist.home import Home


def recommend(home: Home, *args: object) -> Result:
    result = CliRunner().invoke(command, ["--home", str(home.path), *map(str, args)])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def slates(path: Path) -> dict[str, list[str]]:
    """Items by user, in rank order, from a CSV."""
    found = defaultdict[str, list[str]](list)
    with path.open(newline="") as file:
        for row in csv.DictReader(file):
            found[row["user"]].append(row["item"])
            assert int(row["rank"]) == len(found[row["user"]])
    return dict(found)


def of(user: str) -> set[str]:
    return {event.item_id for event in shop_events() if event.user_id == user}


def test_everybody_gets_new_items_of_their_own_taste_first(trained_home: Home, folder: Path) -> None:
    result = recommend(trained_home, "--users", "all", "--limit", 2, "--no-rules", "--out", folder / "r.csv")

    found = slates(folder / "r.csv")
    assert "38 rows for 19 users" in result.output
    assert set(found["u3"]) <= set(TEA) - of("u3")
    assert set(found["u12"]) == set(BIKES) - of("u12")


def test_what_was_seen_comes_only_when_asked(trained_home: Home, folder: Path) -> None:
    (folder / "users.txt").write_text("u3\n")
    ask = ("--users", folder / "users.txt", "--limit", 15, "--no-rules")

    recommend(trained_home, *ask, "--out", folder / "new.csv")
    recommend(trained_home, *ask, "--include-seen", "--out", folder / "all.csv")

    assert set(slates(folder / "new.csv")["u3"]) == set(TEA + BIKES) - of("u3")
    assert set(slates(folder / "all.csv")["u3"]) == set(TEA + BIKES)


def test_bought_and_disliked_items_stay_out_even_so(trained_home: Home, folder: Path) -> None:
    (folder / "users.txt").write_text("buyer\n")

    recommend(
        trained_home,
        "--users",
        folder / "users.txt",
        "--include-seen",
        "--limit",
        15,
        "--out",
        folder / "r.csv",
    )

    found = slates(folder / "r.csv")["buyer"]
    assert "tea1" in found
    assert not {"tea0", "tea2", "tea hidden"} & set(found)


def test_rules_cap_a_category_before_the_slate_is_short(trained_home: Home, folder: Path) -> None:
    (folder / "users.txt").write_text("u3\n")
    ask = ("--users", folder / "users.txt", "--limit", 6, "--include-seen")

    recommend(trained_home, *ask, "--out", folder / "r.csv")
    recommend(trained_home, *ask, "--no-rules", "--out", folder / "free.csv")

    assert sum(item in TEA for item in slates(folder / "r.csv")["u3"]) == 3
    assert sum(item in TEA for item in slates(folder / "free.csv")["u3"]) > 3


def test_features_that_were_folded_with_other_settings_are_not_mixed_with_these(
    trained_home: Home, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHORTLIST_FEATURES__EXPIRE_DAYS", "3")
    with pytest.raises(FoldChanged, match="expire_days"):
        recommend(trained_home, "--users", "all", "--out", folder / "r.csv")
    assert not (folder / "r.csv").exists()


def test_unknown_users_get_popular_items_and_are_named(trained_home: Home, folder: Path) -> None:
    (folder / "users.csv").write_text('user_id\nstranger\n"🎈, ""quoted"""\nu3\n')

    result = recommend(trained_home, "--users", folder / "users.csv", "--limit", 4, "--out", folder / "r.csv")

    found = slates(folder / "r.csv")
    assert "2 users are not in the log and get what is popular: stranger, 🎈" in result.output
    assert list(found) == ["stranger", '🎈, "quoted"', "u3"]
    assert len(found["stranger"]) == 4


def test_candidates_are_put_in_order_without_what_may_not_be_in_a_slate(
    trained_home: Home, folder: Path
) -> None:
    items = ["bike0", "tea5", "tea hidden", "tea0", "tea2", "tea1", "nowhere", "bike1"]
    (folder / "pairs.tsv").write_text("user\titem\n" + "".join(f"buyer\t{item}\n" for item in items))

    result = recommend(trained_home, "--candidates", folder / "pairs.tsv", "--out", folder / "r.csv")

    found = slates(folder / "r.csv")["buyer"]
    assert set(found[:2]) == {"tea1", "tea5"}
    assert set(found) == {"tea1", "tea5", "bike0", "bike1"}  # tea1 was only seen
    assert "1 of 8 candidates are not in the catalog" in result.output


def test_histories_speak_for_people_without_an_id(trained_home: Home, folder: Path) -> None:
    rows = [{"case": "a", "item": "tea1", "pos": 10}, {"case": "a", "item": "tea0", "pos": 9}]
    rows += [{"case": "b", "item": "bike2", "pos": 0}, {"case": "c", "item": "unheard of", "pos": 0}]
    (folder / "h.jsonl").write_text("\n".join(map(json.dumps, rows)))

    recommend(
        trained_home, "--histories", folder / "h.jsonl", "--limit", 2, "--no-rules", "--out", folder / "r.csv"
    )

    found = slates(folder / "r.csv")
    assert set(found["a"]) <= set(TEA) - {"tea0", "tea1"}
    assert set(found["b"]) <= set(BIKES) - {"bike2"}
    assert len(found["c"]) == 2


@pytest.mark.parametrize("suffix", ["parquet", "csv", "tsv", "jsonl"])
def test_every_format_has_the_same_rows(trained_home: Home, folder: Path, suffix: str) -> None:
    out = folder / f"r.{suffix}"

    recommend(trained_home, "--users", "all", "--limit", 1, "--out", out)

    if suffix == "parquet":
        rows = pq.read_table(out).to_pylist()
    elif suffix == "jsonl":
        rows = [json.loads(line) for line in out.read_text().splitlines()]
    else:
        lines = out.read_text().splitlines()
        rows = list(csv.DictReader(lines, delimiter="," if suffix == "csv" else "\t"))
    assert len(rows) == 19
    assert list(rows[0]) == ["user", "item", "rank", "score", "reason"]
    assert all(row["reason"] and float(row["score"]) >= 0 and int(row["rank"]) == 1 for row in rows)


def test_parquet_has_its_types_and_is_written_whole_or_not_at_all(folder: Path) -> None:
    from shortlist.serving.batch import Row
    from shortlist.serving.batch_out import writing

    (other := folder / "shop[1]*").mkdir()
    (folder / "shop1").mkdir()
    out = other / "r.parquet"
    with writing(out) as write:
        write([Row("007", "a", 1, 0.1, "x")])
        write([Row("8", "2026-01-01", 1, 1e-9, "ü")])
    with pytest.raises(ZeroDivisionError), writing(out) as write:
        write([Row("u", "i", 1, 1 / 0, "")])

    table = pq.read_table(out)
    assert [str(kind) for kind in table.schema.types] == ["string", "string", "int32", "float", "string"]
    assert table["user"].to_pylist() == ["007", "8"]
    assert table["item"].to_pylist() == ["a", "2026-01-01"]
    assert table["score"].to_pylist() == pytest.approx([0.1, 1e-9])
    assert [file.name for file in other.iterdir()] == ["r.parquet"]


def test_several_processes_write_what_one_writes(trained_home: Home, folder: Path) -> None:
    for workers in (1, 2):
        recommend(trained_home, "--users", "all", "--workers", workers, "--out", folder / f"{workers}.csv")

    assert (folder / "1.csv").read_bytes() == (folder / "2.csv").read_bytes()


@pytest.mark.parametrize(
    ("name", "why"),
    [("r.xlsx", r"\.parquet, \.csv.*not \.xlsx"), ("r", "it has none"), ("no/r.csv", "there is no folder")],
)
def test_a_refused_output_is_said_before_any_work(folder: Path, name: str, why: str) -> None:
    from shortlist.serving.batch_out import OutputRefused

    with pytest.raises(OutputRefused, match=why):  # not that there is no home
        recommend(Home(folder / "nowhere"), "--users", "all", "--out", folder / name)


@pytest.mark.parametrize(
    ("option", "content", "why"),
    [
        ("--users", None, "no such file"),
        ("--candidates", None, "no such file"),
        ("--histories", None, "no such file"),
        ("--users", "", "the file is empty"),
        ("--candidates", "user,price\nu3,5\n", "no column for item .* it has user, price"),
        ("--histories", "case,item\nc,tea0\n", "no column for pos .* it has case, item"),
    ],
)
def test_a_file_that_cannot_be_read_is_said_before_any_work(
    folder: Path, option: str, content: str | None, why: str
) -> None:
    if content is not None:
        (folder / "asked.csv").write_text(content)
    shortlist = [sys.executable, "-m", "shortlist"]
    args = ["recommend", "--home", "nowhere", option, "asked.csv", "--out", "r.csv"]

    ended = subprocess.run([*shortlist, *args], cwd=folder, capture_output=True, text=True)

    assert ended.returncode == 1
    (line,) = ended.stderr.splitlines()  # not that there is no home
    assert re.fullmatch(rf"shortlist: asked\.csv: {why}.*", line)


def test_a_failure_half_way_leaves_the_old_file(folder: Path) -> None:
    from shortlist.serving.batch import Row
    from shortlist.serving.batch_out import writing

    (folder / "r.csv").write_text("old")
    with pytest.raises(ZeroDivisionError), writing(folder / "r.csv") as write:
        write([Row("u", "i", 1, 1 / 0, "")])

    assert (folder / "r.csv").read_text() == "old"
    assert [file.name for file in folder.iterdir()] == ["r.csv"]


def test_without_a_model_it_says_to_train(home: Home, folder: Path) -> None:
    from shortlist.models.registry import ModelUnknown

    with pytest.raises(ModelUnknown, match="shortlist train"):
        recommend(home, "--users", "all", "--out", folder / "r.csv")


@pytest.mark.parametrize("args", [(), ("--users", "all", "--histories", "h.csv")])
def test_who_is_asked_about_must_be_said_once(home: Home, folder: Path, args: tuple[str, ...]) -> None:
    result = recommend(home, *args, "--out", folder / "r.csv")

    assert result.exit_code == 2
