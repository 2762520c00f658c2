"""What holds for the MLflow registry beyond the contract: the pointer file, crashes, many processes."""

import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

from shortlist.models import pointer
from shortlist.models.registry import ModelRegistry

Open = Callable[..., ModelRegistry]


def staged(tmp_path: Path, said: str = "x") -> Path:
    folder = tmp_path / f"staged-{said}"
    folder.mkdir()
    return folder


def test_the_pointer_names_what_serves_by_a_relative_path(open_mlflow: Open, tmp_path: Path) -> None:
    models = open_mlflow()

    models.promote(models.register(staged(tmp_path), {}, {}).version)

    assert pointer.read(tmp_path / "models") == pointer.Pointer("1", "versions/1", [])


def test_a_copied_home_finds_its_artifacts_where_it_landed(open_mlflow: Open, tmp_path: Path) -> None:
    from shortlist.models.registry_mlflow import MlflowRegistry

    models = open_mlflow()
    models.promote(models.register(staged(tmp_path), {}, {}).version)

    shutil.move(tmp_path / "models", tmp_path / "elsewhere")
    moved = MlflowRegistry(tmp_path / "elsewhere", keep=5)

    assert moved.versions()[0].path == str(tmp_path / "elsewhere" / "versions" / "1")


def test_a_number_whose_artifacts_never_arrived_is_not_shown(open_mlflow: Open, tmp_path: Path) -> None:
    models = open_mlflow()
    models.register(staged(tmp_path, "a"), {}, {})
    (tmp_path / "models" / "versions" / "1").rmdir()  # as after a crash between number and folder

    assert models.versions() == []
    assert models.register(staged(tmp_path, "b"), {}, {}).version == "2"


def test_threads_that_register_at_once_get_different_versions(open_mlflow: Open, tmp_path: Path) -> None:
    registries = [open_mlflow(keep=20) for _ in range(4)]
    made: list[str] = []

    def register(n: int) -> None:
        models = registries[n]
        made.append(models.promote(models.register(staged(tmp_path, str(n)), {"n": n}, {}).version).version)

    threads = [threading.Thread(target=register, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(made) == ["1", "2", "3", "4"]
    assert [v.is_serving for v in registries[0].versions()].count(True) == 1


def test_whatever_serves_does_not_import_mlflow() -> None:
    code = (
        "import sys, shortlist.models.live, shortlist.models.artifacts, shortlist.models.pointer;"
        "sys.exit('mlflow' in sys.modules)"
    )

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
