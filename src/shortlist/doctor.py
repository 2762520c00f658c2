"""Why recommendations are empty or poor: facts in, findings out, each with the setting and the fix."""

from typing import Literal

from msgspec import Struct

from shortlist.settings import Settings

FEW_EVENTS, FEW_USERS, FEW_PER_USER = 1_000, 50, 3.0
STALE_DAYS = 7.0
MOST = 0.5  # a filter that takes more than this share of the catalog is worth a word


class Facts(Struct, frozen=True, kw_only=True):
    """What is counted in a home. Shares are of servable items, in [0, 1]."""

    items: int
    servable: int
    hidden: int
    out_of_stock: int
    below_margin: float
    without_title: float
    without_category: float
    largest_category: float  # share of the most frequent primary category
    events: int
    users: int
    interactions_per_user: float
    lag: int
    fold_problem: str | None  # why the features cannot be used as they are
    model_version: str | None
    model_error: str | None
    model_age_days: float
    is_behind: bool  # whether events newer than the model's are in the log
    items_since_training: int
    has_ranker: bool


class Finding(Struct, frozen=True):
    """One thing that was found. `bad`: lists are empty or wrong; `poor`: they could be better."""

    level: Literal["bad", "poor", "fine"]
    said: str
    fix: str = ""


def diagnose(facts: Facts, settings: Settings) -> list[Finding]:
    """What to know, the worst first."""
    findings = [
        *_catalog(facts, settings),
        *_events(facts, settings),
        *_model(facts),
        *_settings(facts, settings),
    ]
    order = {"bad": 0, "poor": 1, "fine": 2}
    return sorted(findings, key=lambda finding: order[finding.level])


def _catalog(facts: Facts, settings: Settings) -> list[Finding]:
    if facts.items == 0:
        return [Finding("bad", "The catalog is empty: nothing can be recommended.", "shortlist import FILE")]
    if facts.servable == 0:
        return [
            Finding(
                "bad",
                f"None of {facts.items} items may be shown: {facts.hidden} hidden, "
                f"{facts.out_of_stock} out of stock.",
                "PATCH /items/{id} with a stock above 0 or hidden false",
            )
        ]
    found = [Finding("fine", f"{facts.servable} of {facts.items} items may be shown.")]
    if settings.rules.enabled and facts.below_margin > MOST:
        found.append(
            Finding(
                "poor",
                f"{facts.below_margin:.0%} of the items are below rules.min_margin "
                f"({settings.rules.min_margin:.0%}) and left out of every list.",
                "lower rules.min_margin, or correct the items' margin (a share: 0.25 is a quarter)",
            )
        )
    if facts.without_category > MOST:
        found.append(
            Finding(
                "poor",
                f"{facts.without_category:.0%} of the items have no category: variety, category lists and "
                "fallbacks by category do nothing for them.",
                "shortlist import EVENTS --items FILE with a category column",
            )
        )
    elif settings.rules.enabled and settings.rules.max_per_category and facts.largest_category > 0.9:
        found.append(
            Finding(
                "poor",
                f"{facts.largest_category:.0%} of the items share one category, so the cap of "
                f"{settings.rules.max_per_category} per category is relaxed in every list.",
                "use finer categories, or set rules.max_per_category to 0",
            )
        )
    if facts.without_title > MOST:
        found.append(
            Finding(
                "poor",
                f"{facts.without_title:.0%} of the items have no title: pages show ids, and the content "
                "source has nothing to read.",
                "shortlist import EVENTS --items FILE with a title column",
            )
        )
    return found


def _events(facts: Facts, settings: Settings) -> list[Finding]:
    if facts.fold_problem:
        return [
            Finding("bad", f"{facts.fold_problem[0].upper()}{facts.fold_problem[1:]}.", "shortlist rebuild")
        ]
    if facts.events == 0:
        return [
            Finding(
                "bad",
                "The event log is empty: lists are the same for everyone.",
                "shortlist import FILE, or send events to POST /events",
            )
        ]
    found = [Finding("fine", f"{facts.events} events of {facts.users} users are in the log.")]
    if facts.lag > 0:
        found.append(
            Finding(
                "poor",
                f"{facts.lag} events are not folded yet, so features lag behind.",
                "start `shortlist serve`; if it runs, look at its log for failures",
            )
        )
    if facts.users < FEW_USERS or facts.events < FEW_EVENTS or facts.interactions_per_user < FEW_PER_USER:
        found.append(
            Finding(
                "poor",
                f"There is little to learn from: {facts.users} users with {facts.interactions_per_user:.1f} "
                "interactions each.",
                "import more history; below that, lists are mostly popular and similar items",
            )
        )
    if all(getattr(settings.weights, kind) <= 0 for kind in ("view", "click", "cart", "purchase", "rating")):
        found.append(
            Finding(
                "bad", "Every event type has weight 0: nothing is learned.", "raise the settings weights.*"
            )
        )
    return found


def _model(facts: Facts) -> list[Finding]:
    if facts.model_error:
        return [
            Finding(
                "bad",
                f"The serving model does not load: {facts.model_error}",
                "shortlist models rollback, or shortlist train",
            )
        ]
    if facts.model_version is None:
        return [
            Finding("bad", "No model is trained: only trending and popular lists answer.", "shortlist train")
        ]
    found = [Finding("fine", f"Model {facts.model_version} serves, {facts.model_age_days:.1f} days old.")]
    if facts.model_age_days > STALE_DAYS and facts.is_behind:
        found.append(
            Finding(
                "poor",
                f"The model is {facts.model_age_days:.0f} days old and has not seen the events since.",
                "shortlist train (it runs beside serve)",
            )
        )
    if facts.items_since_training > facts.items * 0.1:
        found.append(
            Finding(
                "poor",
                f"{facts.items_since_training} items were added since the model was trained and only "
                "show when they trend.",
                "shortlist train",
            )
        )
    if not facts.has_ranker:
        found.append(
            Finding(
                "fine",
                "No ranker serves: the blend of the sources won on the later slice, or users were too few.",
            )
        )
    return found


def _settings(facts: Facts, settings: Settings) -> list[Finding]:
    candidates = settings.candidates
    off = [
        name
        for name in candidates.__struct_fields__
        if name not in ("deadline_ms", "pool") and not getattr(candidates, name)
    ]
    found = []
    if len(off) == len(candidates.__struct_fields__) - 2:
        found.append(Finding("bad", "Every candidate source is turned off.", "raise candidates.*"))
    elif off:
        found.append(Finding("poor", f"Sources turned off: {', '.join(off)}.", "raise candidates.<name>"))
    if candidates.deadline_ms < 2:
        found.append(
            Finding(
                "poor",
                f"Sources have {candidates.deadline_ms} ms; on a busy machine most come late.",
                "raise candidates.deadline_ms (20 is the default)",
            )
        )
    return found
