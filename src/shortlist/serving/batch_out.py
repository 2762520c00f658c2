"""Where a batch is written: Parquet, CSV, TSV or JSON lines, whole or not at all."""

import csv
import glob
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from shortlist.errors import ShortlistError
from shortlist.serving.batch import Row

COLUMNS = ("user", "item", "rank", "score", "reason")
KINDS = (".parquet", ".csv", ".tsv", ".jsonl")

Write = Callable[[Sequence[Row]], None]


class OutputRefused(ShortlistError):
    """The file named for the output cannot be written."""


def check_name(path: Path) -> None:
    """Raises OutputRefused unless the name of the file says in which form to write it."""
    if path.suffix.lower() not in KINDS:
        has = f"not {path.suffix}" if path.suffix else "it has none"
        raise OutputRefused(
            f"{path}: the name must end in one of {', '.join(KINDS)}, {has}; choose one of them"
        )
    if not path.absolute().parent.is_dir():
        raise OutputRefused(f"{path}: there is no folder {path.parent}; make it first")


@contextmanager
def writing(path: Path) -> Iterator[Write]:
    """Take rows and write them to `path`; its suffix says how.

    The file appears when all is written: what fails in between leaves an older one as it was.
    Raises OutputRefused.
    """
    check_name(path)
    scratch = path.with_name(f".{path.name}.part")
    try:
        with _OPEN[path.suffix.lower()](scratch) as write:
            yield write
        scratch.replace(path)
    except OSError as error:
        raise OutputRefused(f"{path}: {error.strerror}") from None
    finally:
        scratch.unlink(missing_ok=True)


@contextmanager
def _parquet(path: Path) -> Iterator[Write]:
    """By way of JSON lines beside it: DuckDB writes a whole table, and a batch may be larger than memory."""
    rows = path.with_name(f"{path.name}.rows")
    try:
        with _json(rows) as write:
            yield write
        _convert(rows, path)
    finally:
        rows.unlink(missing_ok=True)


def _convert(rows: Path, parquet: Path) -> None:
    import duckdb

    types = {"user": "VARCHAR", "item": "VARCHAR", "rank": "INTEGER", "score": "FLOAT", "reason": "VARCHAR"}
    try:
        with duckdb.connect() as database:
            # Escaped, for DuckDB takes brackets and stars in a folder's name for a pattern.
            lines = database.read_json(glob.escape(str(rows)), columns=types, format="newline_delimited")
            lines.write_parquet(str(parquet))
    except duckdb.Error as error:
        raise OutputRefused(f"{parquet}: {str(error).splitlines()[0]}") from None


def _separated(delimiter: str) -> Any:
    @contextmanager
    def opened(path: Path) -> Iterator[Write]:
        with path.open("w", encoding="utf-8", newline="") as file:
            lines = csv.writer(file, delimiter=delimiter, lineterminator="\n")
            lines.writerow(COLUMNS)

            def write(rows: Sequence[Row]) -> None:
                lines.writerows((r.user, r.item, r.rank, f"{r.score:.6g}", r.reason) for r in rows)

            yield write

    return opened


@contextmanager
def _json(path: Path) -> Iterator[Write]:
    encode = msgspec.json.Encoder().encode_lines
    with path.open("wb") as file:

        def write(rows: Sequence[Row]) -> None:
            file.write(encode(rows))

        yield write


_OPEN: dict[str, Any] = {
    ".parquet": _parquet,
    ".csv": _separated(","),
    ".tsv": _separated("\t"),
    ".jsonl": _json,
}
