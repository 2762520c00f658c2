"""How a table lies in its file: which columns, split by what; and the SQL that reads it."""
# ruff: noqa: S608  # values from outside go through `literal` and `identifier`

import csv
import glob
import io
from typing import Literal

import duckdb
import msgspec
from msgspec import Struct

from shortlist.importing.encoding import codec_of, encoding_of, is_written
from shortlist.importing.found import Found, Staged
from shortlist.importing.problem import Unreadable

# A row that DuckDB cannot split is counted here and left out; more than this many are "at least".
MOST_REJECTS = 100_000


class Layout(Struct, frozen=True):
    """The columns of a table and how to find them.

    For delimited text: `delimiter`, and whether the first line is a header. For JSON lines: the keys of the
    first objects. Parquet says everything by itself.
    """

    kind: Literal["delimited", "json", "parquet"]
    columns: tuple[str, ...]
    delimiter: str = ""
    header: bool = False
    quote: str = '"'
    types: tuple[str, ...] = ()  # of Parquet's columns

    def text(self, column: str) -> str:
        """The SQL of a column's value as text, NULL where it is missing or empty."""
        if self.kind == "json":
            # A key of its own goes before a path: {"a.b": 1} has no nested a.
            steps = [column] if column in self.columns else column.split(".")
            return f"nullif(try(line ->> {literal('.'.join(['$', *map(identifier, steps)]))}), '')"
        name = identifier(column)
        if self.kind == "parquet":
            kind = self.types[self.columns.index(column)]
            if kind in ("DOUBLE", "FLOAT"):
                # Ids read through a spreadsheet or pandas come as 17850.0.
                whole = f"{name} = trunc({name}) AND abs({name}) < 1e18"
                name = f"if({whole}, {name}::BIGINT::VARCHAR, {name}::VARCHAR)"
            elif kind.endswith("[]") or kind.startswith(("STRUCT", "MAP")):
                name = f"to_json({name})"
        return f"nullif(CAST({name} AS VARCHAR), '')"

    def has(self, column: str) -> bool:
        """Whether there is such a column (in JSON: key, or path whose first step is a key)."""
        return column in self.columns or (self.kind == "json" and column.split(".")[0] in self.columns)

    def read(self, staged: Staged, *, rejects: str = "") -> str:
        """The SQL that gives the rows in the order of the file; `row` counts them from 1.

        rejects: name of the table that takes lines that cannot be split."""
        path = literal(str(staged.path))
        if self.kind == "parquet":
            return f"(SELECT *, file_row_number + 1 AS row FROM read_parquet({path}, file_row_number = true))"
        columns = {"line": "VARCHAR"} if self.kind == "json" else dict.fromkeys(self.columns, "VARCHAR")
        if self.kind == "json":
            # One column split by what no JSON text holds: DuckDB's own JSON reader would lose line numbers.
            options = "delim = '\x01', quote = '', escape = '', header = false"
        else:
            quoting = f"quote = {literal(self.quote)}, escape = {literal(self.quote)}"
            options = f"delim = {literal(self.delimiter)}, {quoting}, header = {self.header}"
        tables = f"rejects_table = {literal(rejects)}, rejects_scan = {literal(rejects + '_scans')}"
        keep = f", {tables}, rejects_limit = {MOST_REJECTS}" if rejects else ""
        shape = ", ".join(f"{literal(name)}: 'VARCHAR'" for name in columns)
        return (
            f"(SELECT *, row_number() OVER () AS row FROM read_csv({path}, auto_detect = false, {options}, "
            f"columns = {{{shape}}}, compression = 'none', ignore_errors = true{keep}))"
        )


def literal(text: str) -> str:
    """`text` as a string in SQL."""
    return "'" + text.replace("'", "''") + "'"


def identifier(name: str) -> str:
    """`name` as an identifier in SQL."""
    return '"' + name.replace('"', '""') + '"'


