"""The public data sets as they are: every row comes in."""

from pathlib import Path

import pytest

from .conftest import Ledger
from .test_importer import to_ledger

pytestmark = pytest.mark.data

SETS = {
    "ml-100k": ("MovieLens 100k", 100_000, 1_682),
    "ml-latest-small": ("MovieLens", 100_836, 9_742),
    "rees46-sample": ("REES46", 17_434, 6_493),
    "yoochoose-100k": ("YooChoose (prepared)", 83_846, 2_933),
}


@pytest.mark.parametrize("name", SETS)
def test_every_row_of_a_public_data_set_comes_in(data: Path, tmp_path: Path, name: str) -> None:
    ledger = Ledger()
    ledger.batch = 20_000
    outcome = to_ledger(data / name, ledger, tmp_path / "home")
    assert outcome.refused == {}
    assert (outcome.format, outcome.events, len(ledger.known)) == SETS[name]
    times = [event.ts for event in ledger.written]
    assert times == sorted(times)
    # MovieLens and REES46 say something of every item; YooChoose's prepared files of none.
    assert bool(outcome.bare_items) == name.startswith("yoochoose")


@pytest.mark.slow
def test_online_retail_refuses_what_has_no_customer(data: Path, tmp_path: Path) -> None:
    ledger = Ledger()
    ledger.batch = 50_000
    outcome = to_ledger(data / "online-retail" / "transactions.parquet", ledger, tmp_path / "home")
    assert outcome.refused == {"user_id is missing": 135_080}
    assert outcome.events == 541_909 - 135_080
    assert sum(event.type == "purchase" for event in ledger.written) == 397_884 + 40, "40 lines cost nothing"
