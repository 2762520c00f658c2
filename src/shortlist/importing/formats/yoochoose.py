"""YooChoose (RecSys Challenge 2015): clicks and buys of anonymous sessions; a session stands for a user."""

from collections.abc import Sequence

from shortlist.importing.found import Found
from shortlist.importing.layout import Layout, look, split
from shortlist.importing.plan import Plan, Rows

CLICKS = ("session", "ts", "item_id", "category")
BUYS = ("session", "ts", "item_id", "price", "quantity")
# As session-rec and many papers prepare it.
PREPARED = {"SessionId", "ItemId", "Time"}


def yoochoose(given: Sequence[Found], beside: Sequence[Found]) -> Plan | None:
    """The challenge's own files, or prepared tables with a header."""
    clicks = [f for f in given if _is_raw(f, "clicks", 4)]
    buys = [f for f in given if _is_raw(f, "buys", 5)]
    if clicks or buys:
        events = (*(_rows(f, CLICKS, "click") for f in clicks), *(_rows(f, BUYS, "purchase") for f in buys))
        return Plan("YooChoose", events, seen=tuple(_categories(found) for found in clicks))
    prepared = [f for f in given if f.name.endswith((".txt", ".tsv", ".csv")) and _is_prepared(f)]
    if prepared:
        return Plan("YooChoose (prepared)", tuple(_prepared(found) for found in prepared))
    return None


def _is_raw(found: Found, word: str, columns: int) -> bool:
    if word not in found.name or not found.name.endswith((".dat", ".csv", ".txt")):
        return False
    first = found.head().split(b"\n")[0].decode("utf-8", "replace").strip()
    values = split(first, ",")
    return len(values) == columns and values[0].isdigit() and "T" in values[1]


def _rows(found: Found, columns: tuple[str, ...], kind: str) -> Rows:
    layout = Layout("delimited", columns, ",")
    names = [name for name in columns if name not in ("session", "category")]
    fields = {name: layout.text(name) for name in names}
    fields["user_id"] = fields["session_id"] = layout.text("session")
    if kind == "purchase":
        # Most buys have price and quantity 0, which means that nobody wrote them down.
        fields |= {name: f"nullif({fields[name]}, '0')" for name in ("price", "quantity")}
    return Rows(found, layout, fields, type=kind)


def _categories(found: Found) -> Rows:
    layout = Layout("delimited", CLICKS, ",")
    category = layout.text("category")
    # 1 to 12 are categories; 0 is unknown, S a special offer, longer numbers are brands.
    number = f"try_cast({category} AS BIGINT)"
    fields = {
        "item_id": layout.text("item_id"),
        "categories": f"CASE WHEN {number} BETWEEN 1 AND 12 THEN 'Category ' || {category} END",
        "brand": f"CASE WHEN {number} > 12 THEN {category} END",
    }
    return Rows(found, layout, fields)


def _is_prepared(found: Found) -> bool:
    return set(look(found).columns) >= PREPARED


def _prepared(found: Found) -> Rows:
    layout = look(found)
    session = layout.text("SessionId")
    fields = {"user_id": session, "session_id": session}
    fields |= {"item_id": layout.text("ItemId"), "ts": layout.text("Time")}
    return Rows(found, layout, fields, type="click")
