"""The registry of models, and a model loaded from it with its scorer and its text encoder."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import structlog

from shortlist.app.encoders import open_encoder
from shortlist.home import Home
from shortlist.models.model import Model
from shortlist.models.registry import ModelRegistry, ModelUnknown
from shortlist.ranking.scorer import Calibration, Scorer
from shortlist.settings import Settings

log = structlog.get_logger()


def registry(settings: Settings, home: Home) -> ModelRegistry:
    """The model registry. Importing MLflow takes seconds: for what trains, lists or rolls back."""
    from shortlist.models.registry_mlflow import MlflowRegistry

    home.make()
    return MlflowRegistry(home.models, keep=settings.training.keep_versions)


def load_serving(home: Home) -> Model:
    """The model that serves. Raises ModelUnknown where none does, ModelCorrupt naming a damaged file."""
    from shortlist.models.load import load_serving as load

    return _with_a_ranker_that_fits(load(home.models, open_ranker, open_encoder(home)))


def load_model(home: Home, folder: Path, version: str) -> Model:
    """The model in a folder of artifacts. Raises ModelCorrupt naming a damaged file."""
    from shortlist.models.load import load_model as load

    return _with_a_ranker_that_fits(load(folder, version, open_ranker, open_encoder(home)))


def model_of(home: Home) -> Callable[[str], Model]:
    """Loads any version that is kept. Raises ModelUnknown where it was deleted, ModelCorrupt."""

    def load(version: str) -> Model:
        folder = home.models / "versions" / version
        if not folder.is_dir():
            raise ModelUnknown(
                f"version {version} was deleted (setting training.keep_versions says how many are kept)"
            )
        return load_model(home, folder, version)

    return load


def _with_a_ranker_that_fits(model: Model) -> Model:
    """Without its ranker, if the sources have changed since: the blend serves until the next training."""
    from shortlist.ranking.chain import Chain

    try:
        Chain(list(model.sources.values()), {}, model.ranker, model.blend, 1, model.codes)
    except ValueError as error:
        log.error("ranker does not fit, the blend serves", version=model.version, why=str(error))
        return dataclasses.replace(model, ranker=None)
    return model


def open_ranker(
    model: bytes, *, feature_names: tuple[str, ...], calibration: Calibration, model_version: str
) -> Scorer:
    """The scorer of a ranker's ONNX bytes, in this process. Raises ScorerError when they are none."""
    from shortlist.ranking.scorer_onnx import OnnxScorer

    return OnnxScorer(
        model, feature_names=feature_names, calibration=calibration, model_version=model_version
    )
