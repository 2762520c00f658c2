"""From interactions to everything a model version is made of."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType

import numpy as np
import structlog
from threadpoolctl import threadpool_limits

from shortlist.arrays import BoolArray, FloatArray
from shortlist.candidates.again import Again
from shortlist.candidates.als import Als
from shortlist.candidates.attributes import NOBODY, People, UserCodes, names_of
from shortlist.candidates.bought_together import BoughtTogether
from shortlist.candidates.content import Content
from shortlist.candidates.graph import Graph
from shortlist.candidates.item_knn import ItemKnn
from shortlist.candidates.item_to_item import ItemToItem
from shortlist.candidates.popular import Popular
from shortlist.candidates.segment import Segment
from shortlist.candidates.session import Session
from shortlist.candidates.trained import TrainedSource
from shortlist.candidates.transitions import Transitions
from shortlist.catalog.encoder import Encoder
from shortlist.catalog.encoder_tfidf import TfidfEncoder
from shortlist.catalog.item import Item
from shortlist.catalog.table import ItemTable
from shortlist.catalog.users_store import Attributes
from shortlist.events.interactions import Interactions
from shortlist.progress import Report
from shortlist.ranking.blend import Blend, untrained, with_repeats
from shortlist.ranking.chain import Chain
from shortlist.settings import CandidateSettings, Settings, TrainingSettings
from shortlist.training.cases import known
from shortlist.training.ground import Ground, quiet_of
from shortlist.training.held_out import HeldOut, held_out, with_new
from shortlist.training.ranker import NEGATIVES, FittedRanker, blended, together, trained
from shortlist.training.rows import Rows, Seen, ndcg, rows_of
from shortlist.training.windows import Window, has_calendar, windows

log = structlog.get_logger()

# Confidence and regularisation of ALS to choose from: frequency-blind λ needs to be large (30–100).
ALS_GRID = ((30.0, 2.0), (30.0, 10.0), (3.0, 100.0), (1.0, 40.0), (100.0, 10.0))
ENCODED_AT_ONCE = 1_000
TRIAL_CASES = 500
LEAST_CASES = 50  # below, a ranker cannot be told from luck
# Candidates of a case: a ranker that learned only from what serving's own cut leaves orders what a caller
# brings (POST /rank) worse, HR@10 of LOO99 on ml-1m .792 instead of .805.
LEARNED_FROM = 400
# Share of items that are new to the models whose features the ranker learns from. Without any it put new
# items behind all others; with a tenth it found no more of them than with a twentieth.
NEW_ITEMS = 0.05
LEAST_ITEMS = 100  # with interactions; below, every one is needed
RARE = 0.02  # share of steps back to something seen, below which seen items are no candidates


@dataclass(frozen=True, slots=True)
class Options:
    """What the data decides. regularization, confidence: ALS's λ and α. graph: whether GF-CF is a source.
    people: users' attributes, where models learn from them."""

    regularization: float
    confidence: float
    graph: bool
    people: People = NOBODY


@dataclass(frozen=True, slots=True)
class Fitted:
    """What training made. sources: by name. encoder: of the items' texts. ranker: None where the blend won,
    or none was trained.

    codes: of users' attributes. metrics: figures on the later slice that chose between them. params: what was
    chosen.
    """

    sources: dict[str, TrainedSource]
    encoder: Encoder
    ranker: FittedRanker | None
    blend: Blend
    codes: UserCodes
    metrics: dict[str, float] = field(default_factory=dict)
    params: dict[str, str] = field(default_factory=dict)


FitEncoder = Callable[[Sequence[Item | None], TrainingSettings, Report], Encoder]
"""Makes the text encoder of a catalog. Raises EncoderError."""


def fit_tfidf(items: Sequence[Item | None], settings: TrainingSettings, report: Report) -> Encoder:
    """The encoder that needs nothing but the catalog."""
    return TfidfEncoder.fit(items, settings.content_dim, settings.seed)


def fit(
    data: Interactions,
    items: ItemTable,
    settings: Settings,
    report: Report,
    fit_encoder: FitEncoder = fit_tfidf,
    attributes: Mapping[str, Attributes] = MappingProxyType({}),
) -> Fitted:
    """Fit the sources on all of `data`, and the ranker on what models of earlier data would have said.

    data: item codes are positions of `items`. attributes: of users who have any, as they are now; those that
    the settings name are learned from. Raises EncoderError.
    """
    # Thousands of products too small to share: two BLAS threads that wait spinning for each other made the
    # features of a million interactions take 200 s instead of 15.
    with threadpool_limits(1, "blas"):
        people = People.fit(names_of(settings.training.user_attributes), data.user_ids, attributes)
        return _fitted(data, items, settings, report, fit_encoder, people)


