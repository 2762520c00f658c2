"""One trained model version, ready to answer: what serving, batch and explanations hold in memory."""

from dataclasses import dataclass

from shortlist.candidates.attributes import NO_CODES, UserCodes
from shortlist.candidates.trained import TrainedSource
from shortlist.catalog.encoder import Encoder
from shortlist.ranking.blend import Blend
from shortlist.ranking.scorer import Scorer


@dataclass(frozen=True, slots=True)
class Model:
    """Everything of one version. Immutable: a new version is a new object, swapped in whole.

    version: as in the registry. trained_ms: when training ended. data_end_s: event time of the newest
    interaction it was trained on. item_ids: the ids of positions 0..n-1, which every source speaks in.
    sources: by name. ranker: None where the blend of the first stage won, or none was trained.
    metrics, params: the offline figures that chose it, and what was chosen. encoder: makes vectors of new
    items in the space of `content`; None where it cannot be had: new items wait for the next training.
    codes: of the users' attributes that it reads.
    """

    version: str
    trained_ms: int
    data_end_s: float
    item_ids: list[str]
    sources: dict[str, TrainedSource]
    ranker: Scorer | None
    blend: Blend
    metrics: dict[str, float]
    params: dict[str, str]
    encoder: Encoder | None = None
    codes: UserCodes = NO_CODES
