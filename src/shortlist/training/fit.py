"""From interactions to everything a model version is made of."""

from dataclasses import dataclass, field

from shortlist.candidates.als import Als
from shortlist.candidates.popular import Popular
from shortlist.candidates.trained import TrainedSource
from shortlist.candidates.transitions import Transitions
from shortlist.catalog.table import ItemTable
from shortlist.events.interactions import Interactions
from shortlist.progress import Report
from shortlist.ranking.blend import Blend, untrained
from shortlist.ranking.scorer import Calibration
from shortlist.settings import Settings


@dataclass(frozen=True, slots=True)
class FittedRanker:
    """A ranker at rest: ONNX bytes, the columns it was trained on, and its calibration."""

    onnx: bytes
    feature_names: tuple[str, ...]
    calibration: Calibration


@dataclass(frozen=True, slots=True)
class Fitted:
    """What training made. sources: by name. ranker: None where the blend won, or none was trained.

    metrics: figures on the later slice that chose between them. params: what was chosen.
    """

    sources: dict[str, TrainedSource]
    ranker: FittedRanker | None
    blend: Blend
    metrics: dict[str, float] = field(default_factory=dict)
    params: dict[str, str] = field(default_factory=dict)


def fit(data: Interactions, items: ItemTable, settings: Settings, report: Report) -> Fitted:
    """Fit the sources on all of `data`, and the ranker on what models of earlier data would have said.

    data: item codes are positions of `items`. Takes about 100 s on two cores for a million interactions.
    """
    classes: tuple[type[TrainedSource], ...] = (Als, Transitions, Popular)
    sources: dict[str, TrainedSource] = {}
    for number, source in enumerate(classes):
        report("sources", number / len(classes))
        sources[source.name] = source.fit(data, items, settings.training)
    report("sources", 1.0)
    return Fitted(sources, None, untrained())