def _fitted(
    data: Interactions,
    items: ItemTable,
    settings: Settings,
    report: Report,
    fit_encoder: FitEncoder,
    people: People,
) -> Fitted:
    training = settings.training
    encoder, texts = encoded(items, len(data.item_ids), training, report, fit_encoder)
    # The ranker learns on another catalog, of which some items are new to the models that it hears.
    asked = held_out(data, items, _to_be_new(data, items, texts, training.seed))
    learning, later = windows(asked.data, training.seed, asked.size)
    learning = [replace(window, cases=known(window.cases, people)) for window in learning]
    later = replace(later, cases=known(later.cases, people))
    learn = learning[-1]
    seen = _seen(learn, later, settings)
    als = _als_options(learn, asked.items, training, seen, report)
    options = Options(*als, graph=_has_no_order(learn, asked.items, training, seen), people=people)
    params = {
        "als.regularization": f"{options.regularization:g}",
        "als.confidence": f"{options.confidence:g}",
        "graph": str(options.graph),
        "seen.bought": str(seen.bought),
        "seen.viewed": str(seen.viewed),
    }
    ranker: FittedRanker | None = None
    blend, metrics = untrained(), dict[str, float]()
    if seen.bought and data.purchases.any() and not _repeats(data):
        log.warning("repeats are allowed but the log has none, a fixed blend orders")
        blend = with_repeats()
    elif min(len(learn.cases), len(later.cases)) >= LEAST_CASES:
        ranker, blend, metrics = _second_stage(
            learning, later, asked, texts[asked.order], settings, options, seen, report
        )
    params["order"] = "ranker" if ranker else "blend"
    params["encoder"] = encoder.name
    params["ranker.trees"] = str(ranker.trees if ranker else 0)
    sources = fit_sources(data, items, training, options, report, "models", texts)
    return Fitted(sources, encoder, ranker, blend, people.codes, metrics, params)


def encoded(
    items: ItemTable, size: int, settings: TrainingSettings, report: Report, fit_encoder: FitEncoder
) -> tuple[Encoder, FloatArray]:
    """The encoder fitted on the first `size` items, and (size, d) their vectors."""
    known = items.items[:size]
    report("encoder", 0.0)
    encoder = fit_encoder(known, settings, report)
    vectors = np.zeros((size, encoder.dim), np.float32)
    for start in range(0, size, ENCODED_AT_ONCE):
        report("texts", start / size)
        vectors[start : start + ENCODED_AT_ONCE] = encoder.encode(known[start : start + ENCODED_AT_ONCE])
    report("encoder", 1.0)
    report("texts", 1.0)
    return encoder, vectors


def limits(settings: CandidateSettings) -> dict[str, int]:
    """Candidates by source name, as the settings say."""
    sources: tuple[type[TrainedSource], ...] = (*_PLAIN, Als, Content, ItemToItem, Segment)
    return {source.name: int(getattr(settings, source.name)) for source in sources}


_PLAIN: tuple[type[TrainedSource], ...] = (
    Transitions, ItemKnn, Session, Graph, BoughtTogether, Popular, Again,
)  # fmt: skip


def fit_sources(
    data: Interactions,
    items: ItemTable,
    settings: TrainingSettings,
    options: Options,
    report: Report,
    stage: str,
    texts: FloatArray | None = None,
) -> dict[str, TrainedSource]:
    """Every source, fitted on `data`, by name. texts: (items, d) as encoded; None: by TF-IDF."""
    steps = len(_PLAIN) + 3
    report(stage, 0.0)
    content = Content.fit(data, items, settings, texts=texts)
    report(stage, 1 / steps)
    collaborative = Als.fit(
        data, items, settings, regularization=options.regularization, confidence=options.confidence,
        texts=content.index.rows(np.arange(len(data.item_ids), dtype=np.int32)),
    )  # fmt: skip
    report(stage, 2 / steps)
    near = ItemToItem.fit(data, items, settings, als=collaborative, content=content)
    sources: dict[str, TrainedSource] = {s.name: s for s in (collaborative, content, near)}
    plain = [source for source in _PLAIN if source is not Graph or options.graph]
    for number, source in enumerate(plain):
        report(stage, (3 + number) / steps)
        sources[source.name] = source.fit(data, items, settings)
    if len(options.people.codes):
        sources[Segment.name] = Segment.fit(data, items, settings, people=options.people)
    report(stage, 1.0)
    return sources


