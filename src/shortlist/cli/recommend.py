"""`shortlist recommend`: recommendations for many users, written to a file."""

import asyncio
import os
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from shortlist.cli.options import home_option, load_settings
from shortlist.errors import ShortlistError
from shortlist.home import Home
from shortlist.progress import Report, bars
from shortlist.settings import Settings

if TYPE_CHECKING:
    from shortlist.app.loop import Loop
    from shortlist.arrays import IntArray
    from shortlist.features.store import Features, FeatureStore
    from shortlist.features.trending import Published
    from shortlist.serving.batch import Batch, Case, Row

CHUNK = 64  # cases that one worker takes at a time: half a second's work
WORTH_PROCESSES = 1_000  # cases below this are done before a second process has loaded the model
EVERYBODY = "all"  # instead of a file of users
NAMED = 5  # unknown ids that the summary shows


@click.command()
@home_option
@click.option("--users", metavar="FILE|all", help="Users, one a row; `all`: everybody in the log.")
@click.option("--limit", type=click.IntRange(1, 100_000), default=10, show_default=True, help="Items each.")
@click.option(
    "--candidates", type=click.Path(path_type=Path), metavar="FILE", help="User, item: order these instead."
)
@click.option(
    "--histories", type=click.Path(path_type=Path), metavar="FILE", help="Case, item, pos: people without id."
)
@click.option("--include-seen", is_flag=True, help="Items that the user interacted with may come again.")
@click.option("--no-rules", is_flag=True, help="No caps, boosts or margin filter; other filters stay.")
@click.option(
    "--workers", type=click.IntRange(1), default=None, help="Processes. Default: one per core if it pays."
)
@click.option(
    "--out", type=click.Path(path_type=Path), required=True, metavar="FILE",
    help="Written as its suffix says: .parquet, .csv, .tsv or .jsonl.",
)  # fmt: skip
def command(
    home: Home,
    users: str | None,
    limit: int,
    candidates: Path | None,
    histories: Path | None,
    include_seen: bool,
    no_rules: bool,
    workers: int | None,
    out: Path,
) -> None:
    """Write user, item, rank, score and reason for many users. Reads beside a running server.

    Files are CSV, TSV, JSON lines or Parquet, compressed or not, recognised by their content; columns go by
    usual names (user_id, item, …) or by their places.

    What is hidden, deleted or out of stock never comes, nor what the user disliked; nor what they ever
    interacted with, except with --include-seen, where bought and rated items come back only if the setting
    rules.repeat_purchases allows it. A user that the log does not know gets what is popular.

    With --include-seen a user gets what GET /recommendations would answer now, survey, fatigue and trends
    included, but for new items that are tried out: those are the server's alone, which learns from them. What
    trends is what a server of this home has counted; before one ran, nothing does.

    With --candidates each user's own items are put in order, best first and at most --limit of them. What
    may not be in a slate of theirs (hidden, deleted, out of stock, bought, disliked, filtered by a rule) is
    left out; what they have only seen stays, and neither caps nor boosts apply.

    With --histories each case is a past of items, oldest first by pos; `user` in the output is the case.

    \b
    Examples:
      shortlist recommend --users all --limit 20 --out recs.parquet
      shortlist recommend --users users.csv --candidates pairs.csv --limit 100 --out ranked.csv
      shortlist recommend --histories sessions.jsonl --no-rules --out next.jsonl
    """
    if histories is not None and users is not None:
        raise click.UsageError("--users or --histories, not both: name the people, or bring their past")
    if users is None and histories is None and candidates is None:
        raise click.UsageError(
            "say for whom: --users FILE, --users all, --histories FILE or --candidates FILE"
        )
    # One thread per worker, read by numpy's libraries when they load.
    for library in ("OMP", "OPENBLAS", "MKL"):
        os.environ.setdefault(f"{library}_NUM_THREADS", "1")
    from shortlist.importing.columns import check_columns
    from shortlist.ops import logs
    from shortlist.serving.batch_out import check_name

    logs.set_up("warning")
    asked = Asked(users, candidates, histories, include_seen, limit)
    check_name(out)  # before any work
    for path, wanted in _tables(asked).values():
        check_columns(path, wanted)
    settings = _with_rules(load_settings(home.require()), no_rules)
    started = time.monotonic()
    with bars() as report:
        summary = recommend(home, settings, asked, out, report, workers)
    click.echo(
        f"{summary.rows:,} rows for {summary.cases:,} {'cases' if histories else 'users'} in {out} "
        f"({time.monotonic() - started:.0f} s)"
    )
    for line in summary.remarks:
        click.echo(line)


