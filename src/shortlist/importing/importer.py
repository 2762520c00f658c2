"""The import itself: stage files, read what is good in them, write it once, go on where it stopped."""

import errno
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import duckdb

from shortlist.events.event import EventType
from shortlist.home import Home
from shortlist.importing.destination import Destination
from shortlist.importing.events import FIELDS, TIME_MS, batches, item_ids, load_events, types_of
from shortlist.importing.formats import data_sets, recognise
from shortlist.importing.found import Found, Staged, files_of, neighbours_of, stage
from shortlist.importing.items import read_items
from shortlist.importing.layout import look
from shortlist.importing.manifest import Entry, Manifest, key_of, key_of_all
from shortlist.importing.mapping import EVENT_NAMES, ITEM_NAMES, fit_mapping
from shortlist.importing.plan import Plan, Rows
from shortlist.importing.problem import ColumnUnknown, FormatUnknown, ImportFailed, Outcome
from shortlist.progress import Report

# What DuckDB may hold; above it sorts and groups go to disk. The whole import stays below 1 GiB with it.
MEMORY = "384MB"
ITEMS = 5_000
_DISK_FULL = "the disk is full; free some space and give the same command again: it goes on where it stopped"
TABLES = (".csv", ".tsv", ".tab", ".txt", ".dat", ".data", ".jsonl", ".ndjson", ".json", ".parquet")


@dataclass(slots=True, frozen=True)
class Request:
    """What to import. `type`: of rows that say none, "" for the format's own."""

    path: Path | None = None
    mapping: Mapping[str, str] = field(default_factory=dict)
    type: str = ""
    items: Path | None = None
    items_mapping: Mapping[str, str] = field(default_factory=dict)
    encoding: str = ""


def plan_of(request: Request) -> Plan:
    """Which files to read how. Raises Unreadable, FormatUnknown, ColumnUnknown."""
    plan = Plan("items") if request.path is None else _plan_of_path(request.path, request)
    if request.items is None:
        return plan
    return replace(plan, items=tuple(_items(found, request) for found in _tables(request.items)))


async def import_files(
    request: Request, to: Destination, home: Home, report: Report, *, now_ms: int, threads: int = 0
) -> Outcome:
    """Import what `request` names into `to`, and fold it.

    What was imported before is left alone, and an import that was killed goes on where it stopped: an event
    is appended once. now_ms: events later than this are refused. threads: of DuckDB; 0: all cores.
    Raises ImportFailed; what was written before it stays.
    """
    plan = plan_of(request)
    outcome = Outcome(format=plan.format)
    if request.items is not None:
        outcome.remarks += [
            f"{rows.found.shown}: read {rows.meaning.replace(',', ', ')} (--map-items names other columns)"
            for rows in plan.items
        ]
    manifest = Manifest(home.path / "imports")
    with _said_in_one_line(), _workplace(home, threads) as (connection, folder):
        staged = _Stage(folder, request.encoding, report)
        await _import_items(plan.items, staged, connection, to, manifest, outcome, report, now_ms)
        await _import_events(plan, staged, connection, to, manifest, outcome, report, now_ms)
        to.fold(report)
    return outcome


class _Stage:
    """Stages each file once, whichever purposes it serves."""

    def __init__(self, folder: Path, encoding: str, report: Report) -> None:
        self._folder, self._encoding, self._report = folder, encoding, report
        self._staged: dict[tuple[Found, str], Staged] = {}

    def __call__(self, rows: Rows) -> Staged:
        encoding = rows.encoding or self._encoding
        at = (rows.found, encoding)
        if at not in self._staged:
            self._staged[at] = stage(rows.found, self._folder, encoding, self._report)
        return self._staged[at]


async def _import_items(
    rows: Sequence[Rows],
    staged: _Stage,
    connection: duckdb.DuckDBPyConnection,
    to: Destination,
    manifest: Manifest,
    outcome: Outcome,
    report: Report,
    now_ms: int,
) -> None:
    """Items as their own files have them. All again after a kill: putting the same item changes nothing."""
    files = [(one, staged(one)) for one in rows]
    keys = ["items-" + key_of(one, where) for one, where in files]
    if not files or set(keys) <= manifest.finished():
        outcome.unchanged.extend(one.found.shown for one, _ in files)
        return
    for batch in read_items(connection, files, outcome, size=ITEMS):
        await to.put_items(batch)
        outcome.items += len(batch)
        report("items", 0.5)
    report("items", 1.0)
    if not outcome.items:
        raise ImportFailed(_nothing_good("item", outcome))
    shown = {key: one.found.shown for key, (one, _) in zip(keys, files, strict=True)}
    manifest.save(key_of_all(keys), Entry(shown, outcome.items, outcome.items, finished_ms=now_ms))


