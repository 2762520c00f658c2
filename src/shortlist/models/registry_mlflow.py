"""The model registry on MLflow: runs, versions and aliases in SQLite, artifacts in a folder beside it.

    models/mlflow.db      runs with their metrics and params, versions, the alias `serving`
    models/versions/3     the artifacts of version 3
    models/serving.json   what serves (see pointer.py): the truth; the alias is for people who open MLflow
    models/lock           held by whoever changes any of this

MLflow's own names forbid `@` and others, so metric and param names are escaped on their way in and out.
It is slow to import (2 s): only `train` and `models` do.
"""

import fcntl
import logging
import os
import re
import shutil
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import structlog

from shortlist.models import pointer
from shortlist.models.pointer import Pointer
from shortlist.models.registry import ModelRegistry, ModelsError, ModelUnknown, ModelVersion

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # it would report usage to its makers
with warnings.catch_warnings():
    # mlflow 3.17 configures its mappers with what SQLAlchemy 2.1 deprecates.
    warnings.simplefilter("ignore")
    from mlflow.entities import Metric, Param, RunTag
    from mlflow.exceptions import MlflowException
    from mlflow.store.tracking import sqlalchemy_store as _  # noqa: F401  # its warnings come here, once
    from mlflow.tracking import MlflowClient

log = structlog.get_logger()

NAME = "shortlist"  # of the experiment and of the registered model
ALIAS = "serving"
TRAINED = "shortlist.trained_ms"

# Names become paths in some of MLflow's stores: no slash, and no name that is only dots.
_ILLEGAL = re.compile(r"[^A-Za-z0-9_\-. ]|^\.+$")
_ESCAPED = re.compile(r":(at|[0-9a-f]+):")
_PER_CALL = 500  # MLflow takes 1,000 metrics or 100 params a call; ours are tens, this bounds a surprise


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


