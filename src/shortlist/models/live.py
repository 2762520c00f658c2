"""The model that serves: loads what the pointer names, watches it, and hands over each new version."""

import threading
from collections.abc import Callable
from pathlib import Path

import structlog

from shortlist.models import pointer
from shortlist.models.model import Model
from shortlist.models.pointer import Pointer
from shortlist.models.registry import ModelCorrupt

log = structlog.get_logger()

Load = Callable[[Path, str], Model]
"""Makes the model in a folder of artifacts; its second argument is the version. Raises ModelCorrupt."""


class Live:
    """Keeps one process on the version that the pointer names.

    models: the home's folder of models. on_swap: called with each new model, from the thread that checked;
    the old one stays in use until it returns. A version that cannot be loaded is refused with a logged error
    and the old one stays; it is tried again when the pointer is written again.
    """

    def __init__(self, models: Path, load: Load, on_swap: Callable[[Model], None]) -> None:
        self._models = models
        self._load = load
        self._on_swap = on_swap
        self._seen: tuple[int, int] | None = None  # inode and mtime of the pointer last acted on
        self._checking = threading.Lock()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self.model: Model | None = None
        self.problem: str | None = None  # why the version that the pointer names does not serve

    def check(self) -> bool:
        """Look at the pointer once; whether a version was swapped in. A bad one is logged, not raised."""
        with self._checking:
            stamp = self._stamp()
            if stamp is None or stamp == self._seen:
                return False
            self._seen = stamp
            self.problem = None
            try:
                named = pointer.read(self._models)
            except ModelCorrupt as error:
                log.error("model pointer unreadable, the old version stays", error=str(error))
                self.problem = str(error)
                return False
            model = self._first_that_loads(named) if named else None
            if model is None:
                return False
            try:
                self._on_swap(model)
            except Exception as error:
                self.problem = f"version {model.version} could not be put to work: {error}"
                raise
            before, self.model = self.model, model
            if self.problem:
                self.problem += f"; version {model.version} serves"
            log.info(
                "model swapped in",
                version=model.version,
                before=before.version if before else None,
                items=len(model.item_ids),
                sources=list(model.sources),
            )
            return True

    def start(self, every_s: float = 1.0) -> None:
        """Check in a thread of its own until `stop`."""
        self._stop.clear()
        self._thread = threading.Thread(target=self._watch, args=(every_s,), name="models", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop watching; returns when no check is under way."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def _watch(self, every_s: float) -> None:
        while not self._stop.wait(every_s):
            try:
                self.check()
            except Exception:
                log.exception("model could not be swapped in, the old version stays")

    def _first_that_loads(self, named: Pointer) -> Model | None:
        """The named version, or, at a start, the newest of those before it that is whole."""
        if self.model is not None and named.version == self.model.version:
            return None
        # Only a process that has no model yet goes back by itself: yesterday's model is better than none.
        back = named.previous[::-1] if self.model is None else []
        for version, path in [(named.version, named.path), *((v, f"versions/{v}") for v in back)]:
            try:
                return self._load(self._inside(path), version)
            except ModelCorrupt as error:
                log.error("model version refused", version=version, error=str(error))
                self._note(version, error)
            except Exception as error:
                log.exception("model version refused", version=version)
                self._note(version, error)
        return None

    def _note(self, version: str, error: Exception) -> None:
        """Keep why the first version tried, the one that should serve, does not."""
        self.problem = self.problem or f"version {version} is to serve and was refused: {error}"

    def _inside(self, path: str) -> Path:
        folder = (self._models / path).resolve()
        if not folder.is_relative_to(self._models.resolve()):
            raise ModelCorrupt(f"{pointer.NAME} points outside its folder: {path}; promote a version again")
        return folder

    def _stamp(self) -> tuple[int, int] | None:
        try:
            status = (self._models / pointer.NAME).stat()
        except OSError:
            return None
        return status.st_ino, status.st_mtime_ns
