"""What the API answers, as types: the reference is made from these, and tests hold the answers to them."""

from typing import Any

from msgspec import Struct


class ItemCard(Struct, kw_only=True):
    """What a slate says of an item. What the catalog does not know is null or left out."""

    item_id: str
    title: str | None = None
    image: str | None = None
    price: float | None = None
    currency: str | None = None
    category: str | None = None
    brand: str | None = None


class Recommendation(ItemCard, kw_only=True):
    """One item of a slate with why it is there."""

    position: int
    score: float
    reason: str
    reason_code: str
    sources: list[str]


class ModelSaid(Struct):
    """Which model answered and how old it is."""

    version: str
    age_s: float | None = None


class FeaturesSaid(Struct):
    """How fresh the user's features were. `age_ms` null: no events yet."""

    version: int
    interaction_count: int
    age_ms: float | None = None


class SlateAnswer(Struct, kw_only=True):
    """A slate. `tier` says what answered: cache, fresh, stale, popular_category, popular …"""

    request_id: str
    user_id: str | None = None
    tier: str
    recommendations: list[Recommendation]
    page: int = 1
    next_page: int | None = None
    model: ModelSaid | None = None
    features: FeaturesSaid | None = None
    missing_sources: dict[str, str] = {}
    took_ms: float


class SimilarAnswer(Struct, kw_only=True):
    """Items like one."""

    request_id: str
    item_id: str
    recommendations: list[dict[str, Any]]
    model: ModelSaid | None = None
    took_ms: float


class Ranked(Struct):
    """One item in its place."""

    item_id: str
    score: float
    position: int


class RankAnswer(Struct, kw_only=True):
    """The caller's own list in order; the ids that are not in the catalog, and those of what may not be shown
    to this user: hidden, sold out, bought, disliked, taken out by a rule."""

    request_id: str
    recommendations: list[Ranked]
    unknown: list[str] = []
    left_out: list[str] = []


class Refused(Struct):
    """An event that was not taken: where it stood, which field, what to do."""

    index: int
    field: str
    error: str


class EventsAnswer(Struct):
    """How many events are durable, and those that are not."""

    accepted: int
    refused: list[Refused]


class ItemsWritten(Struct):
    """How many items were written; `catalog_version` is the catalog's counter after it."""

    written: int
    catalog_version: int


class ItemPage(Struct):
    """Items of one page of the catalog."""

    items: list[dict[str, Any]]
    total: int
    offset: int
    next_offset: int | None


class CategoryAsked(Struct):
    """A category to choose: how many items it has, and the picture of its most popular one."""

    category: str
    items: int
    image: str


class SurveyAnswer(Struct, kw_only=True):
    """What a new user is asked. `choose`: how many categories to suggest. `stars`: from, to."""

    request_id: str
    user_id: str
    choose: int
    categories: list[CategoryAsked]
    items: list[ItemCard]
    stars: list[int]


class AnswersKept(Struct):
    """The answers are durable, as one event."""

    user_id: str
    event_id: str


class GuestMerged(Struct):
    """How many of a guest's last events were told; those told before do not count again."""

    user_id: str
    guest: str
    events: int


class CategoryCount(Struct):
    """A primary category and how many items of it may be served."""

    category: str
    items: int


class Categories(Struct):
    """Every primary category, the largest first."""

    categories: list[CategoryCount]


class PastItem(Struct, kw_only=True):
    """One of the user's last interactions, newest first."""

    item_id: str
    type: str
    ts: int
    title: str | None = None


class SessionSaid(Struct):
    """The user's session; `number` counts sessions from 1."""

    session_id: str
    number: int
    start_ts: int
    count: int


class UserAnswer(Struct, kw_only=True):
    """What is known of a user: the features that slates are made from."""

    user_id: str
    last_5: list[str]
    history: list[PastItem]
    counts: dict[str, int]
    interaction_count: int
    first_ts: int | None
    last_ts: int | None
    affinity: dict[str, float]
    purchased: dict[str, float]
    session: SessionSaid | None
    preferred: list[str]
    stars: dict[str, float]
    version: int
    taste_version: int
    attributes: dict[str, Any] = {}


class Profile(Struct):
    """What the shop knows of a user beside what they did."""

    user_id: str
    attributes: dict[str, Any]


class Health(Struct):
    """Whether all is well (ok, degraded, not ready); `parts` says of each part "ok" or what is wrong."""

    status: str
    parts: dict[str, str] = {}


class Token(Struct):
    """A token for development."""

    token: str
    user_id: str
    expires_s: int
