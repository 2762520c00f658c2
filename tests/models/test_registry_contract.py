"""What every model registry keeps to."""

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shortlist.models import registry
from shortlist.models.registry import ModelRegistry, ModelsError, ModelUnknown

Open = Callable[..., ModelRegistry]


def artifacts(tmp_path: Path, said: str = "x") -> Path:
    folder = tmp_path / f"staging-{said}"
    (folder / "als").mkdir(parents=True)
    (folder / "als" / "factors.npy").write_text(said)
    return folder


def test_every_adapter_in_the_room_is_under_contract() -> None:
    files = Path(registry.__file__).parent.glob("registry_*.py")

    assert sorted(file.stem for file in files) == ["registry_mlflow"]  # each one is a param of open_registry


def test_an_empty_registry_has_no_versions(open_registry: Open) -> None:
    assert open_registry().versions() == []


def test_a_registered_version_has_its_artifacts_and_figures_and_does_not_serve(
    open_registry: Open, tmp_path: Path
) -> None:
    staged = artifacts(tmp_path, "said")

    version = open_registry().register(staged, {"ndcg@10": 0.25, "recall@20": 0.5}, {"als.λ": "30"})

    assert (Path(version.path) / "als" / "factors.npy").read_text() == "said"
    assert not staged.exists()
    assert version.metrics == {"ndcg@10": 0.25, "recall@20": 0.5}
    assert version.params == {"als.λ": "30"}
    assert version.trained_ms > 1_600_000_000_000
    assert not version.is_serving


def test_versions_count_up_and_are_listed_newest_first(open_registry: Open, tmp_path: Path) -> None:
    models = open_registry(keep=20)

    made = [models.register(artifacts(tmp_path, str(n)), {}, {}).version for n in range(11)]

    assert made == [str(n) for n in range(1, 12)]
    assert [v.version for v in models.versions()] == made[::-1]


def test_one_version_serves_at_a_time(open_registry: Open, tmp_path: Path) -> None:
    models = open_registry()
    for said in "abc":
        models.register(artifacts(tmp_path, said), {}, {})

    models.promote("2")
    promoted = models.promote("3")

    assert promoted.is_serving
    assert [v.version for v in models.versions() if v.is_serving] == ["3"]


def test_rollback_walks_back_over_what_served(open_registry: Open, tmp_path: Path) -> None:
    models = open_registry()
    for said in "abc":
        models.promote(models.register(artifacts(tmp_path, said), {}, {}).version)

    assert [models.rollback().version, models.rollback().version] == ["2", "1"]
    with pytest.raises(ModelUnknown, match="models promote"):
        models.rollback()


def test_promoting_what_serves_changes_nothing(open_registry: Open, tmp_path: Path) -> None:
    models = open_registry()
    for said in "ab":
        models.promote(models.register(artifacts(tmp_path, said), {}, {}).version)

    models.promote("2")

    assert models.rollback().version == "1"


@pytest.mark.parametrize("version", ["7", "", "../1", "serving", "🎈", "0", "-1"])
def test_an_unknown_version_is_refused_and_the_serving_one_stays(
    open_registry: Open, tmp_path: Path, version: str
) -> None:
    models = open_registry()
    models.promote(models.register(artifacts(tmp_path), {}, {}).version)

    with pytest.raises(ModelUnknown):
        models.promote(version)

    assert models.versions()[0].is_serving


def test_rollback_without_anything_before_is_refused(open_registry: Open, tmp_path: Path) -> None:
    models = open_registry()
    with pytest.raises(ModelUnknown):
        models.rollback()
    models.promote(models.register(artifacts(tmp_path), {}, {}).version)
    with pytest.raises(ModelUnknown):
        models.rollback()


def test_what_is_no_folder_is_not_registered(open_registry: Open, tmp_path: Path) -> None:
    models = open_registry()

    with pytest.raises(ModelsError, match="no folder"):
        models.register(tmp_path / "nothing", {}, {})

    assert models.versions() == []


def test_old_versions_are_pruned_but_never_what_serves_or_served_before(
    open_registry: Open, tmp_path: Path
) -> None:
    models = open_registry(keep=2)
    for said in "ab":
        models.promote(models.register(artifacts(tmp_path, said), {}, {}).version)
    for said in "cde":
        models.register(artifacts(tmp_path, said), {}, {})

    kept = models.versions()

    assert [v.version for v in kept] == ["5", "4", "2", "1"]
    assert all(Path(v.path).is_dir() for v in kept)
    assert models.rollback().version == "1"


def test_another_process_sees_the_same(open_registry: Open, tmp_path: Path) -> None:
    ours, theirs = open_registry(), open_registry()
    ours.promote(ours.register(artifacts(tmp_path, "a"), {"m": 1.0}, {}).version)

    assert theirs.versions() == ours.versions()
    theirs.promote(theirs.register(artifacts(tmp_path, "b"), {}, {}).version)

    assert [v.is_serving for v in ours.versions()] == [True, False]


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.dictionaries(st.text(min_size=1, max_size=30), st.floats(-1e300, 1e300), max_size=4),
    st.dictionaries(st.text(min_size=1, max_size=30), st.text(max_size=50), max_size=4),
)
def test_names_and_values_of_every_kind_round_trip(
    open_mlflow: Open,
    tmp_path_factory: pytest.TempPathFactory,
    metrics: dict[str, float],
    params: dict[str, str],
) -> None:
    models = open_mlflow(keep=3)

    version = models.register(artifacts(tmp_path_factory.mktemp("staged")), metrics, params)

    assert (version.metrics, version.params) == (metrics, params)
