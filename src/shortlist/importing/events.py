"""Rows become events: validated and sorted by time inside DuckDB, so that files may exceed memory."""
# ruff: noqa: S608  # values from outside go through `literal` and `identifier`

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import duckdb

from shortlist.events.event import MAX_ID_BYTES, Event, EventType
from shortlist.importing.found import Staged
from shortlist.importing.layout import literal
from shortlist.importing.plan import Rows
from shortlist.importing.problem import Example, Outcome
from shortlist.importing.stream import streamed

# What shops call the types of events, beside our own names.
TYPES: dict[str, EventType] = {
    **{str(kind): kind for kind in EventType},
    **dict.fromkeys(("pageview", "detail", "detail_view", "product_view", "viewed", "pv"), EventType.VIEW),
    **dict.fromkeys(("clicked", "select"), EventType.CLICK),
    **dict.fromkeys(("addtocart", "add_to_cart", "cart_add", "basket", "add"), EventType.CART),
    **dict.fromkeys(("transaction", "buy", "order", "bought", "purchased", "sale"), EventType.PURCHASE),
    **dict.fromkeys(("rate", "rated"), EventType.RATING),
    **dict.fromkeys(("liked", "favourite", "favorite", "fav", "wishlist"), EventType.LIKE),
    **dict.fromkeys(("disliked",), EventType.DISLIKE),
    **dict.fromkeys(
        ("refund", "return", "returned", "cancelled", "canceled", "cancellation"), EventType.CANCEL
    ),
    **dict.fromkeys(("shown", "seen"), EventType.IMPRESSION),
}

FIELDS = ("user_id", "item_id", "ts", "type", "rating", "price", "currency", "quantity", "session_id")

# Below this a number is a position (1, 2, 3, …) rather than seconds: 1e8 s is March 1973. Positions count
# from one second after 1970, for time 0 means "never" to the features.
POSITIONS = 1e8

_ROWS = """
CREATE TABLE events (
    file INTEGER, row BIGINT, user_id VARCHAR, item_id VARCHAR, ts BIGINT, type VARCHAR, rating DOUBLE,
    price DOUBLE, currency VARCHAR, quantity DOUBLE, session_id VARCHAR, refused VARCHAR, seen VARCHAR
)
"""

TIME_MS = f"""
CREATE OR REPLACE TEMP MACRO number_ms(n) AS CASE
    WHEN NOT isfinite(n) OR n > 1e19 THEN NULL
    WHEN n < 0 THEN -1
    WHEN n < {POSITIONS} THEN CAST((n + 1) * 1000 AS BIGINT)
    WHEN n < 1e11 THEN CAST(n * 1000 AS BIGINT)
    WHEN n < 1e14 THEN CAST(n AS BIGINT)
    WHEN n < 1e17 THEN CAST(n / 1e3 AS BIGINT)
    ELSE CAST(n / 1e6 AS BIGINT)
END;
CREATE OR REPLACE TEMP MACRO time_ms(t) AS
    coalesce(number_ms(try_cast(t AS DOUBLE)), epoch_ms(try_cast(t AS TIMESTAMPTZ)));
"""


def _id_reasons(field: str) -> str:
    return f"""
    WHEN {field} IS NULL THEN '{field} is missing'
    WHEN strlen({field}) > {MAX_ID_BYTES} THEN '{field} is longer than {MAX_ID_BYTES} bytes'
    WHEN regexp_matches({field}, '[\\x00-\\x1f\\x7f-\\x{{9f}}]') THEN '{field} has a control character'
    """


def _number_reasons(field: str, bounds: str, said: str) -> str:
    return f"""
    WHEN {field}_t IS NOT NULL AND ({field} IS NULL OR NOT isfinite({field})) THEN '{field} is not a number'
    WHEN {field} IS NOT NULL AND NOT ({bounds}) THEN '{field} {said}'
    """


