"""A process follows the pointer to whole models only."""

from pathlib import Path

from structlog.testing import capture_logs

from shortlist.models import pointer
from shortlist.models.live import Live
from shortlist.models.model import Model
from shortlist.models.pointer import Pointer
from shortlist.models.registry import ModelCorrupt
from shortlist.ranking.blend import Blend


def load(folder: Path, version: str) -> Model:
    """The model in a folder that holds nothing but a word."""
    if not (folder / "whole").exists():
        raise ModelCorrupt(f"{folder / 'whole'} is missing")
    return Model(
        version=version,
        trained_ms=0,
        data_end_s=0.0,
        item_ids=["a"],
        sources={},
        ranker=None,
        blend=Blend(),
        metrics={},
        params={},
    )


def version(models: Path, number: str, *, whole: bool = True) -> None:
    (models / "versions" / number).mkdir(parents=True)
    if whole:
        (models / "versions" / number / "whole").touch()


def point(models: Path, number: str, *previous: str) -> None:
    pointer.write(models, Pointer(number, f"versions/{number}", list(previous)))


def test_nothing_promoted_is_nothing_loaded(tmp_path: Path) -> None:
    live = Live(tmp_path, load, on_swap=lambda _: None)

    assert not live.check()
    assert live.model is None


def test_each_promotion_is_handed_over_once(tmp_path: Path) -> None:
    swapped: list[str] = []
    live = Live(tmp_path, load, on_swap=lambda model: swapped.append(model.version))
    for number in "12":
        version(tmp_path, number)

    point(tmp_path, "1")
    first, again = live.check(), live.check()
    point(tmp_path, "2", "1")
    second = live.check()

    assert (first, again, second) == (True, False, True)
    assert swapped == ["1", "2"]


def test_a_broken_version_is_refused_and_the_old_one_stays(tmp_path: Path) -> None:
    live = Live(tmp_path, load, on_swap=lambda _: None)
    version(tmp_path, "1")
    version(tmp_path, "2", whole=False)
    point(tmp_path, "1")
    live.check()

    point(tmp_path, "2", "1")
    with capture_logs() as logs:
        swapped = live.check()

    assert not swapped
    assert live.model is not None
    assert live.model.version == "1"
    assert [(line["log_level"], line["version"]) for line in logs] == [("error", "2")]
    assert live.problem is not None
    assert live.problem.startswith("version 2 is to serve and was refused: ")

    point(tmp_path, "1")
    live.check()
    assert live.problem is None


def test_a_refused_version_is_not_tried_again_until_it_is_promoted_again(tmp_path: Path) -> None:
    live = Live(tmp_path, load, on_swap=lambda _: None)
    version(tmp_path, "1", whole=False)
    point(tmp_path, "1")
    live.check()
    (tmp_path / "versions" / "1" / "whole").touch()

    assert not live.check()
    point(tmp_path, "1")
    assert live.check()


def test_a_start_on_a_broken_version_goes_back_to_the_one_before(tmp_path: Path) -> None:
    live = Live(tmp_path, load, on_swap=lambda _: None)
    version(tmp_path, "1")
    version(tmp_path, "2")
    version(tmp_path, "3", whole=False)
    point(tmp_path, "3", "1", "2")

    assert live.check()
    assert live.model is not None
    assert live.model.version == "2"


def test_a_rollback_after_a_refusal_swaps_nothing(tmp_path: Path) -> None:
    swapped: list[str] = []
    live = Live(tmp_path, load, on_swap=lambda model: swapped.append(model.version))
    version(tmp_path, "1")
    version(tmp_path, "2", whole=False)
    for number in "121":
        point(tmp_path, number)
        live.check()

    assert swapped == ["1"]


def test_an_unreadable_pointer_leaves_the_old_version(tmp_path: Path) -> None:
    live = Live(tmp_path, load, on_swap=lambda _: None)
    version(tmp_path, "1")
    point(tmp_path, "1")
    live.check()

    (tmp_path / "serving.json").write_text("{half")

    assert not live.check()
    assert live.model is not None


def test_a_pointer_cannot_lead_out_of_its_folder(tmp_path: Path) -> None:
    models = tmp_path / "models"
    models.mkdir()
    (tmp_path / "whole").touch()
    pointer.write(models, Pointer("1", "..", []))
    live = Live(models, load, on_swap=lambda _: None)

    assert not live.check()


def test_the_watching_thread_brings_a_promotion(tmp_path: Path) -> None:
    import threading

    arrived = threading.Event()
    live = Live(tmp_path, load, on_swap=lambda _: arrived.set())
    live.start(every_s=0.001)
    try:
        version(tmp_path, "1")
        point(tmp_path, "1")
        assert arrived.wait(10)
    finally:
        live.stop()
