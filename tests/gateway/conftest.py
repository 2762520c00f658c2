"""A shop small enough to see through: real catalog table, tokens and limits; slates and log are stand-ins."""

import threading
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from msgspec import Struct

from shortlist.catalog.item import Item
from shortlist.catalog.rule import Judged, Rule, patched
from shortlist.catalog.rules_store import RuleExists, RuleUnknown
from shortlist.catalog.store import CatalogStore, Change, ItemExists, ItemUnknown
from shortlist.catalog.table import ItemTable
from shortlist.catalog.users_store import checked
from shortlist.coldstart.accounts import Accounts, accounts
from shortlist.coldstart.exploration import Exploration
from shortlist.coldstart.ledger import Ledger
from shortlist.coldstart.onboarding import Onboarding
from shortlist.events.log import EventLog, Record, Stored
from shortlist.features.store import Features, Seen
from shortlist.gateway.app import Gateway, build
from shortlist.gateway.auth import Authority, token_for
from shortlist.gateway.keys import open_keys
from shortlist.gateway.limits_memory import MemoryRateLimiter
from shortlist.gateway.shop import Shop
from shortlist.home import Home
from shortlist.ranking.rules import compiled
from shortlist.serving.dry_run import DryRun, Moved
from shortlist.serving.explained import Explained, explained
from shortlist.serving.remade import EQUAL, Part, Replay
from shortlist.serving.ruling import Listed, judged
from shortlist.serving.slate import Ask
from shortlist.serving.trace import Trace
from shortlist.settings import ExplorationSettings, ServerSettings, Settings

SECRET = b"0123456789abcdef0123456789abcdef"
NOW_S = 4_000_000_000.0  # far ahead: tokens made for it never expire while the tests run


class Body(Struct):
    body: bytes


class Slates:
    """Stands in for Serving: remembers what was asked, answers one item."""

    def __init__(self) -> None:
        self.at_hand: set[str] = set()
        self.asked: list[Any] = []
        self.failure: Exception | None = None
        self.hit_failure: Exception | None = None
        self.hit_threads: list[int] = []
        self.made = 0

    def instant(self, user_id: str, request_id: str = "") -> bytes | None:
        self.hit_threads.append(threading.get_ident())
        if self.hit_failure:
            raise self.hit_failure
        if user_id not in self.at_hand:
            return None
        self.made += 1
        return slate(request_id or f"instant-{self.made}", user_id, "cache")

    async def recommend(self, ask: Ask) -> Body:
        self.asked.append(ask)
        if self.failure:
            raise self.failure
        return Body(slate(ask.request_id, ask.user_id, "fresh"))

    async def recommend_history(
        self, history: Sequence[str], limit: int = 0, *, where: str = "", is_shop: bool = False
    ) -> Body:
        self.asked.append(list(history) if not where else (list(history), where, is_shop))
        return Body(slate("h", None, "fresh"))

    async def similar(
        self,
        item_id: str,
        limit: int = 0,
        user_id: str | None = None,
        request_id: str = "",
        *,
        where: str = "",
        is_shop: bool = False,
    ) -> Body:
        self.asked.append((item_id, limit, user_id) + ((where, is_shop) if where else ()))
        if item_id == "nothing":
            raise ItemUnknown("no item 'nothing'")
        answer: dict[str, Any] = {
            "request_id": request_id,
            "item_id": item_id,
            "recommendations": [],
            "model": None,
            "took_ms": 1.0,
        }
        return Body(msgspec.json.encode(answer))

    async def survey(self, user_id: str, request_id: str = "") -> Body:
        card = {"item_id": "i0", "title": "Kettle", "image": "/k.svg"}
        category = {"category": "kitchen", "items": 1, "image": "/k.svg"}
        answer: dict[str, Any] = {
            "request_id": request_id,
            "user_id": user_id,
            "choose": 1,
            "categories": [category],
            "items": [card],
            "stars": [1, 5],
        }
        return Body(msgspec.json.encode(answer))

    async def rank(
        self,
        items: Sequence[str],
        *,
        user_id: str | None = None,
        history: Sequence[str] = (),
        request_id: str = "",
    ) -> Body:
        self.asked.append((list(items), user_id, list(history)))
        ranked = [{"item_id": i, "score": 0.5, "position": p} for p, i in enumerate(items)]
        return Body(msgspec.json.encode({"request_id": request_id, "recommendations": ranked, "unknown": []}))


