"""A few columns of any table that somebody hands to a command: users, pairs, histories."""
# ruff: noqa: S608  # values from outside go through `literal` and `identifier`

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import duckdb
import msgspec

from shortlist.importing.found import Found, files_of, stage
from shortlist.importing.layout import Layout, look
from shortlist.importing.problem import ColumnUnknown, Unreadable
from shortlist.progress import silent

USER = ("user", "user_id", "userid", "customer", "customer_id", "customerid", "visitorid", "visitor_id", "id")
ITEM = ("item", "item_id", "itemid", "movieid", "movie_id", "product", "product_id", "productid", "stockcode")
CASE = ("case", "case_id", "caseid", "session", "session_id", "sessionid", *USER)
PLACE = ("pos", "position", "order", "rank", "step", "ts", "time", "timestamp")


def read_columns(path: Path, wanted: Mapping[str, Sequence[str]]) -> list[list[str]]:
    """The values of the wanted columns, as text, a list for each, in the order of the file.

    wanted: what a column means → the names it may have (case does not matter). Without any such name in the
    file, columns are taken by their places, and a first line that is no header is a row like others. Rows
    that lack one of the values are left out.
    CSV, TSV, JSON lines and Parquet are recognised by their content; compressed or not.
    Raises Unreadable, ColumnUnknown naming what there is.
    """
    found, chosen, layout = _found(path, wanted)
    with tempfile.TemporaryDirectory(prefix="shortlist-read-") as folder, duckdb.connect() as connection:
        staged = stage(found, Path(folder), "", silent)
        texts = [layout.text(column) for column in chosen]
        whole = " AND ".join(f"{text} IS NOT NULL" for text in texts)
        try:
            rows = connection.execute(
                f"SELECT {', '.join(texts)} FROM {layout.read(staged)} WHERE {whole} ORDER BY row"
            ).fetchall()
        except duckdb.Error as error:
            raise Unreadable(f"{path}: {str(error).splitlines()[0]}") from None
    return [list(column) for column in zip(*rows, strict=True)] if rows else [[] for _ in chosen]


def check_columns(path: Path, wanted: Mapping[str, Sequence[str]]) -> None:
    """Raise what `read_columns` would, as far as the beginning of the file shows it."""
    _found(path, wanted)


def _found(path: Path, wanted: Mapping[str, Sequence[str]]) -> tuple[Found, list[str], Layout]:
    found = files_of(path)
    if len(found) != 1:
        raise Unreadable(f"{path}: one file is needed here, this is {len(found)}")
    return found[0], *_chosen(path, look(found[0]), wanted)


def _chosen(path: Path, layout: Layout, wanted: Mapping[str, Sequence[str]]) -> tuple[list[str], Layout]:
    by_name = {column.strip().lower(): column for column in layout.columns}
    named: dict[str, str] = {}
    for meaning, names in wanted.items():
        for name in names:
            if name in by_name and by_name[name] not in named.values():
                named[meaning] = by_name[name]
                break
    if len(named) == len(wanted):
        return list(named.values()), layout
    if not named and len(layout.columns) >= len(wanted) and layout.kind != "json":
        if layout.header:  # what looked like a header is the first row
            columns = tuple(f"column{n}" for n in range(len(layout.columns)))
            layout = msgspec.structs.replace(layout, header=False, columns=columns)
        return list(layout.columns[: len(wanted)]), layout
    missing = [
        f"{meaning} ({', '.join(wanted[meaning][:3])} …)" for meaning in wanted if meaning not in named
    ]
    raise ColumnUnknown(
        f"{path}: no column for {' and '.join(missing)}; it has {', '.join(layout.columns) or 'none'}"
    )