def look(found: Found, encoding: str = "") -> Layout:
    """How a file's table lies in it, from its first lines (or its own footer). Raises Unreadable."""
    head = found.head()
    if not head.strip():
        raise Unreadable(f"{found.shown}: the file is empty")
    if head.startswith(b"PAR1"):
        return _parquet(found)
    codec = codec_of(encoding_of(head, encoding, found.shown))
    # Errors are the business of staging, which names the line; and a cut may fall inside a character.
    text = head.decode("utf-8-sig" if codec == "utf-8" else codec, "replace")
    _refuse_binary(found, head, text)
    lines = [line for line in text.splitlines() if line.strip()]
    if not lines:
        raise Unreadable(f"{found.shown}: the file is empty")
    if lines[0].lstrip().startswith("["):
        raise Unreadable(f"{found.shown}: one JSON array; write one object per line (JSON lines) instead")
    if lines[0].lstrip().startswith("{"):
        return Layout("json", _keys(found, lines[:100]))
    return _delimited(found, lines)


def _delimited(found: Found, lines: list[str]) -> Layout:
    first = lines[0]
    if found.name.endswith((".tsv", ".tab")):
        delimiter = "\t"
    elif "::" in first:
        delimiter = "::"  # MovieLens 1M
    else:
        delimiter = max(",\t;|", key=lambda sign: len(split(first, sign)))
    columns = split(first, delimiter)
    # A name stands for one column only; a table of bare numbers has no header line.
    header = len(set(columns)) == len(columns) and not any(_is_value(column) for column in columns)
    if not header:
        columns = [f"column{n}" for n in range(len(columns))]
    # Where the delimiter is two signs there are no quotes: a title may begin with one.
    quote = '"' if len(delimiter) == 1 else ""
    return Layout("delimited", tuple(columns), delimiter, header, quote)


def split(line: str, delimiter: str) -> list[str]:
    """One line of delimited text as its values."""
    if len(delimiter) > 1:
        return line.split(delimiter)
    return next(csv.reader(io.StringIO(line), delimiter=delimiter), [])


def _is_value(text: str) -> bool:
    """Whether a value of the first line cannot be a column's name: empty, a number or a time."""
    return not text.strip() or text.strip()[0].isdigit() or text.strip()[0] in "-+."


def _keys(found: Found, lines: list[str]) -> tuple[str, ...]:
    """The keys of the objects. What single lines have wrong is counted later; here none of them reads."""
    keys: dict[str, None] = {}
    why = "no object with a key"
    for line in reversed(lines):
        try:
            row = msgspec.json.decode(line)
        except msgspec.DecodeError as error:
            why = str(error)
            continue
        keys.update(dict.fromkeys(row if isinstance(row, dict) else ()))
    if not keys:
        raise Unreadable(
            f"{found.shown}: line 1 is not JSON: {why}; write one whole object per line (JSON lines)"
        )
    return tuple(keys)


# How files that are no tables begin, and what to say of them.
MAGIC = (
    (b"\x89PNG", "a PNG picture"),
    (b"\xff\xd8\xff", "a JPEG picture"),
    (b"GIF8", "a GIF picture"),
    (b"RIFF", "a sound or picture"),
    (b"%PDF", "a PDF document"),
    (b"SQLite format 3", "a SQLite database"),
    (b"\x89HDF", "an HDF5 file"),
    (b"PK\x03\x04", "a zip or an Excel workbook; give a zip the suffix .zip, save a sheet as CSV"),
    (b"\xd0\xcf\x11\xe0", "an Excel workbook; save the sheet as CSV"),
    (b"\x80\x04", "a pickle of Python; write it as Parquet"),
)


def _refuse_binary(found: Found, head: bytes, text: str) -> None:
    """Raise Unreadable with what the file is when it is not text."""
    what = next((name for magic, name in MAGIC if head.startswith(magic)), "")
    if what or not is_written(text):
        raise Unreadable(
            f"{found.shown}: not text but {what or 'something binary'}; "
            "CSV, TSV, JSON lines and Parquet are read"
        )


def _parquet(found: Found) -> Layout:
    if found.member or found.name != found.path.name.lower():
        raise Unreadable(f"{found.shown}: a Parquet file inside an archive; unpack it first")
    path = glob.escape(str(found.path))
    try:
        with duckdb.connect() as connection:
            rows = connection.execute(f"DESCRIBE SELECT * FROM read_parquet({literal(path)})").fetchall()
    except duckdb.Error as error:
        raise Unreadable(f"{found.shown}: not a Parquet file ({str(error).splitlines()[0]})") from None
    return Layout("parquet", tuple(r[0] for r in rows), types=tuple(r[1] for r in rows))