async def _import_events(
    plan: Plan,
    staged: _Stage,
    connection: duckdb.DuckDBPyConnection,
    to: Destination,
    manifest: Manifest,
    outcome: Outcome,
    report: Report,
    now_ms: int,
) -> None:
    files = [(rows, staged(rows)) for rows in plan.events]
    keyed = {key_of(rows, where): (rows, where) for rows, where in files}
    finished = manifest.finished()
    outcome.unchanged.extend(rows.found.shown for key, (rows, _) in keyed.items() if key in finished)
    keyed = {key: file for key, file in keyed.items() if key not in finished}
    if not keyed:
        return
    key = key_of_all(list(keyed))
    entry = manifest.entry(key)
    if entry is None:
        entry = Entry({key: rows.found.shown for key, (rows, _) in keyed.items()})
        _refuse_half_done(manifest, entry)
    report("reading events", 0.0)
    entry.types = {where.digest: rows.type_said for rows, where in keyed.values()}
    outcome.remarks += _warned(keyed, manifest)
    entry.total = load_events(connection, list(keyed.values()), outcome, now_ms)
    outcome.types = types_of(connection)
    report("reading events", 1.0)
    if not entry.total:
        raise ImportFailed(_nothing_good("event", outcome))
    manifest.save(key, entry)
    spoken_of = 0
    for ids in item_ids(connection, ITEMS):
        spoken_of += len(ids)
        outcome.bare_items += await to.add_missing(ids)
    if outcome.items and outcome.bare_items == spoken_of:
        outcome.remarks.append(
            f"none of the {spoken_of:,} items that events speak of is among the {outcome.items:,} items read;"
            " is item_id the right column? --map-items item_id=COLUMN names another"
        )
    await _import_seen(plan.seen, staged, connection, to, outcome)
    await _append(connection, list(keyed), key, entry, to, manifest, outcome, report)
    entry.finished_ms = now_ms
    manifest.save(key, entry)


async def _import_seen(
    rows: Sequence[Rows],
    staged: _Stage,
    connection: duckdb.DuckDBPyConnection,
    to: Destination,
    outcome: Outcome,
) -> None:
    """What event rows say of their items. Their refusals were counted with the events."""
    if not rows:
        return
    files = [(one, staged(one)) for one in rows]
    for batch in read_items(connection, files, Outcome(), size=ITEMS):
        filled = await to.put_where_bare(batch)
        outcome.items += filled
    outcome.bare_items = max(0, outcome.bare_items - outcome.items)


async def _append(
    connection: duckdb.DuckDBPyConnection,
    keys: Sequence[str],
    key: str,
    entry: Entry,
    to: Destination,
    manifest: Manifest,
    outcome: Outcome,
    report: Report,
) -> None:
    """Append what is not in the log yet.

    The entry is saved before each batch, with where the log ended: after a kill, what stands beyond those
    ends is looked through for events of ours, so none is appended twice, however much of a batch was written.
    """
    prefixes = tuple(f"{one}-" for one in keys)
    there = (
        {i for i in to.ids_since(entry.ends) if i.startswith(prefixes)} if entry.ends is not None else set()
    )
    outcome.earlier = entry.done + len(there)
    categories = await to.categories()
    for batch in batches(connection, keys, categories, skip=entry.done, size=to.batch):
        if not there:  # else those ends hold what an interrupted run wrote, should this one die, too
            entry.ends = to.ends()
            manifest.save(key, entry)
        new = [event for event in batch if event.event_id not in there] if there else batch
        await to.append(new)
        there.difference_update(event.event_id for event in batch)
        outcome.events += len(new)
        entry.done += len(batch)
        report("writing events", entry.done / entry.total)


def _warned(keyed: Mapping[str, tuple[Rows, Staged]], manifest: Manifest) -> Iterator[str]:
    for key, (rows, where) in keyed.items():
        if earlier := manifest.types_of(key, where.digest):
            yield (
                f"warning: {rows.found.shown} was imported before as {', '.join(earlier)}, and now once "
                f"more, as {rows.type_said}: both stand in the log and count"
            )


def _refuse_half_done(manifest: Manifest, entry: Entry) -> None:
    other = manifest.overlapping(entry)
    if other is not None:
        raise ImportFailed(
            f"an import of {', '.join(other.files.values())} was interrupted at {other.done} of "
            f"{other.total} events; give the same files again first, so that it can be finished"
        )