class Explanations:
    """Stands in for Explaining: traces by hand, and every replay equal."""

    def __init__(self, table: Callable[[], ItemTable]) -> None:
        self.traces: dict[str, Trace] = {}
        self._table = table

    async def trace(self, request_id: str) -> Trace | None:
        return self.traces.get(request_id)

    async def explain(
        self, trace: Trace, *, replays: bool = False, against_today: bool = False, is_shop: bool = True
    ) -> Explained:
        part = Part(EQUAL, len(trace.slate.items))
        replay = Replay(trace.slate.request_id, EQUAL, part, part) if replays else None
        return explained(trace, self._table(), replay=replay, is_shop=is_shop)


def slate(request_id: str, user_id: str | None, tier: str) -> bytes:
    item = {
        "item_id": "i1",
        "position": 0,
        "score": 0.5,
        "reason": "w",
        "reason_code": "viewed",
        "sources": [],
    }
    return msgspec.json.encode(
        {
            "request_id": request_id,
            "user_id": user_id,
            "tier": tier,
            "recommendations": [item],
            "page": 1,
            "next_page": None,
            "model": {"version": "v1", "age_s": 1.0},
            "features": {"version": 1, "interaction_count": 1, "age_ms": 1},
            "missing_sources": {},
            "took_ms": 0.1,
        }
    )


class Taken(Struct):
    accepted: int
    refused: list[Any]


class RefusedEvent(Struct):
    index: int
    field: str
    error: str


class Collector:
    """Stands in for the collector: takes what has an item_id."""

    def __init__(self) -> None:
        self.calls: list[dict[str, Any]] = []
        self.failure: Exception | None = None

    async def accept(
        self, body: bytes, *, subject: str | None, ip: str, user_agent: str, now_ms: int
    ) -> Taken:
        if self.failure:
            raise self.failure
        events = msgspec.json.decode(body)
        events = events if isinstance(events, list) else [events]
        self.calls.append({"events": events, "subject": subject, "ip": ip, "user_agent": user_agent})
        refused = [
            RefusedEvent(index, "item_id", "missing") for index, e in enumerate(events) if "item_id" not in e
        ]
        return Taken(len(events) - len(refused), refused)


class Items(CatalogStore):
    """A catalog in a dict, shown by a real table."""

    def __init__(self, items: Sequence[Item]) -> None:
        self.items = {item.item_id: item for item in items}
        self.count = 1
        self.table = ItemTable(items, version=1)

    def show(self, item_id: str) -> int:
        self.count += 1
        self.table.apply([Change(self.count, item_id, self.items.get(item_id))])
        return self.count

    async def put(self, items: Sequence[Item]) -> int:
        self.items |= {item.item_id: item for item in items}
        return [self.show(item.item_id) for item in items][-1]

    async def add_missing(self, item_ids: Sequence[str]) -> int:
        return 0

    async def create(self, item: Item) -> int:
        if item.item_id in self.items:
            raise ItemExists(f"item {item.item_id!r} exists; PATCH it")
        return await self.put([item])

    async def patch(self, item_id: str, changes: dict[str, Any]) -> Item:
        if item_id not in self.items:
            raise ItemUnknown(f"no item {item_id!r}")
        old = msgspec.to_builtins(self.items[item_id])
        await self.put([msgspec.convert(old | changes, Item)])
        return self.items[item_id]

    async def delete(self, item_id: str) -> int:
        if self.items.pop(item_id, None) is None:
            raise ItemUnknown(f"no item {item_id!r}")
        return self.show(item_id)

    async def get(self, item_ids: Sequence[str]) -> list[Item | None]:
        return [self.items.get(item_id) for item_id in item_ids]

    async def all(self) -> AsyncIterator[Item]:
        for item in self.items.values():
            yield item

    async def version(self) -> int:
        return self.count

    async def changes(self, after: int, limit: int) -> list[Change]:
        return []


