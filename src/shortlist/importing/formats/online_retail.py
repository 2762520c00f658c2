"""UCI's Online Retail: invoice lines of a gift shop; lines of negative quantity are cancellations."""

from collections.abc import Sequence

from shortlist.importing.found import Found
from shortlist.importing.layout import literal, look
from shortlist.importing.plan import Plan, Rows

COLUMNS = {"StockCode", "Description", "Quantity", "InvoiceDate", "UnitPrice", "CustomerID"}
CURRENCY = literal("GBP")


def online_retail(given: Sequence[Found], beside: Sequence[Found]) -> Plan | None:
    """Every file with the columns of Online Retail."""
    files = [f for f in given if f.name.endswith((".csv", ".parquet")) and set(look(f).columns) >= COLUMNS]
    if not files:
        return None
    return Plan("Online Retail", tuple(map(_events, files)), seen=tuple(map(_items, files)))


def _events(found: Found) -> Rows:
    layout = look(found)
    columns = {
        "user_id": "CustomerID", "item_id": "StockCode", "ts": "InvoiceDate", "quantity": "Quantity",
        "price": "UnitPrice", "session_id": "InvoiceNo",
    }  # fmt: skip
    fields = {field: layout.text(column) for field, column in columns.items() if layout.has(column)}
    return Rows(found, layout, fields | {"currency": CURRENCY}, type="purchase")


def _items(found: Found) -> Rows:
    layout = look(found)
    price = layout.text("UnitPrice")
    fields = {
        "item_id": layout.text("StockCode"),
        "title": layout.text("Description"),
        # Samples and corrections stand at 0.
        "price": f"if(try_cast({price} AS DOUBLE) > 0, {price}, NULL)",
        "currency": CURRENCY,
    }
    # Remarks such as "damaged?" stand where a description should be, on lines without a customer.
    return Rows(found, layout, fields, where=f"{layout.text('CustomerID')} IS NOT NULL")
