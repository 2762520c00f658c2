"""Rows become items: one per id, the latest word on each field."""
# ruff: noqa: S608  # values from outside go through `literal` and `identifier`

from collections.abc import Iterator, Sequence
from typing import Any

import duckdb
import msgspec

from shortlist.catalog.attributes import refused
from shortlist.catalog.item import Item
from shortlist.events.event import MAX_ID_BYTES
from shortlist.importing.found import Staged
from shortlist.importing.layout import literal
from shortlist.importing.mapping import ITEM_NAMES
from shortlist.importing.plan import Rows
from shortlist.importing.problem import Example, Outcome
from shortlist.importing.stream import streamed
from shortlist.refusal import UNKNOWN, refusal

FIELDS = tuple(ITEM_NAMES)
# Columns that mean nothing to us are kept as attributes, but not more of them than a person would look at.
MOST_ATTRIBUTES = 30


def read_items(
    connection: duckdb.DuckDBPyConnection,
    files: Sequence[tuple[Rows, Staged]],
    outcome: Outcome,
    *,
    size: int,
) -> Iterator[list[Item]]:
    """The items that `files` speak of, by id, `size` at a time; refused rows are counted in `outcome`."""
    parts = [_select(number, rows, staged) for number, (rows, staged) in enumerate(files)]
    values = ", ".join(
        f"arg_max({name}, (latest, file, row)) AS {name}" for name in (*FIELDS[1:], "attributes")
    )
    query = (
        f"SELECT item_id, {values}, min((file, row)) FROM ({' UNION ALL '.join(parts)}) "
        "GROUP BY item_id ORDER BY item_id"
    )
    for batch in streamed(connection, query, size):
        items = []
        for *texts, (file, number) in batch:
            row = dict(zip((*FIELDS, "attributes"), texts, strict=True))
            item = _item(row, files[file][0], number, outcome)
            if item is not None:
                items.append(item)
        yield items


def _select(number: int, rows: Rows, staged: Staged) -> str:
    fields = [f"{rows.fields.get(name, 'NULL')} AS {name}" for name in FIELDS[:-1]]
    if "added_ms" in rows.fields:
        fields.append(f"time_ms({rows.fields['added_ms']})::VARCHAR AS added_ms")
    else:
        fields.append("NULL AS added_ms")
    layout = rows.layout
    attributes = "NULL"
    if rows.keep_rest:
        read = set(rows.fields.values())
        rest = [column for column in layout.columns if layout.text(column) not in read][:MOST_ATTRIBUTES]
        pairs = ", ".join(f"{literal(column)}: {layout.text(column)}" for column in rest)
        attributes = f"to_json(MAP {{{pairs}}})::VARCHAR" if rest else "NULL"
    where = f"WHERE {rows.where}" if rows.where else ""
    return (
        f"SELECT {', '.join(fields)}, {attributes} AS attributes, {rows.latest or 0} AS latest, "
        f"{number} AS file, row FROM {layout.read(staged)} {where}"
    )


def _item(row: dict[str, Any], rows: Rows, number: int, outcome: Outcome) -> Item | None:
    """The item in a row of texts; None, counted, when it is none."""
    try:
        return item_of(row)
    except ValueError as error:
        reason = f"item: {error}"
        if outcome.refused.get(reason, 0) < 3:
            line = number + rows.layout.header
            outcome.examples.append(Example(rows.found.shown, line, reason, str(row["item_id"])[:120]))
        outcome.refuse(reason)
        return None


def item_of(row: dict[str, Any]) -> Item:
    """The item in a row of texts (None: missing). Raises ValueError naming the field that does not fit.

    >>> item_of({"item_id": "7", "title": "Kettle", "categories": "Kitchen|Tea", "price": "19.5"}).categories
    ('Kitchen', 'Tea')
    """
    values: dict[str, Any] = {name: value for name, value in row.items() if value not in (None, "")}
    _check_id("item_id", values.get("item_id"))
    if "variant_of" in values:
        _check_id("variant_of", values["variant_of"])
    if "categories" in values:
        values["categories"] = categories_of(values["categories"])
    for name in ("price", "margin"):
        if name in values:
            values[name] = _number(name, values[name])
    if "stock" in values:
        values["stock"] = int(_number("stock", values["stock"]))
    if "hidden" in values:
        values["hidden"] = values["hidden"].strip().lower() in ("true", "1", "yes", "t", "y")
    if "added_ms" in values:
        values["added_ms"] = int(_number("added_ms", values["added_ms"]))
    if "attributes" in values:
        values["attributes"] = _attributes(msgspec.json.decode(values["attributes"]))
        if why := refused(values["attributes"]):
            raise ValueError(f"attributes: {why}")
    try:
        return msgspec.convert(values, Item)
    except msgspec.ValidationError as error:
        # Without the value: reasons are counted, and the example shows the row.
        raise ValueError(" ".join(refusal(error, Item, UNKNOWN, whole="it"))) from None


def _attributes(rest: dict[str, str | None]) -> dict[str, Any]:
    """Columns that mean nothing to us; one named `attributes` that holds an object is that object."""
    found: dict[str, Any] = {name: value for name, value in rest.items() if value is not None}
    if found.get("attributes", "").startswith("{"):
        found |= msgspec.json.decode(found.pop("attributes"))
    return found


def categories_of(text: str) -> tuple[str, ...]:
    """Categories in a text: a JSON list, or parted by `|`, `;` or ` > `; each once, the first is primary.

    >>> categories_of("Home > Kitchen"), categories_of('["a, b", "c"]')
    (('Home', 'Kitchen'), ('a, b', 'c'))
    """
    if text.startswith("["):
        try:
            parts = [str(part) for part in msgspec.json.decode(text) if part is not None]
        except msgspec.DecodeError:
            parts = [text]
    else:
        parts = text.replace(" > ", "|").replace(";", "|").split("|")
    return tuple(dict.fromkeys(part.strip() for part in parts if part.strip()))


def _check_id(name: str, item_id: str | None) -> None:
    if not item_id:
        raise ValueError(f"{name} is missing")
    if len(item_id.encode()) > MAX_ID_BYTES:
        raise ValueError(f"{name} is longer than {MAX_ID_BYTES} bytes")
    if any(c < " " or "\x7f" <= c <= "\x9f" for c in item_id):
        raise ValueError(f"{name} has a control character")


def _number(name: str, text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        raise ValueError(f"{name} is not a number") from None
    if number != number or abs(number) > 1e15:
        raise ValueError(f"{name} is not a number")
    return number
