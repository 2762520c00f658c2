"""The text encoder of items: fitted as the settings name it, opened as a model holds it."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from shortlist.arrays import Arrays
from shortlist.catalog.encoder import Encoder, EncoderError, unpacked
from shortlist.catalog.item import Item
from shortlist.home import Home
from shortlist.progress import Report
from shortlist.settings import Settings, TrainingSettings

if TYPE_CHECKING:
    from shortlist.training.fit import FitEncoder

log = structlog.get_logger()


def fit_encoder(settings: Settings, home: Home) -> "FitEncoder":
    """What makes the text encoder that the settings name."""
    from shortlist.training.fit import fit_tfidf

    return _fit_bert(Path(settings.catalog.bert_folder), home) if settings.catalog.bert_folder else fit_tfidf


def _fit_bert(folder: Path, home: Home) -> "FitEncoder":
    from shortlist.catalog.bert_export import exported
    from shortlist.catalog.encoder_bert import Bert, BertEncoder

    def fit(items: Sequence[Item | None], training: TrainingSettings, report: Report) -> Encoder:
        report("BERT's network", 0.0)
        bert = Bert(exported(folder, home.encoders), training.threads)
        report("BERT's network", 1.0)
        return BertEncoder.fit(items, training.content_dim, training.seed, bert)

    return fit


def open_encoder(home: Home) -> Callable[[Arrays], Encoder | None]:
    """What makes a model's text encoder of its arrays; None, logged, where a part of it is missing."""
    from shortlist.catalog.encoder_tfidf import TfidfEncoder

    def opened(arrays: Arrays) -> Encoder | None:
        if not unpacked(arrays["name"]).startswith("bert:"):
            return TfidfEncoder.from_arrays(arrays)
        from shortlist.catalog.encoder_bert import BertEncoder

        try:
            return BertEncoder.from_arrays(arrays, home.encoders, threads=1)
        except EncoderError as error:
            log.error("no text encoder, new items wait for the next training", why=str(error))
            return None

    return opened