class FewFeatures:
    """Features of one user."""

    def __init__(self) -> None:
        past = [Seen(item_id=f"i{n % 3}", type="view", ts=n, session=1) for n in range(1, 31)]
        self.known = {"ann": Features(last_5=["i1", "i2"], history=past, interaction_count=30, last_ts=30)}

    def read(self, user_ids: Sequence[str], now_ms: int) -> list[Features]:
        return [self.known.get(user_id, Features()) for user_id in user_ids]

    def delete(self, user_id: str) -> None:
        self.known.pop(user_id, None)

    def forgotten(self, partition: int) -> dict[str, int]:
        return {}


class MemoryLog(EventLog):
    """A log in a list, of one partition."""

    def __init__(self) -> None:
        self.records: list[Stored] = []

    async def append(self, topic: str, records: Sequence[Record]) -> list[tuple[int, int]]:
        begin = len(self.records)
        self.records += [Stored(0, begin + n, 0, record.value) for n, record in enumerate(records)]
        return [(0, begin + n) for n in range(len(records))]

    def append_soon(self, topic: str, records: Sequence[Record]) -> None:
        raise NotImplementedError

    def partitions(self, topic: str) -> int:
        return 1

    def begins(self, topic: str) -> list[int]:
        return [0]

    def ends(self, topic: str) -> list[int]:
        return [len(self.records)]

    def read(self, topic: str, partition: int, offset: int, limit: int) -> list[Stored]:
        return self.records[offset : offset + limit]

    def recent(self, topic: str, offsets: Sequence[int]) -> dict[int, list[Stored]]:
        return {}

    def wait(self, topic: str, ends: Sequence[int], timeout_s: float) -> list[int]:
        return self.ends(topic)

    def committed(self, group: str, topic: str) -> dict[int, int]:
        return {}

    def commit(self, group: str, topic: str, offsets: dict[int, int]) -> None:
        pass

    def truncate(self, topic: str, partition: int, before: int) -> None:
        pass


def accounts_of_nothing() -> Accounts:
    """A ledger without a row."""
    exploration = Exploration(ExplorationSettings(), Unasked())
    return accounts(Ledger(exploration.settings), exploration, ItemTable([], 1))


class Unasked:
    """A book of which nobody wants to know anything: nothing is new."""

    def seen(self, item_id: str, user_id: str) -> int:
        raise AssertionError("nothing is new")

    def verdict(self, item_id: str) -> str:
        raise AssertionError("nothing is new")

    def watch(self, new: Collection[str]) -> None:
        raise AssertionError("nothing is new")


class Ruling:
    """Rules in a dict; nobody follows them."""

    def __init__(self, table: ItemTable) -> None:
        self.table = table
        self.rules: dict[str, Rule] = {}
        self.tried: list[tuple[Rule | None, int]] = []

    async def listed(self) -> list[Listed]:
        return [Listed(rule, "on", 3) for rule in self.rules.values()]

    async def create(self, rule: Rule) -> Judged:
        compiled(rule)
        if rule.id in self.rules:
            raise RuleExists(f"rule {rule.id!r} is there already")
        self.rules[rule.id] = rule
        return judged(rule, self.table)

    async def patch(self, rule_id: str, changes: Mapping[str, Any]) -> Judged:
        if rule_id not in self.rules:
            raise RuleUnknown(f"no rule {rule_id!r}")
        self.rules[rule_id] = patched(self.rules[rule_id], changes)
        return judged(self.rules[rule_id], self.table)

    async def delete(self, rule_id: str) -> None:
        if self.rules.pop(rule_id, None) is None:
            raise RuleUnknown(f"no rule {rule_id!r}")

    async def dry_run(self, draft: Rule | None, most: int) -> DryRun:
        self.tried.append((draft, most))
        return DryRun(3, 10, 4, 0.4, [Moved("i1", "Lamp", 4)], [], 0, 0, 1, 1, 2, 0.5)