def _reasons(now_ms: int) -> str:
    return f"""
CASE
    WHEN broken IS NOT NULL THEN 'the line is not JSON'
    {_id_reasons("user_id")}
    {_id_reasons("item_id")}
    WHEN type IS NULL THEN 'type is not known: ' || coalesce(type_t[:40], 'none')
    WHEN ts IS NULL AND ts_t IS NULL THEN 'ts is missing'
    WHEN ts IS NULL THEN
        'ts is not a time (known: seconds or milliseconds since 1970, and ISO 8601 as in 2024-05-31 18:45:00)'
    WHEN ts < 0 THEN 'ts lies before 1970'
    WHEN ts > {now_ms} THEN 'ts lies in the future'
    {_number_reasons("rating", "abs(rating) <= 1e6", "is beyond a million")}
    {_number_reasons("price", "price BETWEEN 0 AND 1e12", "is negative or beyond 1e12")}
    {_number_reasons("quantity", "quantity > 0 AND quantity <= 1e6", "is not between 0 and a million")}
    WHEN type = 'rating' AND rating IS NULL THEN 'rating is missing'
    WHEN strlen(session_id) > {MAX_ID_BYTES} THEN 'session_id is longer than {MAX_ID_BYTES} bytes'
END
"""


def load_events(
    connection: duckdb.DuckDBPyConnection, files: Sequence[tuple[Rows, Staged]], outcome: Outcome, now_ms: int
) -> int:
    """Read, validate and count the rows of `files` into the table `events`; how many are good.

    now_ms: an event later than this is refused. Refusals are counted in `outcome`, with the first of each
    reason as an example. Without times the order of rows (of files, first) stands for time.
    """
    connection.execute(_ROWS)
    before = 0
    for number, (rows, staged) in enumerate(files):
        rejects = f"rejects_{number}"
        connection.execute(_insert(number, rows, staged, rejects, before, now_ms))
        before += _one(connection, f"SELECT count(*) FROM events WHERE file = {number}")
        _count_refused(connection, number, rows, rejects, outcome)
    return _one(connection, "SELECT count(*) FROM events WHERE refused IS NULL")


def batches(
    connection: duckdb.DuckDBPyConnection,
    keys: Sequence[str],
    categories: Mapping[str, str],
    *,
    skip: int,
    size: int,
) -> Iterator[list[Event]]:
    """The good events by time, `size` at a time, without the first `skip`.

    keys: of each file; with the row's number it makes the event_id, so that the same row of the same content
    is the same event for ever. categories: of items that have one.
    """
    query = f"""
        SELECT file, row, user_id, item_id, ts, type, rating, price, currency, quantity, session_id
        FROM events WHERE refused IS NULL ORDER BY ts, file, row OFFSET {skip}
    """
    kinds = {str(kind): kind for kind in EventType}
    for batch in streamed(connection, query, size):
        yield [
            Event(
                event_id=f"{keys[file]}-{row}",
                user_id=user_id,
                item_id=item_id,
                ts=ts,
                type=kinds[kind],
                rating=rating,
                price=price,
                currency=currency,
                quantity=quantity,
                session_id=session_id,
                category=categories.get(item_id),
            )
            for file, row, user_id, item_id, ts, kind, rating, price, currency, quantity, session_id in batch
        ]


def types_of(connection: duckdb.DuckDBPyConnection) -> list[str]:
    """Types of the good events, the most frequent first."""
    query = "SELECT type FROM events WHERE refused IS NULL GROUP BY type ORDER BY count(*) DESC, type"
    return [kind for (kind,) in connection.execute(query).fetchall()]


def item_ids(connection: duckdb.DuckDBPyConnection, size: int) -> Iterator[list[str]]:
    """Ids of the items of good events, in order of their first row."""
    query = "SELECT item_id FROM events WHERE refused IS NULL GROUP BY item_id ORDER BY min((file, row))"
    for batch in streamed(connection, query, size):
        yield [item_id for (item_id,) in batch]


