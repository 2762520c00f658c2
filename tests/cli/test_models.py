"""Training from the command line, and choosing what serves."""

import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from shortlist.cli.models import command, line
from shortlist.cli.train import choices, figures
from shortlist.cli.train import command as train_command
from shortlist.home import Home, HomeMissing
from shortlist.models import pointer
from shortlist.models.registry import ModelUnknown, ModelVersion


def models(home: Home, *args: str) -> str:
    result = CliRunner().invoke(command, [args[0], "--home", str(home.path), *args[1:]])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.output


@pytest.fixture
def two_versions(trained_home: Home, tmp_path: Path) -> Home:
    """A copied home with a second version, promoted over the first."""
    from shortlist.models.registry_mlflow import MlflowRegistry

    home = Home(tmp_path / "copy")
    shutil.copytree(trained_home.path, home.path)
    shutil.copytree(home.models / "versions" / "1", tmp_path / "staged")
    registry = MlflowRegistry(home.models, keep=5)
    registry.promote(registry.register(tmp_path / "staged", {"ndcg.blend": 0.5}, {"order": "blend"}).version)
    return home


def test_no_home_is_made_by_asking_for_its_models(tmp_path: Path) -> None:
    with pytest.raises(HomeMissing, match="no shop at"):
        models(Home(tmp_path / "nowhere"), "list")
    assert not (tmp_path / "nowhere").exists()


def test_the_list_marks_what_serves(two_versions: Home) -> None:
    lines = models(two_versions, "list").splitlines()

    assert [row[:6] for row in lines] == ["*    2", "     1"]
    assert "blend NDCG@20 0.5000" in lines[0]


def test_programs_read_the_versions_as_json(two_versions: Home) -> None:
    listed = json.loads(models(two_versions, "list", "--json"))
    assert [(one["version"], one["is_serving"]) for one in listed] == [("2", True), ("1", False)]
    assert json.loads(models(two_versions, "show", "1", "--json")) == listed[1]


def test_a_rollback_serves_the_version_before(two_versions: Home) -> None:
    assert models(two_versions, "rollback") == "version 1 serves now\n"

    named = pointer.read(two_versions.models)
    assert named is not None
    assert named.version == "1"


def test_any_version_can_be_promoted_and_shown(two_versions: Home) -> None:
    assert models(two_versions, "promote", "1") == "version 1 serves now\n"
    shown = models(two_versions, "show", "1")

    assert "version 1 (serves)" in shown
    assert "data.interactions = 92" in shown


def test_an_unknown_version_is_named(two_versions: Home) -> None:
    with pytest.raises(ModelUnknown, match="'9'"):
        models(two_versions, "show", "9")


@pytest.mark.parametrize("asked", ["show", "promote"])
@pytest.mark.parametrize("version", ["", " ", "serving", "../1", "1.0", "01", "0", "²", "🎈"])
def test_what_is_no_version_is_refused_before_the_registry_is_opened(
    tmp_path: Path, asked: str, version: str
) -> None:
    result = CliRunner().invoke(command, [asked, "--home", str(tmp_path / "nowhere"), version])

    assert result.exit_code == 2
    assert f"{version!r} is no version; they are numbers" in result.output


def test_nothing_trained_says_to_train(home: Home) -> None:
    assert "run `shortlist train`" in models(home, "list")


def test_training_an_empty_home_says_to_import(home: Home) -> None:
    from shortlist.database import DatabaseMissing

    result = CliRunner().invoke(train_command, ["--home", str(home.path)])

    assert isinstance(result.exception, DatabaseMissing)
    assert "shortlist import" in str(result.exception)


def test_figures_are_ordered_and_chosen_ones_named() -> None:
    lines = figures({"ndcg.ranker": 0.2, "ndcg.item_knn": 0.1, "other": 3.0})

    assert [row.split("  ")[1] for row in lines[1:]] == ["ranker over all sources", "item knn"]
    assert choices({"order": "ranker", "ranker.trees": "59", "als.regularization": "30"}) == [
        "chosen: the ranker orders slates (59 trees); ALS λ 30, α ?"
    ]


def test_a_version_is_one_line() -> None:
    version = ModelVersion("3", "", 0, {"ndcg.ranker": 0.25}, {"order": "ranker"}, is_serving=True)

    assert line(version, 7_300.0).split() == ["*", "3", "2", "h", "ago", "ranker", "NDCG@20", "0.2500"]