def _plan_of_path(path: Path, request: Request) -> Plan:
    given = files_of(path)
    is_told = bool(request.mapping or request.type)
    if not is_told:
        _refuse_several(path, data_sets(given))
    if not is_told and (plan := recognise(given, neighbours_of(path))):
        return replace(plan, events=_named(plan.format, plan.events), items=_named(plan.format, plan.items))
    tables = _tables(path)
    if not tables:
        raise FormatUnknown(f"{path}: no file with rows in it (looked for {', '.join(TABLES)})")
    if len(tables) > 1 and not request.mapping:
        raise FormatUnknown(
            f"{path}: no data set that shortlist knows; name one file and its columns, as in "
            f"shortlist import {tables[0].path} --map user_id=COLUMN,item_id=COLUMN,ts=COLUMN --type view"
        )
    named = tables[0].shown + (f" and {len(tables) - 1} more" if len(tables) > 1 else "")
    return Plan(named, tuple(_events(found, request) for found in tables))


def _refuse_several(path: Path, sets: Mapping[Path, Plan]) -> None:
    """Two data sets in one shop would share ids that mean different things."""
    if len(sets) > 1:
        named = ", ".join(f"{place} ({plan.format})" for place, plan in sets.items())
        raise FormatUnknown(
            f"{path} holds {len(sets)} data sets: {named}; name the one to import, as in "
            f"shortlist import {next(iter(sets))}"
        )


def _events(found: Found, request: Request) -> Rows:
    layout = look(found, request.encoding)
    try:
        mapping = fit_mapping(
            layout, request.mapping, EVENT_NAMES, ("user_id", "item_id"), found.shown, option="--map"
        )
    except ColumnUnknown as unknown:
        if request.mapping:
            raise
        raise FormatUnknown(str(unknown)) from None
    if request.type and "type" not in request.mapping:
        mapping.pop("type", None)
    type_ = request.type or (
        EventType.RATING if "rating" in mapping and "type" not in mapping else EventType.VIEW
    )
    fields = {name: layout.text(mapping[name]) for name in FIELDS if name in mapping}
    return Rows(found, layout, fields, type=str(type_), meaning=_meaning(mapping))


def _items(found: Found, request: Request) -> Rows:
    layout = look(found, request.encoding)
    mapping = fit_mapping(
        layout, request.items_mapping, ITEM_NAMES, ("item_id",), found.shown, option="--map-items"
    )
    fields = {name: layout.text(column) for name, column in mapping.items()}
    return Rows(found, layout, fields, keep_rest=True, meaning=_meaning(mapping))


def _named(format_: str, rows: Sequence[Rows]) -> tuple[Rows, ...]:
    return tuple(replace(one, meaning=format_) for one in rows)


def _meaning(mapping: Mapping[str, str]) -> str:
    return ",".join(f"{name}={column}" for name, column in sorted(mapping.items()))


def _tables(path: Path) -> list[Found]:
    found = files_of(path)
    return found if path.is_file() and len(found) == 1 else [f for f in found if f.name.endswith(TABLES)]


def _nothing_good(what: str, outcome: Outcome) -> str:
    if not outcome.refused:
        return f"there is no {what} in the file"
    reason, count = max(outcome.refused.items(), key=lambda pair: pair[1])
    said = f"no {what} could be read: {count} rows were refused because {reason}"
    example = next((one for one in outcome.examples if one.reason == reason), None)
    return said + (f"; the first is line {example.line}: {example.value}" if example else "")


@contextmanager
def _workplace(home: Home, threads: int) -> Iterator[tuple[duckdb.DuckDBPyConnection, Path]]:
    """A DuckDB that spills into the home, and a folder for staged files; both gone afterwards."""
    folder = home.make().path / "imports"
    folder.mkdir(exist_ok=True)
    with _alone(folder):
        for left in folder.glob("work-*"):  # of an import that was killed
            shutil.rmtree(left, ignore_errors=True)
        work = Path(tempfile.mkdtemp(prefix="work-", dir=folder))
        (work / "files").mkdir()
        connection = duckdb.connect(str(work / "rows.duckdb"))
        try:
            connection.execute(f"SET memory_limit = '{MEMORY}'")
            connection.execute("SET TimeZone = 'UTC'")
            if threads:
                connection.execute(f"SET threads = {threads}")
            connection.execute(TIME_MS)
            yield connection, work / "files"
        finally:
            connection.close()
            shutil.rmtree(work, ignore_errors=True)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """One import per home at a time: two of the same file would not see each other's events."""
    import fcntl

    with (folder / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise ImportFailed(f"another import into {folder.parent} is under way; wait for it") from None
        yield


@contextmanager
def _said_in_one_line() -> Iterator[None]:
    """Errors of disk and engine, as a person can act on them."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise ImportFailed(_DISK_FULL) from error
        raise ImportFailed(f"{error.filename or 'a file'}: {error.strerror or error}") from error
    except duckdb.Error as error:
        first = str(error).splitlines()[0]
        if "No space left" in str(error):
            raise ImportFailed(_DISK_FULL) from error
        raise ImportFailed(f"the rows cannot be read: {first}") from error