def _insert(number: int, rows: Rows, staged: Staged, rejects: str, before: int, now_ms: int) -> str:
    text = {field: rows.fields.get(field, "NULL") for field in FIELDS}
    # A column that is there but empty stays a reason to refuse; one that is not there takes the default.
    type_ = text["type"] if "type" in rows.fields else literal(rows.type)
    # Where nothing has a time, a row's is its position over all files.
    time = f"time_ms({text['ts']})" if "ts" in rows.fields else f"({before} + row) * 1000"
    known = ", ".join(f"{literal(name)}: {literal(str(kind))}" for name, kind in TYPES.items())
    where = f"WHERE {rows.where}" if rows.where else ""
    broken = "if(json_valid(line), NULL, line)" if rows.layout.kind == "json" else "NULL::VARCHAR"
    return f"""
INSERT INTO events
SELECT
    {number}, row, user_id, item_id, ts, type, rating, price, currency, quantity, session_id, refused,
    if(
        refused IS NULL, NULL,
        coalesce(broken, concat_ws(', ', user_id, item_id, ts_t, type_t, rating_t, price_t, quantity_t))[:120]
    )
FROM (
    SELECT *, {_reasons(now_ms)} AS refused FROM (
        SELECT
            * EXCLUDE (type, quantity),
            -- A purchase of a negative quantity takes one back.
            if(type = 'purchase' AND quantity < 0, 'cancel', type) AS type,
            if(type = 'purchase' AND quantity < 0, -quantity, quantity) AS quantity
        FROM (
            SELECT
                row,
                {broken} AS broken,
                {text["user_id"]} AS user_id,
                {text["item_id"]} AS item_id,
                {text["ts"]} AS ts_t,
                {time} AS ts,
                {type_} AS type_t,
                MAP {{{known}}}[lower(trim({type_}))] AS type,
                {text["rating"]} AS rating_t,
                try_cast({text["rating"]} AS DOUBLE) AS rating,
                {text["price"]} AS price_t,
                try_cast({text["price"]} AS DOUBLE) AS price,
                {text["currency"]} AS currency,
                {text["quantity"]} AS quantity_t,
                try_cast({text["quantity"]} AS DOUBLE) AS quantity,
                {text["session_id"]} AS session_id
            FROM {rows.layout.read(staged, rejects=rejects)}
            {where}
        )
    )
)
"""


def _count_refused(
    connection: duckdb.DuckDBPyConnection, number: int, rows: Rows, rejects: str, outcome: Outcome
) -> None:
    lost = _rejected(connection, rows, rejects)
    for line, text in lost[:3]:
        reason = _split_reason(rows)
        outcome.examples.append(Example(rows.found.shown, line, reason, text[:120]))
    if lost:
        outcome.refuse(_split_reason(rows), len(lost))
    counted = connection.execute(
        f"SELECT refused, count(*) FROM events WHERE file = {number} AND refused IS NOT NULL "
        "GROUP BY refused ORDER BY count(*) DESC, refused LIMIT 100"
    ).fetchall()
    for reason, count in counted:
        outcome.refuse(reason, count)
    examples = connection.execute(
        f"SELECT row, refused, seen FROM events WHERE file = {number} AND refused IS NOT NULL "
        "QUALIFY row_number() OVER (PARTITION BY refused ORDER BY row) <= 3 ORDER BY row LIMIT 30"
    ).fetchall()
    lines = [line for line, _ in lost]
    for row, reason, seen in examples:
        outcome.examples.append(Example(rows.found.shown, _line(row, rows, lines), reason, seen))


def _split_reason(rows: Rows) -> str:
    return f"the line does not split into {len(rows.layout.columns)} columns"


def _rejected(connection: duckdb.DuckDBPyConnection, rows: Rows, rejects: str) -> list[tuple[int, str]]:
    """Lines that did not split, by number."""
    if rows.layout.kind == "parquet":
        return []
    query = f"SELECT line, any_value(csv_line) FROM {rejects} GROUP BY line ORDER BY line"
    return [(line, text or "") for line, text in connection.execute(query).fetchall()]


def _line(row: int, rows: Rows, lost: Sequence[int]) -> int:
    """The line of the file that holds the `row`-th row that did split."""
    line = row + rows.layout.header
    for other in lost:
        if other > line:
            break
        line += 1
    return line


def _one(connection: duckdb.DuckDBPyConnection, query: str) -> int:
    rows: Any = connection.execute(query).fetchall()
    return int(rows[0][0])