class Profiles:
    """Attributes in a dict."""

    def __init__(self) -> None:
        self.known: dict[str, Mapping[str, Any]] = {}

    async def read(self, user_id: str) -> Mapping[str, Any]:
        return self.known.get(user_id, {})

    async def put(self, user_id: str, attributes: Mapping[str, Any]) -> None:
        self.known[user_id] = checked(attributes)

    async def delete(self, user_id: str) -> None:
        self.known.pop(user_id, None)


class Running:
    """The application with its stand-ins in reach, and clients that send as somebody."""

    def __init__(self, home: Home, settings: Settings, **parts: Any) -> None:
        self.settings = settings
        self.slates, self.collector, self.features = Slates(), Collector(), FewFeatures()
        self.catalog, self.ruling, self.profiles = Items(ITEMS), Ruling(ItemTable(ITEMS, 1)), Profiles()
        self.explanations = Explanations(lambda: self.catalog.table)
        self.keys = open_keys(home, settings)
        self.log = MemoryLog()
        secret = self.keys.keys.hs256
        assert secret is not None
        self.secret = secret
        self.shop = replace(
            Shop(
                home=home,
                serving=self.slates,
                explaining=self.explanations,
                collector=self.collector,
                onboarding=Onboarding(self.log, self.features, lambda: self.catalog.table),
                items=self.catalog,
                table=lambda: self.catalog.table,
                features=self.features,
                accounts=accounts_of_nothing,
                rules=self.ruling,
                profiles=self.profiles,
                authority=Authority(self.keys, settings.auth, clock=lambda: NOW_S),
                limiter=MemoryRateLimiter(),
                secret=secret if settings.server.mode == "development" else None,
            ),
            **parts,
        )
        self.app: Gateway = build(self.shop, settings)

    def token(self, subject: str, *scopes: str, ttl_s: float = 3600.0) -> str:
        return token_for(
            self.secret, subject, scopes=scopes, ttl_s=ttl_s, now_s=NOW_S, settings=self.settings.auth
        )

    def client(self, subject: str | None = None, *scopes: str) -> httpx.AsyncClient:
        headers = {} if subject is None else {"authorization": f"Bearer {self.token(subject, *scopes)}"}
        transport = httpx.ASGITransport(self.app)
        return httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000", headers=headers)


ITEMS = [
    Item(item_id="i0", title="Kettle", categories=("kitchen",), price=20.0, margin=0.4, stock=3),
    Item(item_id="i1", title="Lamp", categories=("light",), margin=0.3),
    Item(item_id="i2", title="Candle", categories=("light",), stock=0),
    Item(item_id="i3", title="Secret", categories=("kitchen",), hidden=True),
    Item(item_id="a/b ☕", title="Odd", categories=("light",)),
]


@pytest.fixture
def running(home: Home, tmp_path: Path) -> Callable[..., Running]:
    """Makes an application: `running(settings=…, checks=…)`."""

    def make(settings: Settings | None = None, **parts: Any) -> Running:
        return Running(home, settings or Settings(), **parts)

    return make


@pytest.fixture
def shop(running: Callable[..., Running]) -> Running:
    """The application in development mode."""
    return running()


def server(**values: Any) -> Settings:
    """Settings whose server section has these values."""
    return Settings(server=ServerSettings(**values))
