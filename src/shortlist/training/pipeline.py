"""The daily pipeline (flow 5) in embedded form: read the log, clean, fit, save, register, put to work.

Each step is a function of what the one before gave; only the last one changes what serves. It reads beside a
running server, which finds the new version by itself.
"""

import contextlib
import fcntl
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec
from msgspec import Struct
from threadpoolctl import threadpool_limits

from shortlist.catalog.table import ItemTable
from shortlist.catalog.users_store import Attributes
from shortlist.errors import ShortlistError
from shortlist.events.interactions import Interactions
from shortlist.events.log import EventLog
from shortlist.models import artifacts
from shortlist.models.artifacts import Artifact
from shortlist.models.load import RankerNotes
from shortlist.models.registry import ModelRegistry, ModelVersion
from shortlist.progress import Report
from shortlist.settings import Settings
from shortlist.training.clean import interactions_of
from shortlist.training.fit import FitEncoder, Fitted, fit, fit_tfidf
from shortlist.training.history import Forgotten, History, nobody, read_history
from shortlist.training.order import most_taken_first
from shortlist.training.sessions import IS_INTERACTION

STAGING = "staging"  # below the folder of models: what is written and not registered yet
LEAST_ITEMS = 2


class TrainingError(ShortlistError):
    """Training cannot begin, or cannot be of use."""


class TooLittleHistory(TrainingError):
    """There is nothing to learn from."""


class TrainingRuns(TrainingError):
    """Another training of this home is under way."""


class Trained(Struct, frozen=True):
    """What one run of the pipeline did.

    events: in the log. unknown: interactions among them with items that are not in the catalog.
    added: items that came into the catalog as bare ids, since events speak of them. data_end_ms: event time
    of the newest interaction.
    """

    version: ModelVersion
    events: int
    unknown: int
    added: int
    interactions: int
    users: int
    items: int
    data_end_ms: int


AddMissing = Callable[[Sequence[str]], ItemTable | None]
"""Puts bare items for ids that the catalog never had into it; the new table, None where it is as it was."""


def as_it_is(item_ids: Sequence[str]) -> None:
    """Add nothing."""


AttributesOf = Callable[[Sequence[str]], Mapping[str, Attributes]]
"""The attributes, as they are now, of those of these users who have any."""


def nothing_of(user_ids: Sequence[str]) -> Mapping[str, Attributes]:
    """Nobody has any."""
    return {}


def train(
    events: EventLog,
    items: ItemTable,
    open_registry: Callable[[], ModelRegistry],
    models: Path,
    settings: Settings,
    report: Report,
    now_ms: Callable[[], int],
    *,
    forgotten: Forgotten = nobody,
    add_missing: AddMissing = as_it_is,
    fit_encoder: FitEncoder = fit_tfidf,
    attributes: AttributesOf = nothing_of,
) -> Trained:
    """Train on everything in the log and put the new version to work.

    items: the catalog; `add_missing` is asked for one with the ids that only events know. A model's positions
    are those of `most_taken_first`. models: the home's folder of models. attributes: asked for those of
    users, if the settings name any.
    open_registry: called only once there is something to register (opening it takes seconds).
    Raises TooLittleHistory, TrainingRuns; after a crash at any point the old version serves, and the next
    run clears what this one left.
    """
    with training_alone(models):
        history = read_history(events, items.ids, settings.log.dedup_window, report, forgotten=forgotten)
        known = len(items)
        if history.unknown_ids and (more := add_missing(history.unknown_ids)) is not None:
            items = more
            history = read_history(events, items.ids, settings.log.dedup_window, report, forgotten=forgotten)
        data = interactions_of(history, items.ids, settings)
        refuse_too_little(history, data, settings)
        data, items = most_taken_first(data, items)
        # One thread for BLAS: the ranker's features are thousands of small products, and threads that wait
        # for each other took 24 times the processor time (138 ms a case against 5.9 on two busy cores).
        # ALS and LightGBM have threads of their own.
        with threadpool_limits(1, user_api="blas"):
            people = attributes(data.user_ids) if settings.training.user_attributes else {}
            fitted = fit(data, items, settings, report, fit_encoder, people)
        report("saving", 0.0)
        artifact = artifact_of(fitted, data, now_ms(), settings)
        folder = models / STAGING / "next"
        artifacts.save(artifact, folder)
        report("saving", 0.5)
        registry = open_registry()
        version = registry.register(folder, artifact.metrics, artifact.params)
        version = registry.promote(version.version)
        report("saving", 1.0)
    return Trained(
        version=version,
        events=len(history),
        unknown=int((IS_INTERACTION[history.types] & (history.items < 0)).sum()),
        added=len(items) - known,
        interactions=len(data.users),
        users=len(data.user_ids),
        items=len(items),
        data_end_ms=int(data.ts_s[-1] * 1000),
    )


def refuse_too_little(history: History, data: Interactions, settings: Settings) -> None:
    """Raise TooLittleHistory with what to do when nothing can be learned from `data`."""
    if not len(history):
        raise TooLittleHistory(
            "the event log is empty: bring events in with `shortlist import`, or send some to /events"
        )
    if not len(data.users):
        raise TooLittleHistory(
            f"none of {len(history)} events can be learned from: their items were deleted from the catalog, "
            "their types have no weight (settings weights.*), or their users look like bots "
            f"(training.bot_events_per_min is {settings.training.bot_events_per_min})"
        )
    if len(set(data.items.tolist())) < LEAST_ITEMS:
        raise TooLittleHistory(
            f"all {len(data.users)} interactions are with one item: nothing else can be recommended yet"
        )


def artifact_of(fitted: Fitted, data: Interactions, trained_ms: int, settings: Settings) -> Artifact:
    """What is saved of a fitted model, with what it was made from among its params."""
    ranker = fitted.ranker
    notes = RankerNotes(ranker.feature_names, ranker.calibration) if ranker else None
    return Artifact(
        trained_ms=trained_ms,
        data_end_s=float(data.ts_s[-1]),
        item_ids=data.item_ids,
        sources={name: source.arrays() for name, source in fitted.sources.items()},
        encoder=fitted.encoder.arrays(),
        ranker=ranker.onnx if ranker else None,
        ranker_info=msgspec.to_builtins(notes) if notes else {},
        user_codes=msgspec.to_builtins(fitted.codes.codes),
        blend=msgspec.to_builtins(fitted.blend),
        metrics=fitted.metrics,
        params={
            **fitted.params,
            "data.interactions": str(len(data.users)),
            "data.users": str(len(data.user_ids)),
            "data.items": str(len(data.item_ids)),
            "training.seed": str(settings.training.seed),
            "training.days": f"{settings.training.days:g}",
        },
    )


@contextmanager
def training_alone(models: Path) -> Iterator[None]:
    """Hold the home's one place for training, with no leftovers of earlier ones. Raises TrainingRuns."""
    models.mkdir(parents=True, exist_ok=True)
    with (models / "training").open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            raise TrainingRuns(
                f"{models}: another training is under way (pid {file.read().strip() or 'unknown'}); "
                "wait for it, or stop it"
            ) from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        shutil.rmtree(models / STAGING, ignore_errors=True)  # of a run that was killed
        try:
            yield
        finally:
            with contextlib.suppress(OSError):
                shutil.rmtree(models / STAGING, ignore_errors=True)
                file.truncate(0)
