"""Fixtures that every room may use."""

import os
from pathlib import Path

import hypothesis  # noqa: F401  # before what imports trio: hypothesis warns of its plugin when it comes later
import pytest

from shortlist.home import Home


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """An empty home folder."""
    return Home(tmp_path / "home").make()


@pytest.fixture(scope="session")
def data() -> Path:
    """The folder of public data sets beside the project."""
    folder = Path(os.environ.get("SHORTLIST_DATA", Path(__file__).parents[2] / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no public data at {folder}: set SHORTLIST_DATA to run this test")
    return folder
