"""The port of the model registry: versions of trained models and which of them serves."""

from abc import ABC, abstractmethod
from pathlib import Path

from msgspec import Struct

from shortlist.errors import ShortlistError


class ModelsError(ShortlistError):
    """The registry cannot do what was asked."""


class ModelUnknown(ModelsError):
    """No such version; `shortlist models list` shows what there is."""


class ModelCorrupt(ModelsError):
    """An artifact fails its checksum: roll back or train again."""


class ModelVersion(Struct, frozen=True):
    """One trained model. `metrics` are the offline figures that chose it."""

    version: str  # "1", "2", …
    path: str  # folder of its artifacts
    trained_ms: int
    metrics: dict[str, float]
    params: dict[str, str]
    is_serving: bool


class ModelRegistry(ABC):
    """Immutable versions, one of them serving. Blocking."""

    @abstractmethod
    def register(self, artifacts: Path, metrics: dict[str, float], params: dict[str, str]) -> ModelVersion:
        """Move a finished artifact folder in as the next version; it does not serve yet."""

    @abstractmethod
    def promote(self, version: str) -> ModelVersion:
        """Make a version the serving one. Raises ModelUnknown."""

    @abstractmethod
    def rollback(self) -> ModelVersion:
        """Serve the version that served before the current one. Raises ModelUnknown when none did."""

    @abstractmethod
    def versions(self) -> list[ModelVersion]:
        """Every version, newest first."""
