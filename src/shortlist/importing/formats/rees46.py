"""REES46's shops (multi-category, cosmetics, electronics): each row an event and a word on its item."""

from collections.abc import Sequence

from shortlist.importing.found import Found
from shortlist.importing.layout import look
from shortlist.importing.plan import Plan, Rows

COLUMNS = {"event_time", "event_type", "product_id", "price", "user_id", "user_session"}


def rees46(given: Sequence[Found], beside: Sequence[Found]) -> Plan | None:
    """Every file of REES46's columns, each both as events and as what they say of items."""
    files = [f for f in given if f.name.endswith(".csv") and set(look(f).columns) >= COLUMNS]
    if not files:
        return None
    return Plan("REES46", tuple(map(_events, files)), seen=tuple(map(_items, files)))


def _events(found: Found) -> Rows:
    layout = look(found)
    columns = {
        "user_id": "user_id", "item_id": "product_id", "type": "event_type", "ts": "event_time",
        "price": "price", "session_id": "user_session",
    }  # fmt: skip
    return Rows(found, layout, {field: layout.text(column) for field, column in columns.items()})


def _items(found: Found) -> Rows:
    layout = look(found)
    category, brand = layout.text("category_code"), layout.text("brand")
    # There are no titles: brand and the kind of thing are what a person would call it.
    kind = f"replace(split_part({category}, '.', -1), '_', ' ')"
    fields = {
        "item_id": layout.text("product_id"),
        "title": f"nullif(concat_ws(' ', upper({brand}[1:1]) || {brand}[2:], {kind}), '')",
        # The whole path first: caps and affinity go by it; then the department it belongs to.
        "categories": f"{category} || '|' || split_part({category}, '.', 1)",
        "brand": brand,
        "price": layout.text("price"),
    }
    return Rows(found, layout, fields)
