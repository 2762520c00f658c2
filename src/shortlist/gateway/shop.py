"""What the gateway is handed: the parts of one running shop, by the verbs it uses."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from shortlist.catalog.rule import Judged, Rule
from shortlist.catalog.store import CatalogStore
from shortlist.catalog.table import ItemTable
from shortlist.coldstart.accounts import Accounts
from shortlist.events.event import Event
from shortlist.features.store import Features
from shortlist.gateway.auth import Authority
from shortlist.gateway.limits import RateLimiter
from shortlist.home import Home
from shortlist.ops.health import Check
from shortlist.serving.dry_run import DryRun
from shortlist.serving.explained import Explained
from shortlist.serving.ruling import Listed
from shortlist.serving.slate import Ask
from shortlist.serving.trace import Trace


class Answered(Protocol):
    """An answer whose JSON is ready."""

    @property
    def body(self) -> bytes:
        """The JSON, as HTTP sends it."""


class Recommends(Protocol):
    """`serving.Serving` as the gateway sees it."""

    def instant(self, user_id: str, request_id: str = "") -> bytes | None:
        """The default slate's body if it is at hand; for the event loop."""

    async def recommend(self, ask: Ask) -> Answered:
        """A slate."""

    async def recommend_history(
        self, history: Sequence[str], limit: int = 0, *, where: str = "", is_shop: bool = False
    ) -> Answered:
        """A slate for a past, oldest first, of somebody without a user id. where: the request's filter."""

    async def similar(
        self,
        item_id: str,
        limit: int = 0,
        user_id: str | None = None,
        request_id: str = "",
        *,
        where: str = "",
        is_shop: bool = False,
    ) -> Answered:
        """Items like one."""

    async def survey(self, user_id: str, request_id: str = "") -> Answered:
        """What a new user is asked."""

    async def rank(
        self,
        items: Sequence[str],
        *,
        user_id: str | None = None,
        history: Sequence[str] = (),
        request_id: str = "",
    ) -> Answered:
        """The given items, ordered for a user or a past."""


class Explains(Protocol):
    """`serving.Explaining` as the gateway sees it."""

    async def trace(self, request_id: str) -> Trace | None:
        """The trace of a request; None where it is not remembered."""

    async def explain(
        self, trace: Trace, *, replays: bool = False, against_today: bool = False, is_shop: bool = True
    ) -> Explained:
        """The whole of it. is_shop: whether who asks may read the operator's rules."""


class Accepted(Protocol):
    """What the collector did with a request's events."""

    @property
    def accepted(self) -> int:
        """How many are durable."""

    @property
    def refused(self) -> Sequence[Any]:
        """Those that are not: records with index, field and error."""


class Collects(Protocol):
    """`events.Collector` as the gateway sees it."""

    async def accept(
        self, body: bytes, *, subject: str | None, ip: str, user_agent: str, now_ms: int
    ) -> Accepted:
        """Take events; subject None: of any user."""


class Onboards(Protocol):
    """`coldstart.Onboarding` as the gateway sees it."""

    async def submit(
        self,
        user_id: str,
        categories: Sequence[str],
        ratings: Mapping[str, float],
        *,
        skipped: bool,
        event_id: str | None,
        now_ms: int,
    ) -> Event:
        """Log the answers to the survey."""

    async def merge(self, user_id: str, guest: str, *, now_ms: int) -> Event | None:
        """Log that a guest is this user; None where the guest did nothing."""


class KnowsUsers(Protocol):
    """`features.FeatureStore` as the gateway sees it: blocking, for worker threads."""

    def read(self, user_ids: Sequence[str], now_ms: int) -> list[Features]:
        """One `Features` per id, in the order asked."""

    def delete(self, user_id: str) -> None:
        """Forget one user."""


class FollowsRules(Protocol):
    """`serving.Ruling` as the gateway sees it."""

    async def listed(self) -> Sequence[Listed]:
        """Every rule, by id."""

    async def create(self, rule: Rule) -> Judged:
        """Add a rule and follow it."""

    async def patch(self, rule_id: str, changes: Mapping[str, Any]) -> Judged:
        """Change some fields of a rule and follow it."""

    async def delete(self, rule_id: str) -> None:
        """Take a rule away."""

    async def dry_run(self, draft: Rule | None, most: int) -> DryRun:
        """What a rule would have done to the last slates."""


class KnowsProfiles(Protocol):
    """`serving.Profiles` as the gateway sees it: attributes of users."""

    async def read(self, user_id: str) -> Mapping[str, Any]:
        """A user's attributes; empty where there are none."""

    async def put(self, user_id: str, attributes: Mapping[str, Any]) -> None:
        """Replace them; the user's next slate follows."""

    async def delete(self, user_id: str) -> None:
        """Forget them."""


async def nothing() -> None:
    """Do nothing."""


async def forget_nobody(user_id: str) -> None:
    """Do nothing."""


@dataclass(frozen=True, kw_only=True)
class Shop:
    """One running shop. The composition root fills it in; the gateway opens and closes nothing."""

    home: Home
    serving: Recommends
    explaining: Explains
    collector: Collects
    onboarding: Onboards
    items: CatalogStore
    table: Callable[[], ItemTable]
    features: KnowsUsers
    accounts: Callable[[], Accounts]  # the ledger of new items; for worker threads
    rules: FollowsRules
    profiles: KnowsProfiles
    authority: Authority
    limiter: RateLimiter
    secret: bytes | None = None  # signs tokens of /dev/token; development only
    checks: Mapping[str, Check] = field(default_factory=dict)  # what /health/ready asks, by part
    warnings: Mapping[str, Check] = field(default_factory=dict)  # the same, of what it serves on without
    catalog_changed: Callable[[], Awaitable[None]] = nothing  # returns once slates show the change
    forget_user: Callable[[str], Awaitable[None]] = forget_nobody  # drops what serving keeps of a user
