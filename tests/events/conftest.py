"""Fixtures of the events room."""

from collections.abc import Iterator

import pytest

from shortlist.database import Database, open_database
from shortlist.home import Home


@pytest.fixture
def database(home: Home) -> Iterator[Database]:
    """The home's database, open as its owner."""
    opened = open_database(home)
    yield opened
    opened.close()