class MlflowRegistry(ModelRegistry):
    """Versions under one folder. Any number of processes may use it at once; changes take turns by a lock.

    keep: versions kept; older ones are deleted with their artifacts when a new one is registered, but never
    the serving one nor the one that served before it. Runs, with their metrics, stay for comparison.
    """

    def __init__(self, models: Path, *, keep: int, now_ms: Callable[[], int] = _now_ms) -> None:
        self._models = models
        self._keep = max(1, keep)
        self._now_ms = now_ms
        self._versions = models / "versions"
        self._versions.mkdir(parents=True, exist_ok=True)
        logging.getLogger("mlflow").setLevel(logging.WARNING)
        logging.getLogger("alembic").setLevel(logging.WARNING)
        with self._locked(), _mlflow_errors(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            # Under the lock: two first openings would both create the tables.
            uri = f"sqlite:///{models.absolute() / 'mlflow.db'}"
            self._mlflow = MlflowClient(tracking_uri=uri, registry_uri=uri)
            self._experiment = self._experiment_id()

    def register(self, artifacts: Path, metrics: dict[str, float], params: dict[str, str]) -> ModelVersion:
        """Move a finished artifact folder in as the next version; it does not serve yet."""
        if not artifacts.is_dir():
            raise ModelsError(f"{artifacts} is no folder of artifacts; train writes one before it registers")
        trained_ms = self._now_ms()
        with self._locked(), _mlflow_errors():
            run = self._mlflow.create_run(
                self._experiment, start_time=trained_ms, tags={TRAINED: str(trained_ms)}
            ).info.run_id
            self._log(run, metrics, params, trained_ms)
            self._mlflow.set_terminated(run, end_time=trained_ms)
            # The number first, the folder last: after a crash between the two there is a number without
            # artifacts, which `versions` does not show and nobody can serve.
            entry = self._mlflow.create_model_version(NAME, source=str(self._versions), run_id=run)
            version = str(entry.version)
            _move(artifacts, self._versions / version)
            self._prune()
        return self._one(version)

    def promote(self, version: str) -> ModelVersion:
        """Make a version the serving one. Raises ModelUnknown."""
        with self._locked(), _mlflow_errors():
            self._known(version)
            now = pointer.read(self._models)
            path = f"versions/{version}"
            self._point(now.moved_to(version, path) if now else Pointer(version=version, path=path))
        return self._one(version)

    def rollback(self) -> ModelVersion:
        """Serve the version that served before the current one; again: the one before that.

        Raises ModelUnknown when none did, or all of them were pruned.
        """
        with self._locked(), _mlflow_errors():
            now = pointer.read(self._models)
            before = [v for v in (now.previous if now else []) if (self._versions / v).is_dir()]
            if not before:
                raise ModelUnknown(
                    "no version served before the current one; "
                    "see `shortlist models list` and choose one with `shortlist models promote V`"
                )
            version = before.pop()
            self._point(Pointer(version=version, path=f"versions/{version}", previous=before))
        return self._one(version)

    def versions(self) -> list[ModelVersion]:
        """Every version, newest first."""
        with _mlflow_errors():
            serving = pointer.read(self._models)
            return [self._described(entry, serving) for entry in self._entries()]

    # What MLflow knows

    def _experiment_id(self) -> str:
        found = self._mlflow.get_experiment_by_name(NAME)
        if found is None:
            folder = (self._models / "runs").absolute().as_uri()
            experiment = str(self._mlflow.create_experiment(NAME, artifact_location=folder))
        else:
            experiment = str(found.experiment_id)
        try:
            self._mlflow.get_registered_model(NAME)
        except MlflowException:
            self._mlflow.create_registered_model(NAME)
        return experiment

    def _log(self, run: str, metrics: dict[str, float], params: dict[str, str], at_ms: int) -> None:
        measured = [Metric(_escape(name), float(value), at_ms, 0) for name, value in metrics.items()]
        chosen = [Param(_escape(name), str(value)) for name, value in params.items()]
        for start in range(0, max(len(measured), 1), _PER_CALL):
            self._mlflow.log_batch(run, metrics=measured[start : start + _PER_CALL])
        for start in range(0, len(chosen), 100):
            self._mlflow.log_batch(run, params=chosen[start : start + 100])
        self._mlflow.log_batch(run, tags=[RunTag("mlflow.source.name", "shortlist train")])

    def _entries(self) -> list[Any]:
        """MLflow's versions whose artifacts are here, newest first."""
        found: list[Any] = []
        token: str | None = None
        while True:
            page = self._mlflow.search_model_versions(f"name='{NAME}'", page_token=token)
            found.extend(page)
            token = page.token
            if not token:
                break
        whole = [entry for entry in found if (self._versions / str(entry.version)).is_dir()]
        return sorted(whole, key=lambda entry: int(entry.version), reverse=True)

    def _described(self, entry: Any, serving: Pointer | None) -> ModelVersion:
        data = self._mlflow.get_run(entry.run_id).data
        version = str(entry.version)
        return ModelVersion(
            version=version,
            path=str(self._versions / version),
            trained_ms=int(data.tags.get(TRAINED, entry.creation_timestamp)),
            metrics={_unescape(name): value for name, value in data.metrics.items()},
            params={_unescape(name): value for name, value in data.params.items()},
            is_serving=serving is not None and serving.version == version,
        )

    def _known(self, version: str) -> Any:
        for entry in self._entries():
            if str(entry.version) == version:
                return entry
        raise ModelUnknown(f"no version {version!r}; see `shortlist models list`")

    def _one(self, version: str) -> ModelVersion:
        with _mlflow_errors():
            return self._described(self._known(version), pointer.read(self._models))

    # What changes the folder; under the lock

    def _point(self, to: Pointer) -> None:
        pointer.write(self._models, to)
        self._mlflow.set_registered_model_alias(NAME, ALIAS, to.version)

    def _prune(self) -> None:
        serving = pointer.read(self._models)
        kept = {serving.version, *serving.previous[-1:]} if serving else set()
        for entry in self._entries()[self._keep :]:
            version = str(entry.version)
            if version in kept:
                continue
            # Out of sight in one step, then deleted: nobody loads half a version.
            grave = self._versions / f".{version}.deleted"
            (self._versions / version).rename(grave)
            shutil.rmtree(grave)
            self._mlflow.delete_model_version(NAME, version)
            log.info("old model version deleted", version=version, kept=self._keep)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        with (self._models / "lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)  # released by close, also when the process is killed
            yield


def _move(source: Path, target: Path) -> None:
    """Rename a folder; from another file system copy it first under a name that nobody reads."""
    try:
        source.rename(target)
    except OSError:
        incoming = target.with_name(f".{target.name}.incoming")
        shutil.rmtree(incoming, ignore_errors=True)
        shutil.copytree(source, incoming)
        incoming.rename(target)
        shutil.rmtree(source)


def _escape(name: str) -> str:
    return _ILLEGAL.sub(lambda hit: "".join(map(_escaped, hit[0])), name)


def _escaped(character: str) -> str:
    return ":at:" if character == "@" else f":{ord(character):x}:"


def _unescape(name: str) -> str:
    return _ESCAPED.sub(lambda hit: "@" if hit[1] == "at" else chr(int(hit[1], 16)), name)


@contextmanager
def _mlflow_errors() -> Iterator[None]:
    try:
        yield
    except MlflowException as error:
        raise ModelsError(f"the model registry did not do it: {error.message}") from error
