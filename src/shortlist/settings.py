"""Every setting, once: its type, unit, default and meaning; read at start and passed down as values.

Order of origin, later wins: the default here, `shortlist.toml` in the home folder's parent or named by
`SHORTLIST_CONFIG`, then the environment (`SHORTLIST_<SECTION>__<KEY>`).
"""

import difflib
import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct, field

from shortlist.errors import ShortlistError
from shortlist.refusal import refusal

PREFIX = "SHORTLIST_"
# Variables that are no settings: where the state is, where settings are, where tests find public data.
PLAIN_NAMES = ("SHORTLIST_HOME", "SHORTLIST_CONFIG", "SHORTLIST_DATA")


class SettingsError(ShortlistError):
    """A setting is unknown, of the wrong type, or contradicts another; nothing was started."""


def said(text: str) -> Meta:
    """The one sentence that explains a setting, shown by `shortlist settings` and in the docs."""
    return Meta(description=text)


class ServerSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """The HTTP server."""

    mode: Annotated[
        Literal["development", "production"],
        said(
            "Development makes its own keys and stays on loopback; production refuses to start without keys."
        ),
    ] = "development"
    host: Annotated[str, said("Address to listen on.")] = "127.0.0.1"
    port: Annotated[int, Meta(ge=0, le=65535), said("Port to listen on; 0 takes a free one.")] = 8000
    drain_s: Annotated[float, Meta(ge=0), said("Seconds that requests in flight get after SIGTERM.")] = 10.0
    max_body_bytes: Annotated[int, Meta(ge=1), said("Largest request body accepted, in bytes.")] = 4_000_000
    cors_origins: Annotated[
        str, said("Origins whose pages may call the API, with spaces between; * for any, empty for none.")
    ] = ""


class AuthSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """Who may ask for whom."""

    hs256_secret_file: Annotated[str, said("File with the HS256 secret (32 bytes or more); empty: none.")] = (
        ""
    )
    jwks_file: Annotated[str, said("JWKS file with the RS256 public keys; read again when it changes.")] = ""
    issuer: Annotated[str, said("Required `iss` of a token; empty: any.")] = ""
    audience: Annotated[str, said("Required `aud` of a token; empty: none expected.")] = ""
    leeway_s: Annotated[float, Meta(ge=0), said("Clock skew allowed on `exp` and `nbf`, in seconds.")] = 30.0


class LimitSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """Rate limits (flow 1)."""

    recommendations_per_min: Annotated[
        int, Meta(ge=1), said("Requests per minute and user over /recommendations and /similar.")
    ] = 100
    events_per_min: Annotated[int, Meta(ge=1), said("Requests to /events per minute and user.")] = 600
    service_exempt: Annotated[bool, said("Whether service and admin tokens are free of rate limits.")] = True


class LogSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """The event log (flow 3)."""

    url: Annotated[str, said("Where the log lives; rocksdb: means the home folder.")] = "rocksdb:"
    partitions: Annotated[
        int, Meta(ge=1, le=4096), said("Partitions of clickstream.events, fixed once made.")
    ] = 100
    retention_days: Annotated[
        float,
        Meta(ge=0),
        said("Days after which events leave the log, once a copy of the features stands for them; 0: never."),
    ] = 0.0
    dedup_window: Annotated[
        int,
        Meta(ge=0),
        said(
            "Two events of a user with one event_id count once if at most so many events of the same log "
            "partition (a share of all users) lie between them; changing it needs `shortlist rebuild`."
        ),
    ] = 10_000
    max_waiting_events: Annotated[
        int, Meta(ge=1), said("Events that may wait for the disk before /events answers 503.")
    ] = 50_000
    future_s: Annotated[
        float, Meta(ge=0), said("Seconds an event's time may lie ahead of the server's clock.")
    ] = 300.0


class FeatureSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """The feature store (flow 4). What changes the meaning of features needs `shortlist rebuild`."""

    url: Annotated[str, said("Where features live; rocksdb: means beside the log.")] = "rocksdb:"
    batch: Annotated[int, Meta(ge=1), said("Most records folded in one atomic step.")] = 200
    history: Annotated[int, Meta(ge=1), said("Items of a user's past that are kept.")] = 200
    session_gap_s: Annotated[
        float, Meta(gt=0), said("Silence after which a new session begins, in seconds.")
    ] = 1800.0
    expire_days: Annotated[
        float,
        Meta(gt=0),
        said("Days after a user's last append until last items, session and affinity expire."),
    ] = 7.0
    trending_half_life_h: Annotated[
        float, Meta(gt=0), said("Hours in which an event's share in trending halves.")
    ] = 24.0
    affinity_half_life_days: Annotated[
        float, Meta(gt=0), said("Days in which a category's affinity halves.")
    ] = 14.0
    fatigue_impressions: Annotated[
        float,
        Meta(ge=0),
        said("Impressions without a click after which an item's score halves, and again; 0: never."),
    ] = 5.0
    fatigue_half_life_days: Annotated[
        float, Meta(gt=0), said("Days in which an impression without a click is half forgotten.")
    ] = 3.0


class CatalogSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """The catalog."""

    url: Annotated[str, said("SQLAlchemy URL of the catalog; sqlite: means the home folder.")] = "sqlite:"
    bert_folder: Annotated[
        str,
        said("Folder of a Hugging Face BERT that encodes items from the next training on; empty: TF-IDF."),
    ] = ""


class WeightSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """What an event of each type says about taste, for sources, trending and the ranker alike.

    Below 0 it lowers the item (in trending) and what lies near it (for the user), and is never a taste.
    """

    view: Annotated[float, said("Weight of a view.")] = 1.0
    click: Annotated[float, said("Weight of a click.")] = 1.0
    cart: Annotated[float, said("Weight of putting into the cart.")] = 2.0
    purchase: Annotated[float, said("Weight of a purchase.")] = 3.0
    rating: Annotated[float, said("Weight of a rating, whatever its stars.")] = 1.0
    like: Annotated[float, said("Weight of a like.")] = 2.0
    dislike: Annotated[
        float, said("Weight of a dislike: how far it lowers the item and what is like it.")
    ] = -1.0
    cancel: Annotated[float, said("Weight of a cancellation.")] = 0.0
    impression: Annotated[float, said("Weight of having been shown.")] = 0.0

    def by_type(self) -> dict[str, float]:
        """The weight of each event type, for everybody who weighs events; types not here have none."""
        return msgspec.structs.asdict(self)


class CandidateSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """How many candidates each source brings (flow 8); 0 turns a source off."""

    deadline_ms: Annotated[
        float, Meta(gt=0), said("Milliseconds a source has before the slate goes on without it.")
    ] = 20.0
    pool: Annotated[int, Meta(ge=1), said("Most candidates that go on to scoring.")] = 160
    als: Annotated[int, Meta(ge=0), said("Candidates from collaborative filtering.")] = 50
    content: Annotated[int, Meta(ge=0), said("Candidates by text and attributes.")] = 30
    item_to_item: Annotated[int, Meta(ge=0), said("Candidates near the last items in the FAISS index.")] = 50
    item_knn: Annotated[int, Meta(ge=0), said("Candidates from item-kNN.")] = 100
    transitions: Annotated[int, Meta(ge=0), said("Candidates that followed the last items.")] = 100
    session: Annotated[int, Meta(ge=0), said("Candidates from similar sessions (V-SkNN).")] = 100
    graph: Annotated[int, Meta(ge=0), said("Candidates from GF-CF, where events have no order.")] = 100
    bought_together: Annotated[int, Meta(ge=0), said("Candidates bought together with the last items.")] = 30
    again: Annotated[
        int, Meta(ge=0), said("Candidates that the user had before, where they may come again.")
    ] = 100
    popular: Annotated[int, Meta(ge=0), said("Popular candidates.")] = 30
    segment: Annotated[
        int,
        Meta(ge=0),
        said("Candidates that users with the same attributes take (`training.user_attributes`)."),
    ] = 30
    trending: Annotated[int, Meta(ge=0), said("Trending candidates.")] = 20


class RuleSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """Business rules of re-ranking (flows 2 and 8)."""

    enabled: Annotated[bool, said("Whether caps, boosts and the margin filter apply; filters always do.")] = (
        True
    )
    max_per_category: Annotated[
        int, Meta(ge=0), said("Most items of one category in a slate; 0: no cap.")
    ] = 3
    max_per_brand: Annotated[int, Meta(ge=0), said("Most items of one brand in a slate; 0: no cap.")] = 2
    trending_boost: Annotated[float, Meta(ge=0), said("Share by which a trending item's score rises.")] = 0.10
    min_margin: Annotated[
        float, said("Items below this margin (share of price) are left out; unknown margins pass.")
    ] = 0.05
    repeat_purchases: Annotated[
        bool, said("Whether bought and rated items may be recommended again (groceries, gifts).")
    ] = False


class CacheSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """The slate cache (flows 1 and 2)."""

    url: Annotated[str, said("Where pools are cached; memory: is in this process.")] = "memory:"
    ttl_s: Annotated[float, Meta(ge=0), said("Seconds a pool is fresh.")] = 3600.0
    stale_s: Annotated[float, Meta(ge=0), said("Seconds a pool may still serve as fallback.")] = 86_400.0
    pool: Annotated[int, Meta(ge=1), said("Items in a cached pool.")] = 100
    max_entries: Annotated[int, Meta(ge=1), said("Pools kept in process.")] = 50_000
    max_bytes: Annotated[int, Meta(ge=1), said("Memory that pools in process may take, in bytes.")] = (
        400_000_000
    )


class ServingSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """How a slate is computed."""

    limit: Annotated[int, Meta(ge=1), said("Items in a slate when the request does not say.")] = 10
    max_limit: Annotated[int, Meta(ge=1), said("Most items a request may ask for.")] = 100
    budget_ms: Annotated[float, Meta(gt=0), said("Milliseconds a miss has before a fallback answers.")] = 50.0
    miss_threads: Annotated[
        int,
        Meta(ge=1),
        said("Threads that compute misses; more than one pays where numpy's part is large (big catalogs)."),
    ] = 1
    similar: Annotated[int, Meta(ge=1), said("Items /similar answers when the request does not say.")] = 20


class ExplorationSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """How items that came after the last training are tried out (flow 10)."""

    enabled: Annotated[bool, said("Whether new items get a place in slates before training knows them.")] = (
        True
    )
    share: Annotated[float, Meta(ge=0.0, le=1.0), said("Share of users to whom a new item may be shown.")] = (
        0.05
    )
    promoted_share: Annotated[
        float, Meta(ge=0.0, le=1.0), said("Share of users once an item has proved itself.")
    ] = 0.20
    impressions: Annotated[
        int,
        Meta(ge=1),
        said("Impressions after which an item is judged, and again after every so many more."),
    ] = 1_000
    ctr: Annotated[
        float,
        Meta(ge=0.0, le=1.0),
        said(
            "Clicks per impression that an item must be proved to exceed to be promoted, to miss to retire."
        ),
    ] = 0.03
    confidence: Annotated[
        float, Meta(gt=0.5, lt=1.0), said("Confidence of the one-sided Wilson bounds that judge.")
    ] = 0.95
    limit: Annotated[
        int, Meta(ge=1), said("Impressions after which an item that is still undecided retires.")
    ] = 10_000
    per_user: Annotated[
        int,
        Meta(ge=1),
        said(
            "Most impressions of one new item for one user; every ten slates with it count as one where "
            "fewer were reported."
        ),
    ] = 3
    new_slots: Annotated[int, Meta(ge=0, le=5), said("New items in every ten of a slate.")] = 1
    trending_slots: Annotated[
        int, Meta(ge=0, le=4), said("Trending items in every ten of a slate that has a new one.")
    ] = 1
    items: Annotated[
        int, Meta(ge=1, le=1_000), said("New items tried out at a time, the oldest first; the others wait.")
    ] = 100
    window_h: Annotated[
        float, Meta(gt=0), said("Hours after a slate in which a click or purchase counts as its doing.")
    ] = 24.0
    salt: Annotated[str, said("Chooses which users see which new item; another one draws anew.")] = "new"


class ColdStartSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """First slates of new users (flow 9)."""

    explores: Annotated[
        Literal["answered", "everyone", "off"],
        said(
            "Whose first slates explore: of those who answered or skipped the survey, of everyone new, or of "
            "nobody (popular items at first, personal ones from the first interaction on)."
        ),
    ] = "answered"
    stages: Annotated[
        str,
        said(
            "Share of a slate that explores: rows of interactions, days since the first event, and share, "
            "semicolons between; of the rows whose interactions and days are reached the last one counts."
        ),
    ] = "0 0 0.7; 1 0 0.6; 3 0 0.5; 5 0 0.4; 7 0 0.3; 0 7 0.3; 10 0 0"


class TrainingSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """The training pipeline (flow 5)."""

    days: Annotated[
        float, Meta(ge=0), said("Days of history that training reads, counted from the last event; 0: all.")
    ] = 0.0
    factors: Annotated[int, Meta(ge=1), said("Dimensions of collaborative vectors.")] = 128
    content_dim: Annotated[int, Meta(ge=1), said("Dimensions of text vectors.")] = 128
    seed: Annotated[int, Meta(ge=0), said("Seed of every random choice.")] = 7
    threads: Annotated[int, Meta(ge=0), said("Threads that training uses; 0: all cores.")] = 0
    bot_events_per_min: Annotated[
        int, Meta(ge=1), said("Users above this many events in a minute are left out as bots.")
    ] = 100
    ranker: Annotated[bool, said("Whether to train the ranker; without it the blend serves.")] = True
    user_attributes: Annotated[
        str, said("Attributes of users (`PUT /users/{id}`) that models learn from; names with commas.")
    ] = ""
    keep_versions: Annotated[
        int,
        Meta(ge=1),
        said("Model versions kept; what serves and what served before it stay whatever their age."),
    ] = 5


class TelemetrySettings(Struct, frozen=True, forbid_unknown_fields=True):
    """Logs and enrichment."""

    log_level: Annotated[Literal["debug", "info", "warning", "error"], said("Least level logged.")] = "info"
    geoip_file: Annotated[str, said("MaxMind database for IP to country; empty: no country.")] = ""


class Settings(Struct, frozen=True, forbid_unknown_fields=True):
    """The whole tree."""

    server: ServerSettings = field(default_factory=ServerSettings)
    auth: AuthSettings = field(default_factory=AuthSettings)
    limits: LimitSettings = field(default_factory=LimitSettings)
    log: LogSettings = field(default_factory=LogSettings)
    features: FeatureSettings = field(default_factory=FeatureSettings)
    catalog: CatalogSettings = field(default_factory=CatalogSettings)
    weights: WeightSettings = field(default_factory=WeightSettings)
    candidates: CandidateSettings = field(default_factory=CandidateSettings)
    rules: RuleSettings = field(default_factory=RuleSettings)
    cache: CacheSettings = field(default_factory=CacheSettings)
    serving: ServingSettings = field(default_factory=ServingSettings)
    exploration: ExplorationSettings = field(default_factory=ExplorationSettings)
    coldstart: ColdStartSettings = field(default_factory=ColdStartSettings)
    training: TrainingSettings = field(default_factory=TrainingSettings)
    telemetry: TelemetrySettings = field(default_factory=TelemetrySettings)


class Setting(Struct, frozen=True):
    """One setting as people see it."""

    name: str
    meaning: str
    value: Any
    default: Any
    origin: str


