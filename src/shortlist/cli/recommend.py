"""`shortlist recommend`: recommendations for many users, written to a file."""

import asyncio
import os
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
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
    from shortlist.arrays import IntArray
    from shortlist.serving.batch import Batch, Case, Row
    from shortlist.training.pasts import Pasts

CHUNK = 64  # cases that one worker takes at a time: half a second's work
WORTH_PROCESSES = 1_000  # cases below this are done before a second process has loaded the model
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
    from shortlist.ops import logs
    from shortlist.serving.batch_out import check_name

    logs.set_up("warning")
    check_name(out)  # before any work
    settings = _with_rules(load_settings(home.require()), no_rules)
    started = time.monotonic()
    with bars() as report:
        asked = Asked(users, candidates, histories, include_seen, limit)
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
    from shortlist.serving.batch_out import writing

    batch = _open(home, settings, asked.limit)
    cases, remarks = _cases(home, settings, asked, batch, report)
    count = len(cases)
    many = workers if workers is not None else (os.cpu_count() or 1) if count >= WORTH_PROCESSES else 1
    rows = 0
    report("recommending", 0.0)
    with writing(out) as write:
        done = 0
        for answers in _answers(home, settings, asked.limit, batch, cases, many):
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


def _cases(
    home: Home, settings: Settings, asked: Asked, batch: "Batch", report: Report
) -> tuple[Cases, list[str]]:
    remarks: list[str] = []
    among = None
    if asked.candidates is not None:
        among = _candidates(asked.candidates, batch, remarks, by_user=asked.histories is None)
    if asked.histories is not None:
        return _anonymous(asked.histories, batch, asked.include_seen, among, remarks), remarks
    from shortlist import app
    from shortlist.training.history import read_history
    from shortlist.training.pasts import Pasts

    with app.followed(settings, home) as loop:
        window, gone = settings.log.dedup_window, loop.features.forgotten
        history = read_history(loop.log, batch.item_ids, window, report, forgotten=gone)
    pasts = Pasts(history, settings)
    names = _names(asked, pasts, among)
    unknown = [name for name in names if pasts.of(name) is None]
    if unknown:
        shown = ", ".join(unknown[:NAMED]) + (", …" if len(unknown) > NAMED else "")
        remarks.append(f"{len(unknown):,} users are not in the log and get what is popular: {shown}")
    if among is not None and (without := [name for name in names if name not in among]):
        remarks.append(f"{len(without):,} users have no candidates and no rows")
    attributes = asyncio.run(app.attributes_of(settings, home, names))

    def case(name: str) -> "Case":
        made = _known(name, pasts, settings, asked.include_seen, among)
        return replace(made, attributes=attributes[name]) if name in attributes else made

    return Cases(names, case), remarks


def _names(asked: Asked, pasts: "Pasts", among: "dict[str, IntArray] | None") -> list[str]:
    from shortlist.importing.columns import USER, read_columns

    if asked.users is None:
        return list(among or ())
    if asked.users == "all":
        return pasts.user_ids
    (names,) = read_columns(Path(asked.users), {"user": USER})
    return list(dict.fromkeys(names))


def _known(
    name: str,
    pasts: "Pasts",
    settings: Settings,
    include_seen: bool,
    among: "dict[str, IntArray] | None",
) -> "Case":
    import numpy as np

    from shortlist.serving.batch import Case, nobody
    from shortlist.serving.snapshot import NOTHING

    theirs = among.get(name, NOTHING) if among is not None else None
    past = pasts.of(name)
    if past is None:
        return nobody(name, among=theirs)
    banned = [past.disliked]
    if not settings.rules.repeat_purchases:
        banned += [past.bought, past.consumed]
    if not include_seen and among is None:
        banned.append(past.seen)
    return Case(
        name,
        past.items,
        past.types,
        past.ts_s,
        past.weights,
        past.sessions,
        last_ts_s=past.last_ts_s,
        bought=past.bought,
        counts=past.counts,
        disliked=past.disliked,
        banned=np.unique(np.concatenate(banned)).astype(np.int32),
        among=theirs,
    )


def _anonymous(
    path: Path, batch: "Batch", include_seen: bool, among: "dict[str, IntArray] | None", remarks: list[str]
) -> Cases:
    import numpy as np

    from shortlist.importing.columns import CASE, ITEM, PLACE, read_columns
    from shortlist.serving.batch import anonymous
    from shortlist.serving.snapshot import NOTHING

    names, items, places = read_columns(path, {"case": CASE, "item": ITEM, "pos": PLACE})
    try:
        order = sorted(range(len(names)), key=[float(place) for place in places].__getitem__)
    except ValueError:
        order = sorted(range(len(names)), key=places.__getitem__)  # times in words sort as they are written
    pasts: dict[str, list[int]] = {name: [] for name in names}
    unknown = 0
    for row in order:
        position = batch.position(items[row])
        unknown += position < 0
        pasts[names[row]].append(position)
    if unknown:
        remarks.append(f"{unknown:,} of {len(names):,} items of the histories are not in the catalog")

    def case(name: str) -> "Case":
        past = np.array(pasts[name], np.int32)
        seen = NOTHING if include_seen or among is not None else np.unique(past[past >= 0])
        made = anonymous(name, past, end_s=batch.data_end_s, banned=seen)
        return made if among is None else made.ordering(among.get(name, NOTHING))

    return Cases(list(pasts), case)


def _candidates(path: Path, batch: "Batch", remarks: list[str], *, by_user: bool) -> "dict[str, IntArray]":
    import numpy as np

    from shortlist.importing.columns import CASE, ITEM, USER, read_columns

    names, items = read_columns(path, {"user": USER if by_user else CASE, "item": ITEM})
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


def _answers(
    home: Home, settings: Settings, limit: int, batch: "Batch", cases: Cases, workers: int
) -> Iterator[Answers]:
    if workers == 1:
        for chunk in cases.chunks():
            yield _answered(batch, chunk)
        return
    import multiprocessing
    from concurrent.futures import Future, ProcessPoolExecutor

    # Spawned, not forked: FAISS and ONNX Runtime have threads, which a fork would lose half-way.
    context = multiprocessing.get_context("spawn")
    opening = (str(home.path), settings, limit)
    with ProcessPoolExecutor(workers, context, initializer=_open_worker, initargs=opening) as pool:
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


def _open_worker(home: str, settings: Settings, limit: int) -> None:
    _worker.append(_open(Home(Path(home)), settings, limit))


def _answer_in_worker(chunk: "list[Case]") -> Answers:
    return _answered(_worker[0], chunk)


def _open(home: Home, settings: Settings, limit: int) -> "Batch":
    """The serving model with the catalog as it is now."""
    from shortlist import app
    from shortlist.ranking.rules import Rulebook
    from shortlist.serving.batch import Batch
    from shortlist.serving.newcomers import bring_new_items
    from shortlist.serving.ruling import usable
    from shortlist.serving.snapshot import snapshot

    model = app.load_serving(home)
    table = asyncio.run(app.item_table(settings, home, model.item_ids))
    rules = usable(asyncio.run(app.rules_of(settings, home)))
    try:
        now = snapshot(model, table, None, settings.candidates, rulebook=Rulebook(table, rules))
        bring_new_items(now)
        return Batch(now, settings, limit)
    except ValueError as error:
        raise ShortlistError(f"{error}") from None


def _with_rules(settings: Settings, no_rules: bool) -> Settings:
    if not no_rules:
        return settings
    return msgspec.structs.replace(settings, rules=msgspec.structs.replace(settings.rules, enabled=False))
