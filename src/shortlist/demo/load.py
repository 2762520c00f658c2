"""All that a demo needs before training: data in the home, and somebody to be. What is there is kept."""

import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import msgspec
from msgspec import Struct

from shortlist import files
from shortlist.catalog.item import Item
from shortlist.demo.personas import Persona, choose
from shortlist.events.event import INTERACTIONS, Event
from shortlist.home import Home
from shortlist.importing.importer import Request
from shortlist.importing.problem import Outcome
from shortlist.progress import Report

Bring = Callable[[Request], Outcome]
"""Imports into the home."""
Past = Callable[[], Iterator[Event]]
"""Every event of the home's log."""

SEED = 7
DAY_MS = 86_400_000


class Demo(Struct):
    """What `demo.json` holds: where the data came from ("" is the made-up shop), and who one can be."""

    source: str
    personas: list[Persona]


def load(
    home: Home,
    data: Path | None,
    report: Report,
    *,
    bring: Bring,
    past: Past,
    now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
) -> Demo:
    """Fill the home from `data`, or with the made-up shop whose past ends today, and choose personas.

    Done once per home and source: a second call reads what the first wrote. Raises ImportFailed.
    """
    source = str(data.resolve()) if data is not None else ""
    if (there := read_demo(home)) is not None and there.source == source:
        return there
    personas = _made_up(home, report, bring, now_ms()) if data is None else _real(data, report, bring, past)
    demo = Demo(source, personas)
    files.replace(home.demo, msgspec.json.format(msgspec.json.encode(demo)))
    return demo


def read_demo(home: Home) -> Demo | None:
    """What a demo left in this home; None where there was none, or it does not read."""
    try:
        return msgspec.json.decode(home.demo.read_bytes(), type=Demo)
    except (FileNotFoundError, msgspec.DecodeError):
        return None


def _made_up(home: Home, report: Report, bring: Bring, now_ms: int) -> list[Persona]:
    """The shop goes through files and the same import as anybody's data."""
    from shortlist.demo.personas import ROLES

    folder = home.make().path / "demo"
    if not folder.exists():
        _write_shop(folder, report, now_ms)
    # Its own name for every field, so nothing is guessed; the past ends when the files were written.
    events = ("user_id", "item_id", "ts", "type", "price", "currency", "quantity", "session_id")
    bring(
        Request(
            path=folder / "events.jsonl",
            mapping={name: name for name in events},
            items=folder / "items.jsonl",
        )
    )
    return [role.persona for role in ROLES]


def _write_shop(folder: Path, report: Report, now_ms: int) -> None:
    """Files of the shop; complete or not there at all, so that an interrupted demo goes on with the same."""
    from shortlist.demo.shop import make_shop

    report("making a shop", 0.0)
    # The end is whole minutes ago: no event of the past may lie ahead of the clock.
    shop = make_shop(SEED, now_ms // 60_000 * 60_000)
    report("making a shop", 0.8)
    work = folder.with_name("demo.new")
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir()
    lines: Mapping[str, list[Item] | list[Event]] = {"items": shop.items, "events": shop.events}
    for name, records in lines.items():
        (work / f"{name}.jsonl").write_bytes(b"".join(msgspec.json.encode(r) + b"\n" for r in records))
    work.rename(folder)
    report("making a shop", 1.0)


def _real(data: Path, report: Report, bring: Bring, past: Past) -> list[Persona]:
    """Users of real data with much to show and unlike each other."""
    bring(Request(path=data))
    report("choosing personas", 0.0)
    users: dict[str, Counter[str]] = {}
    counts: Counter[str] = Counter()
    for event in past():
        if event.type in INTERACTIONS:
            counts[event.user_id] += 1
            if event.category:
                users.setdefault(event.user_id, Counter())[event.category] += 1
    report("choosing personas", 0.9)
    chosen = choose(counts, users)
    report("choosing personas", 1.0)
    return chosen