@dataclass(frozen=True, slots=True)
class Asked:
    """What the command line asks for."""

    users: str | None
    candidates: Path | None
    histories: Path | None
    include_seen: bool
    limit: int


def _tables(asked: Asked) -> "dict[str, tuple[Path, Mapping[str, Sequence[str]]]]":
    """The files that are named, by their option, and which columns are wanted of each."""
    from shortlist.importing.columns import CASE, ITEM, PLACE, USER

    tables: dict[str, tuple[Path, Mapping[str, Sequence[str]]]] = {}
    if asked.users not in (None, EVERYBODY):
        tables["users"] = Path(asked.users), {"user": USER}
    if asked.histories is not None:
        tables["histories"] = asked.histories, {"case": CASE, "item": ITEM, "pos": PLACE}
    if asked.candidates is not None:
        who = USER if asked.histories is None else CASE
        tables["candidates"] = asked.candidates, {"user": who, "item": ITEM}
    return tables


@dataclass(slots=True)
class Summary:
    """What was written, and what a person should know of it."""

    cases: int
    rows: int
    remarks: list[str]


def recommend(
    home: Home, settings: Settings, asked: Asked, out: Path, report: Report, workers: int | None
) -> Summary:
    """Answer what was asked and write it. Raises ShortlistError."""
    from shortlist.app.beside import trends_of
    from shortlist.serving.batch_out import writing

    now_ms = time.time_ns() // 1_000_000  # one moment for everybody, in all processes
    opening = Opening(home.path, settings, asked.limit, now_ms, trends_of(settings, home))
    batch = _open(opening)
    rows = 0
    with _cases(home, settings, asked, batch, now_ms, report) as (cases, remarks):
        count = len(cases)
        many = workers if workers is not None else (os.cpu_count() or 1) if count >= WORTH_PROCESSES else 1
        report("recommending", 0.0)
        with writing(out) as write:
            done = 0
            for answers in _answers(opening, batch, cases, many):
                write(answers.rows)
                rows += len(answers.rows)
                done += answers.cases
                report("recommending", done / max(count, 1))
    report("recommending", 1.0)
    return Summary(count, rows, remarks)


# Who is asked about


@dataclass(frozen=True, slots=True)
class Cases:
    """People by name, made into cases one by one, for all of them at once would be large."""

    names: Sequence[str]
    case: "Callable[[str], Case]"

    def __len__(self) -> int:
        return len(self.names)

    def chunks(self) -> "Iterator[list[Case]]":
        """CHUNK cases at a time, in order."""
        for start in range(0, len(self.names), CHUNK):
            yield [self.case(name) for name in self.names[start : start + CHUNK]]


@contextmanager
def _cases(
    home: Home, settings: Settings, asked: Asked, batch: "Batch", now_ms: int, report: Report
) -> "Iterator[tuple[Cases, list[str]]]":
    """Who is asked about, while features can be read; and what a person should know of them."""
    remarks: list[str] = []
    among = None
    if asked.candidates is not None:
        among = _candidates(asked, batch, remarks)
    if asked.histories is not None:
        yield _anonymous(asked, batch, among, remarks), remarks
        return
    from shortlist.app.loop import followed

    with followed(settings, home) as loop:
        loop.features.agree()
        yield _named(loop, home, settings, asked, batch, now_ms, among, remarks, report), remarks


