"""Counts what `doctor` judges, from a home at rest or beside its running server."""

from collections import Counter
from collections.abc import Callable

from shortlist.app.catalog import catalog
from shortlist.app.loop import followed
from shortlist.app.models import load_serving
from shortlist.catalog.item import Item
from shortlist.database import DatabaseMissing
from shortlist.doctor import Facts
from shortlist.events.log import EVENTS
from shortlist.features.store import FoldChanged, RebuildUnfinished
from shortlist.home import Home
from shortlist.models.model import Model
from shortlist.models.registry import ModelCorrupt, ModelUnknown
from shortlist.settings import Settings

DAY_S = 86_400.0


async def gather(settings: Settings, home: Home, *, now_s: float) -> Facts:
    """Everything `diagnose` wants to know."""
    async with catalog(settings, home) as stored:
        items = [item async for item in stored.all()]
    model, error = _model(home)
    users, interactions, events, lag, newest = _log(settings, home)
    fold_problem = _fold_problem(settings, home)
    servable = [item for item in items if item.is_servable]
    known = set(model.item_ids) if model else set()
    return Facts(
        items=len(items),
        servable=len(servable),
        hidden=sum(item.hidden for item in items),
        out_of_stock=sum(item.stock == 0 for item in items),
        below_margin=_share(
            servable, lambda item: item.margin is not None and item.margin < settings.rules.min_margin
        ),
        without_title=_share(servable, lambda item: not item.title),
        without_category=_share(servable, lambda item: not item.categories),
        largest_category=_largest(servable),
        events=events,
        users=users,
        interactions_per_user=interactions / max(users, 1),
        lag=lag,
        fold_problem=fold_problem,
        model_version=model.version if model else None,
        model_error=error,
        model_age_days=(now_s - model.trained_ms / 1000) / DAY_S if model else 0.0,
        is_behind=model is not None and newest > model.data_end_s,
        items_since_training=sum(item.item_id not in known for item in items) if model else 0,
        has_ranker=model is not None and model.ranker is not None,
    )


def _model(home: Home) -> tuple[Model | None, str | None]:
    try:
        return load_serving(home), None
    except ModelUnknown:
        return None, None
    except ModelCorrupt as error:
        return None, str(error)


def _log(settings: Settings, home: Home) -> tuple[int, int, int, int, float]:
    """Users, their interactions, events in the log, events not folded, time of the newest in seconds."""
    try:
        with followed(settings, home) as loop:
            ends, begins = loop.log.ends(EVENTS), loop.log.begins(EVENTS)
            lag = sum(end - loop.features.offset(at) for at, end in enumerate(ends))
            users = interactions = newest = 0
            for partition in range(len(ends)):
                for _, features in loop.features.users(partition):
                    users += 1
                    interactions += features.interaction_count
                    newest = max(newest, features.last_ts)
            return users, interactions, sum(ends) - sum(begins), max(0, lag), newest / 1000
    except DatabaseMissing:
        return 0, 0, 0, 0, 0.0


def _fold_problem(settings: Settings, home: Home) -> str | None:
    """Why the features cannot be used with the settings as they are."""
    try:
        with followed(settings, home) as loop:
            loop.features.agree()
    except DatabaseMissing:
        return None
    except (FoldChanged, RebuildUnfinished) as error:
        return str(error)
    return None


def _share(items: list[Item], has: Callable[[Item], bool]) -> float:
    return sum(map(has, items)) / max(1, len(items))


def _largest(items: list[Item]) -> float:
    primary = Counter(item.category for item in items if item.category)
    return max(primary.values(), default=0) / max(1, len(items))
