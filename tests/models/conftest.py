"""Fixtures of the models room. MLflow needs 2 s to import and 2 s to make its tables: both happen once."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from shortlist.models.registry import ModelRegistry


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.ms = 1_700_000_000_000

    def __call__(self) -> int:
        self.ms += 1_000
        return self.ms


@pytest.fixture(scope="session")
def empty_mlflow(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of models with MLflow's tables and nothing in them."""
    from shortlist.models.registry_mlflow import MlflowRegistry

    folder = tmp_path_factory.mktemp("mlflow") / "models"
    MlflowRegistry(folder, keep=5)
    return folder


@pytest.fixture
def open_mlflow(empty_mlflow: Path, tmp_path: Path) -> Callable[..., ModelRegistry]:
    """Open (again) the registry of this test."""
    from shortlist.models.registry_mlflow import MlflowRegistry

    models = tmp_path / "models"
    shutil.copytree(empty_mlflow, models)
    clock = Clock()
    return lambda keep=5: MlflowRegistry(models, keep=keep, now_ms=clock)


@pytest.fixture(params=["mlflow"])
def open_registry(request: pytest.FixtureRequest) -> Any:
    """Every adapter of the registry; `open_<name>` opens the same one again when called again."""
    return request.getfixturevalue(f"open_{request.param}")
