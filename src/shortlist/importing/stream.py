"""The rows of a query, some at a time."""

from collections.abc import Iterator
from typing import Any

import duckdb


def streamed(connection: duckdb.DuckDBPyConnection, query: str, size: int) -> Iterator[list[tuple[Any, ...]]]:
    """`size` rows at a time: DuckDB holds its memory limit and one such batch.

    Any other query on the connection ends it."""
    result = connection.execute(query)
    while rows := result.fetchmany(size):
        yield rows
