"""From artifacts to a model: the classes of its sources are found by their names."""

import importlib
import pkgutil
from collections.abc import Callable
from functools import lru_cache
from inspect import isabstract
from pathlib import Path
from typing import Any, Protocol

import msgspec

from shortlist import candidates
from shortlist.arrays import Arrays
from shortlist.candidates.attributes import Code, UserCodes
from shortlist.candidates.trained import TrainedSource
from shortlist.catalog.encoder import Encoder
from shortlist.catalog.encoder_tfidf import TfidfEncoder
from shortlist.models import artifacts, pointer
from shortlist.models.artifacts import Artifact
from shortlist.models.model import Model
from shortlist.models.registry import ModelCorrupt, ModelUnknown
from shortlist.ranking.blend import Blend
from shortlist.ranking.scorer import Calibration, Scorer, ScorerError


class OpenRanker(Protocol):
    """Makes the scorer of a ranker's ONNX bytes. Raises ScorerError when they are none."""

    def __call__(
        self, model: bytes, *, feature_names: tuple[str, ...], calibration: Calibration, model_version: str
    ) -> Scorer:
        """The scorer."""
        ...


OpenEncoder = Callable[[Arrays], Encoder | None]
"""Makes the text encoder of its arrays; None where it cannot be had. Raises KeyError, ValueError."""


class RankerNotes(msgspec.Struct, frozen=True):
    """What stands beside the ONNX bytes of a ranker."""

    feature_names: tuple[str, ...]
    calibration: Calibration


def load_model(
    folder: Path,
    version: str,
    open_ranker: OpenRanker,
    open_encoder: OpenEncoder = TfidfEncoder.from_arrays,
) -> Model:
    """The model in a folder of artifacts, every file checked. Raises ModelCorrupt naming what is wrong."""
    stored = artifacts.load(folder)
    try:
        return Model(
            version=version,
            trained_ms=stored.trained_ms,
            data_end_s=stored.data_end_s,
            item_ids=stored.item_ids,
            sources={name: _source(name, arrays) for name, arrays in stored.sources.items()},
            ranker=_ranker(stored, version, open_ranker),
            blend=msgspec.convert(stored.blend, Blend),
            metrics=stored.metrics,
            params=stored.params,
            encoder=open_encoder(stored.encoder) if stored.encoder else None,
            codes=UserCodes(msgspec.convert(stored.user_codes, list[Code])),
        )
    except (
        KeyError,
        ValueError,
        TypeError,
        ScorerError,
    ) as error:  # whole files of another shortlist's making
        raise ModelCorrupt(
            f"{folder}: version {version} does not fit this shortlist ({error!r}); train again or roll back"
        ) from error


def load_serving(
    models: Path, open_ranker: OpenRanker, open_encoder: OpenEncoder = TfidfEncoder.from_arrays
) -> Model:
    """The version that serves, for commands that need it once. Raises ModelUnknown where none does."""
    named = pointer.read(models)
    if named is None:
        raise ModelUnknown(f"{models} has no model that serves; run `shortlist train` first")
    return load_model(models / named.path, named.version, open_ranker, open_encoder)


@lru_cache
def source_classes() -> dict[str, type[TrainedSource]]:
    """Every trained source by name: whatever stands in a file of the candidates room."""
    for module in pkgutil.iter_modules(candidates.__path__):
        importlib.import_module(f"{candidates.__name__}.{module.name}")
    return {kind.name: kind for kind in _below(TrainedSource) if not isabstract(kind)}


def _below(kind: type[Any]) -> list[type[TrainedSource]]:
    return [c for child in kind.__subclasses__() for c in (child, *_below(child))]


def _source(name: str, arrays: Arrays) -> TrainedSource:
    kind = source_classes().get(name)
    if kind is None:
        raise ValueError(f"no candidate source is called {name!r}")
    return kind.from_arrays(arrays)


def _ranker(stored: Artifact, version: str, open_ranker: OpenRanker) -> Scorer | None:
    if stored.ranker is None:
        return None
    notes = msgspec.convert(stored.ranker_info, RankerNotes)
    return open_ranker(
        stored.ranker,
        feature_names=notes.feature_names,
        calibration=notes.calibration,
        model_version=version,
    )