def _named(
    loop: "Loop",
    home: Home,
    settings: Settings,
    asked: Asked,
    batch: "Batch",
    now_ms: int,
    among: "dict[str, IntArray] | None",
    remarks: list[str],
    report: Report,
) -> Cases:
    """People with an id, by what is known of them now."""
    from shortlist.app.catalog import attributes_of
    from shortlist.events.log import EVENTS
    from shortlist.serving.batch import Case
    from shortlist.serving.snapshot import NOTHING
    from shortlist.training.history import read_history
    from shortlist.training.seen import SeenItems

    features = loop.features
    ends = loop.log.ends(EVENTS)
    behind = sum(end - features.offset(partition) for partition, end in enumerate(ends))
    if behind:
        remarks.append(f"{behind:,} events of the log are not folded yet and do not count")
    seen = None
    if not asked.include_seen and among is None:
        window, gone = settings.log.dedup_window, features.forgotten
        seen = SeenItems(read_history(loop.log, batch.item_ids, window, report, forgotten=gone))
    names = _names(asked, features, len(ends), among)
    unknown = [
        name
        for start in range(0, len(names), CHUNK)
        for name, user in _read(features, names[start : start + CHUNK], now_ms)
        if not user.version
    ]
    if unknown:
        shown = ", ".join(unknown[:NAMED]) + (", …" if len(unknown) > NAMED else "")
        remarks.append(f"{len(unknown):,} users are not in the log and get what is popular: {shown}")
    if among is not None and (without := [name for name in names if name not in among]):
        remarks.append(f"{len(without):,} users have no candidates and no rows")
    attributes = asyncio.run(attributes_of(settings, home, names))

    def case(name: str) -> "Case":
        ((_, user),) = _read(features, [name], now_ms)
        return Case(
            name,
            user,
            without=seen.of(name) if seen is not None else NOTHING,
            attributes=attributes.get(name, {}),
            among=among.get(name, NOTHING) if among is not None else None,
        )

    return Cases(names, case)


def _read(features: "FeatureStore", names: Sequence[str], now_ms: int) -> "Iterator[tuple[str, Features]]":
    return zip(names, features.read(names, now_ms), strict=True)


def _names(
    asked: Asked, features: "FeatureStore", partitions: int, among: "dict[str, IntArray] | None"
) -> list[str]:
    from shortlist.importing.columns import read_columns

    if asked.users is None:
        return list(among or ())
    if asked.users == EVERYBODY:  # guests who logged in are the users whom they became
        every = (pair for partition in range(partitions) for pair in features.users(partition))
        return [name for name, user in every if not user.became]
    (names,) = read_columns(*_tables(asked)["users"])
    return list(dict.fromkeys(names))


def _anonymous(
    asked: Asked, batch: "Batch", among: "dict[str, IntArray] | None", remarks: list[str]
) -> Cases:
    import numpy as np

    from shortlist.importing.columns import read_columns
    from shortlist.serving.batch import Case
    from shortlist.serving.snapshot import NOTHING

    names, items, places = read_columns(*_tables(asked)["histories"])
    try:
        order = sorted(range(len(names)), key=[float(place) for place in places].__getitem__)
    except ValueError:
        order = sorted(range(len(names)), key=places.__getitem__)  # times in words sort as they are written
    pasts: dict[str, list[str]] = {name: [] for name in names}
    for row in order:
        pasts[names[row]].append(items[row])
    unknown = sum(batch.position(item) < 0 for item in items)
    if unknown:
        remarks.append(f"{unknown:,} of {len(names):,} items of the histories are not in the catalog")

    def case(name: str) -> "Case":
        known = [position for item in pasts[name] if (position := batch.position(item)) >= 0]
        seen = NOTHING if asked.include_seen or among is not None else np.unique(np.array(known, np.int32))
        theirs = among.get(name, NOTHING) if among is not None else None
        return Case(name, history=tuple(pasts[name]), without=seen, among=theirs)

    return Cases(list(pasts), case)


