"""RetailRocket's shop: `events.csv`, and optionally the two files of item properties."""

from collections.abc import Sequence

from shortlist.importing.found import Found
from shortlist.importing.layout import look
from shortlist.importing.plan import Plan, Rows

COLUMNS = {"timestamp", "visitorid", "event", "itemid"}
PROPERTIES = {"timestamp", "itemid", "property", "value"}


def retailrocket(given: Sequence[Found], beside: Sequence[Found]) -> Plan | None:
    """Events with the item properties beside them: category and availability, the rest is hashed."""
    events = next((f for f in given if f.name.endswith(".csv") and set(look(f).columns) >= COLUMNS), None)
    if events is None:
        return None
    layout = look(events)
    columns = {"user_id": "visitorid", "item_id": "itemid", "type": "event", "ts": "timestamp"}
    rows = Rows(events, layout, {field: layout.text(column) for field, column in columns.items()})
    around = {f.name: f for f in (*beside, *given) if f.name.startswith("item_properties")}
    return Plan("RetailRocket", (rows,), tuple(_properties(found) for _, found in sorted(around.items())))


def _properties(found: Found) -> Rows:
    layout = look(found)
    name, value = layout.text("property"), layout.text("value")
    fields = {
        "item_id": layout.text("itemid"),
        "categories": f"CASE WHEN {name} = 'categoryid' THEN 'Category ' || {value} END",
        # Only that there is none is known, never how many there are.
        "stock": f"CASE WHEN {name} = 'available' THEN if({value} = '0', '0', '') END",
    }
    return Rows(
        found,
        layout,
        fields,
        latest=f"try_cast({layout.text('timestamp')} AS BIGINT)",
        where=f"{name} IN ('categoryid', 'available')",
    )