def _second_stage(
    learning: Sequence[Window],
    later: Window,
    asked: HeldOut,
    texts: FloatArray,
    settings: Settings,
    options: Options,
    seen: Seen,
    report: Report,
) -> tuple[FittedRanker | None, Blend, dict[str, float]]:
    """The ranker, where it beats the blend on the later slice; the blend; both figures."""
    training, items = settings.training, asked.items

    def chain(window: Window, stage: str) -> Chain:
        sources = fit_sources(window.known, items, training, options, report, stage, texts[: asked.size])
        sources = with_new(sources, items, texts[asked.size :], asked.size)
        most = limits(settings.candidates)
        return Chain(list(sources.values()), most, None, Blend(), LEARNED_FROM, options.people.codes)

    def rows(chain: Chain, window: Window, negatives: int | None, stage: str) -> Rows:
        return rows_of(
            chain, window.cases, now_s=window.now_s, size=len(items), seen=seen, negatives=negatives,
            seed=training.seed, report=report, stage=stage,
        )  # fmt: skip

    parts = []
    for window in learning:
        newest = chain(window, "earlier models")
        parts.append(rows(newest, window, NEGATIVES, "past features"))
    learned = together(parts)
    if later.known is not learning[-1].known:
        newest = chain(later, "later models")
    checked = rows(newest, later, None, "later features")
    names = newest.feature_names
    if min(len(learned.groups), len(checked.groups)) < LEAST_CASES:
        return None, untrained(), {}
    new = 1 - asked.size / len(items)
    blend, blend_ndcg, alone = blended(learned, checked, names, new=new)
    metrics = {f"ndcg.{name}": value for name, value in alone.items()} | {"ndcg.blend": blend_ndcg}
    if not training.ranker:
        return None, blend, metrics
    report("ranker", 0.0)
    threads = training.threads or 1  # more only by the setting: see `ranker.parameters`
    # Where times are positions, people were held out so that short pasts are asked like any other: without
    # the trees NDCG@10 after one film of ml-1m was .030 instead of .071.
    quiet = quiet_of(learned, names) if has_calendar(asked.data) else 0
    ground = Ground.of(blend, names, quiet)
    ranker, scores = trained(learned, checked, ground, new=new, threads=threads, seed=training.seed)
    metrics["ndcg.ranker"] = ndcg(checked, scores)
    if metrics["ndcg.ranker"] <= blend_ndcg:
        log.info("the blend orders", ranker=metrics["ndcg.ranker"], blend=blend_ndcg)
        report("ranker", 1.0)
        return None, blend, metrics
    report("ranker", 1.0)
    return ranker, blend, metrics


def _to_be_new(data: Interactions, items: ItemTable, texts: FloatArray, seed: int) -> BoolArray:
    """(n,) some of the items that people took and of which something is said: without either nothing can be
    learned from them."""
    n = len(data.item_ids)
    said = texts.any(axis=1) | (items.category[:n] >= 0) | (items.brand[:n] >= 0)
    often = np.flatnonzero(said & (np.bincount(data.items, minlength=n) > 0))
    new = np.zeros(n, np.bool_)
    if len(often) >= LEAST_ITEMS:
        new[np.random.default_rng(seed).permutation(often)[: round(NEW_ITEMS * len(often))]] = True
    return new


def _repeats(data: Interactions) -> bool:
    """Whether anybody bought something again: more than one pair of user and item in a thousand."""
    pairs = data.users[data.purchases].astype(np.int64) * len(data.item_ids) + data.items[data.purchases]
    return len(pairs) > 1.001 * len(np.unique(pairs))


def _seen(learn: Window, later: Window, settings: Settings) -> Seen:
    """Bought items as the rules have it; viewed ones where people do come back to them."""
    back, steps = 0, 0
    for case in (*learn.cases, *later.cases):
        viewed = case.items[~case.purchases]
        back += int(np.isin(case.relevant, viewed).sum())
        steps += len(case.relevant)
    return Seen(bought=settings.rules.repeat_purchases, viewed=back > RARE * max(steps, 1))


def _als_options(
    learn: Window, items: ItemTable, settings: TrainingSettings, seen: Seen, report: Report
) -> tuple[float, float]:
    """The λ and α of the grid that find most of what came next."""
    best, chosen = -1.0, ALS_GRID[3]  # gentle enough for a shop of a hundred events
    if len(learn.cases) < LEAST_CASES:
        return chosen
    for number, (regularization, confidence) in enumerate(ALS_GRID):
        report("choosing models", number / len(ALS_GRID))
        als = Als.fit(
            learn.known, items, settings, regularization=regularization, confidence=confidence,
            iterations=6, factors=min(64, settings.factors),
        )  # fmt: skip
        found = _found(als, learn, seen, len(items))
        if found > best:
            best, chosen = found, (regularization, confidence)
    report("choosing models", 1.0)
    return chosen


def _has_no_order(learn: Window, items: ItemTable, settings: TrainingSettings, seen: Seen) -> bool:
    """Whether the graph of who had what finds more of what came next than what followed what."""
    if len(learn.cases) < LEAST_CASES:
        return False
    graph, transitions = (
        _found(source.fit(learn.known, items, settings), learn, seen, len(items))
        for source in (Graph, Transitions)
    )
    return graph > transitions


def _found(source: TrainedSource, window: Window, seen: Seen, size: int) -> float:
    """Mean NDCG@50 of a source alone on some of the cases."""
    cases = window.cases[:: max(1, len(window.cases) // TRIAL_CASES)]
    total = 0.0
    for case in cases:
        query = case.query(window.now_s)
        query.allowed = seen.allowed(case, size)
        wanted = np.union1d(case.relevant, case.later)
        hits = np.isin(source.candidates(query, 50).positions, wanted)
        ideal = (1 / np.log2(np.arange(2, min(len(wanted), 50) + 2))).sum()
        total += float((hits / np.log2(np.arange(2, len(hits) + 2))).sum() / ideal)
    return total / len(cases)