def _candidates(asked: Asked, batch: "Batch", remarks: list[str]) -> "dict[str, IntArray]":
    import numpy as np

    from shortlist.importing.columns import read_columns

    names, items = read_columns(*_tables(asked)["candidates"])
    lists: dict[str, dict[int, None]] = {}
    unknown = 0
    for name, item in zip(names, items, strict=True):
        position = batch.position(item)
        theirs = lists.setdefault(name, {})
        if position < 0:
            unknown += 1
        else:
            theirs[position] = None
    if unknown:
        remarks.append(f"{unknown:,} of {len(names):,} candidates are not in the catalog and were left out")
    return {name: np.fromiter(theirs, np.int32, len(theirs)) for name, theirs in lists.items()}


# Answering, here or in several processes


@dataclass(frozen=True, slots=True)
class Answers:
    """The rows of one chunk of cases."""

    cases: int
    rows: "list[Row]"


@dataclass(frozen=True, slots=True)
class Opening:
    """What every process that answers opens."""

    home: Path
    settings: Settings
    limit: int
    now_ms: int
    trends: "Published"


def _answers(opening: Opening, batch: "Batch", cases: Cases, workers: int) -> Iterator[Answers]:
    if workers == 1:
        for chunk in cases.chunks():
            yield _answered(batch, chunk)
        return
    import multiprocessing
    from concurrent.futures import Future, ProcessPoolExecutor

    # Spawned, not forked: FAISS and ONNX Runtime have threads, which a fork would lose half-way.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, context, initializer=_open_worker, initargs=(opening,)) as pool:
        under_way: deque[Future[Answers]] = deque()
        try:
            for chunk in cases.chunks():
                under_way.append(pool.submit(_answer_in_worker, chunk))
                # Bounded: what waits to be written never exceeds a few chunks.
                if len(under_way) >= 3 * workers:
                    yield under_way.popleft().result()
            while under_way:
                yield under_way.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)


def _answered(batch: "Batch", chunk: "Iterable[Case]") -> Answers:
    cases = list(chunk)
    return Answers(len(cases), [row for case in cases for row in batch.rows(case)])


_worker: "list[Batch]" = []  # of this process, opened once


def _open_worker(opening: Opening) -> None:
    _worker.append(_open(opening))


def _answer_in_worker(chunk: "list[Case]") -> Answers:
    return _answered(_worker[0], chunk)


def _open(opening: Opening) -> "Batch":
    """The serving model with the catalog as it is now."""
    from shortlist.app.catalog import item_table, rules_of
    from shortlist.app.models import load_serving
    from shortlist.ranking.rules import Rulebook
    from shortlist.serving.batch import Batch, Still
    from shortlist.serving.newcomers import bring_new_items
    from shortlist.serving.ruling import usable
    from shortlist.serving.snapshot import snapshot

    home, settings = Home(opening.home), opening.settings
    model = load_serving(home)
    table = asyncio.run(item_table(settings, home, model.item_ids))
    rules = usable(asyncio.run(rules_of(settings, home)))
    try:
        trends = Still(opening.trends)
        now = snapshot(model, table, trends, settings.candidates, rulebook=Rulebook(table, rules))
        bring_new_items(now)
        return Batch(now, settings, opening.limit, now_ms=opening.now_ms)
    except ValueError as error:
        raise ShortlistError(f"{error}") from None


def _with_rules(settings: Settings, no_rules: bool) -> Settings:
    if not no_rules:
        return settings
    return msgspec.structs.replace(settings, rules=msgspec.structs.replace(settings.rules, enabled=False))
