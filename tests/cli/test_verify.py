"""`shortlist verify`."""

import asyncio

import pytest
from click.testing import CliRunner

from shortlist.cli import shortlist
from shortlist.cli.verify import command
from shortlist.database import DatabaseMissing, open_database
from shortlist.events.event import Event, EventType, encode
from shortlist.events.log import EVENTS, Record
from shortlist.events.log_rocksdb import RocksLog
from shortlist.features.processor import Processor
from shortlist.features.store import FoldChanged
from shortlist.features.store_rocksdb import RocksFeatures
from shortlist.features.view import user_view
from shortlist.home import Home
from shortlist.settings import Settings


def shop(home: Home, *, spoiled: bool) -> None:
    """A home with three users, whose features are wrong when `spoiled`."""
    database = open_database(home)
    log = RocksLog(database, {EVENTS: 4})
    made = [
        Event(
            event_id=f"e{n}", user_id=f"u{n % 3}", type=EventType.VIEW, item_id=f"i{n}", ts=1_700_000_000_000
        )
        for n in range(30)
    ]
    asyncio.run(log.append(EVENTS, [Record(event.user_id, encode(event)) for event in made]))
    store = RocksFeatures(database, user_view(Settings()), partitions=4, dedup_window=10_000)
    Processor(log, store).fold_all()
    if spoiled:
        states = database.families["features"]
        del states[next(iter(states.keys()))]
    log.close()
    database.close()


def test_it_says_that_nobody_differs(home: Home) -> None:
    shop(home, spoiled=False)
    said = CliRunner().invoke(command, ["--home", str(home.path)])
    assert said.exit_code == 0, said.output
    assert "0 of 3 users differ (30 records replayed" in said.output


def test_it_says_who_differs_in_what_and_fails(home: Home) -> None:
    shop(home, spoiled=True)
    said = CliRunner().invoke(command, ["--home", str(home.path), "--show", "1"])
    assert said.exit_code == 1
    assert "1 of 3 users differ" in said.output
    assert "the log says" in said.output


def test_it_answers_programs_in_json(home: Home) -> None:
    shop(home, spoiled=False)
    said = CliRunner().invoke(command, ["--home", str(home.path), "--json"])
    assert '"differing":0' in said.stdout


def test_without_a_database_it_says_what_to_do(home: Home) -> None:
    with pytest.raises(DatabaseMissing, match="shortlist import"):
        CliRunner().invoke(command, ["--home", str(home.path)], catch_exceptions=False)


def test_changed_settings_of_the_fold_are_refused_until_it_is_rebuilt(home: Home) -> None:
    run(home, "import", home.path / "log.csv")
    (home.path / "shortlist.toml").write_text("[features]\nhistory = 3\n")
    for command_ in ("verify", "import"):
        words = [home.path / "more.csv"] if command_ == "import" else []
        with pytest.raises(FoldChanged, match=r"features\.history = 200 \(now 3\).*`shortlist rebuild`"):
            run(home, command_, *words)
    assert "→ shortlist rebuild" in run(home, "doctor", fails=True)

    assert "30 events folded anew in " in run(home, "rebuild")
    assert "0 of 3 users differ" in run(home, "verify")


def run(home: Home, *words: object, fails: bool = False) -> str:
    """A command on a home with two files to import."""
    for name, users in (("log", 3), ("more", 5)):
        rows = "".join(f"u{n % users},i{n}\n" for n in range(30))
        (home.path / f"{name}.csv").write_text(f"user_id,item_id\n{rows}")
    done = CliRunner().invoke(shortlist, ["--home", str(home.path), *map(str, words)])
    if done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert (done.exit_code != 0) == fails, done.output
    return done.output