def load(
    home: Path | None = None, environ: Mapping[str, str] | None = None
) -> tuple[Settings, list[Setting]]:
    """Read the settings that hold for `home`, and where each came from.

    home: the state folder; `shortlist.toml` is looked for in it, then beside it.
    Raises SettingsError naming the key, its origin and the nearest known name.
    """
    environ = os.environ if environ is None else environ
    values: dict[str, dict[str, Any]] = {}
    origins: dict[str, str] = {}
    path = _config_path(home, environ)
    if path is not None:
        for section, keys in _read_toml(path).items():
            if not isinstance(keys, dict):
                raise SettingsError(f"{path}: {section} must be a section, write [{section}]")
            for key, value in keys.items():
                _known(section, key, str(path))
                values.setdefault(section, {})[key] = value
                origins[f"{section}.{key}"] = str(path)
    for name, text in environ.items():
        if not name.startswith(PREFIX) or name in PLAIN_NAMES:
            continue
        section, separator, key = name.removeprefix(PREFIX).lower().partition("__")
        if not separator:
            raise SettingsError(_unknown_variable(name))
        _known(section, key, name)
        values.setdefault(section, {})[key] = text
        origins[f"{section}.{key}"] = name
    try:
        settings = msgspec.convert(values, Settings, strict=False)
    except msgspec.ValidationError as error:
        field, why = refusal(error, Settings, values, whole="the settings")
        raise SettingsError(f"{origins.get(field, 'settings')}: {field} {why}") from None
    return settings, describe(settings, origins)


def describe(settings: Settings, origins: Mapping[str, str] | None = None) -> list[Setting]:
    """Every setting with meaning, value and origin, in the order of declaration."""
    origins = origins or {}
    rows = []
    for section in msgspec.structs.fields(Settings):
        tree, default = getattr(settings, section.name), section.type()
        for key in msgspec.structs.fields(section.type):
            name = f"{section.name}.{key.name}"
            rows.append(
                Setting(
                    name=name,
                    meaning=_meaning(key.type),
                    value=getattr(tree, key.name),
                    default=getattr(default, key.name),
                    origin=origins.get(name, "default"),
                )
            )
    return rows


def _meaning(annotated: Any) -> str:
    texts = [m.description for m in getattr(annotated, "__metadata__", ()) if m.description]
    return texts[0] if texts else ""


def _names() -> dict[str, list[str]]:
    return {
        section.name: [key.name for key in msgspec.structs.fields(section.type)]
        for section in msgspec.structs.fields(Settings)
    }


def _known(section: str, key: str, origin: str) -> None:
    names = _names()
    everything = [f"{s}.{k}" for s, keys in names.items() for k in keys]
    if key not in names.get(section, []):
        near = difflib.get_close_matches(f"{section}.{key}", everything, n=1)
        hint = f"; did you mean {near[0]}?" if near else "; see `shortlist settings`"
        raise SettingsError(f"{origin}: no setting {section}.{key}{hint}")


def _unknown_variable(name: str) -> str:
    """Why an environment variable is none of ours, and which one was meant."""
    ours = [f"{PREFIX}{s}__{k}".upper() for s, keys in _names().items() for k in keys]
    # One underscore where two belong is the likely slip: compared as if both had one, and without what all
    # begin with.
    single = {one.removeprefix(PREFIX).replace("__", "_"): one for one in (*ours, *PLAIN_NAMES)}
    close = difflib.get_close_matches(name.removeprefix(PREFIX), single, n=1)
    hint = f"did you mean {single[close[0]]}?" if close else "see `shortlist settings`"
    return (
        f"{name}: no such variable; {hint} (settings are {PREFIX}SECTION__KEY, with two underscores between)"
    )


def _config_path(home: Path | None, environ: Mapping[str, str]) -> Path | None:
    if named := environ.get("SHORTLIST_CONFIG"):
        if not Path(named).is_file():
            raise SettingsError(f"SHORTLIST_CONFIG: no file {named}")
        return Path(named)
    for folder in (home, home.parent) if home is not None else ():
        if (folder / "shortlist.toml").is_file():
            return folder / "shortlist.toml"
    return None


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: {error}") from None
