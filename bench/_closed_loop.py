"""A shop of people with known tastes who click by known chances, around the real serving, log and ledger.

A user's chance to click an item is how far they look down the list times how much the item appeals to them.
Appeal is what `demo.tastes` says; a new item's is scaled so that its clicks per impression at the new item's
place are, on average over all users, its level. Luck is drawn by hashes of (user, item, visit), so that a run
without exploration has the same.
"""

import asyncio
import random
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import numpy as np

from shortlist.candidates.item_knn import ItemKnn
from shortlist.candidates.popular import Popular
from shortlist.candidates.trained import TrainedSource
from shortlist.candidates.transitions import Transitions
from shortlist.catalog.item import Item
from shortlist.catalog.store import Change
from shortlist.catalog.table import ItemTable
from shortlist.coldstart.exploration import Exploration
from shortlist.coldstart.keeper import LedgerKeeper
from shortlist.coldstart.ledger import Ledger
from shortlist.database import open_database
from shortlist.demo.goods import Goods, make_goods
from shortlist.demo.tastes import Tastes, make_tastes
from shortlist.events.event import Event, EventType, encode
from shortlist.events.interactions import Interactions
from shortlist.events.log import EVENTS, ITEMS, SERVED, Record
from shortlist.events.log_rocksdb import RocksLog
from shortlist.features.processor import Processor
from shortlist.features.store_rocksdb import RocksFeatures
from shortlist.features.view import user_view
from shortlist.home import Home
from shortlist.models.model import Model
from shortlist.ranking.blend import untrained
from shortlist.serving.cache_memory import MemorySlateCache
from shortlist.serving.serving import Serving
from shortlist.serving.slate import Ask
from shortlist.settings import CandidateSettings, ServingSettings, Settings

START_MS = 1_767_225_600_000
PARTITIONS = 8  # the panel is one of them
PLACE = 8  # of the new item in a slate of ten
PAST = 6  # interactions per user that training and features know
TOGETHER = 200  # visits whose events reach the log at once
ATTENTIVE = 0.85  # share of visits in which the slate is looked at at all
BUYS = 0.1  # of clicks


def looked(place: int) -> float:
    """How far down a user looks: the chance to consider a place."""
    return 1.0 / (1.0 + 0.15 * place)


@dataclass
class World:
    """Who there is and what they like. levels: new item → clicks per impression at PLACE."""

    goods: Goods
    tastes: Tastes
    levels: dict[str, float]
    number: dict[str, int]  # item id → its number in `goods`
    scale: dict[str, float] = field(default_factory=dict)

    def chance(self, user: int, item_id: str, place: int) -> float:
        """The chance that a user who looks at a slate clicks the item at this place."""
        item = self.number[item_id]
        liking = self.tastes.liking(user, item)
        if item_id in self.scale:
            return min(1.0, looked(place) * self.scale[item_id] * (0.1 + liking))
        return looked(place) * (0.03 + 0.25 * liking)


def world(users: int, levels: Sequence[float], seed: int = 7) -> World:
    """People, and one new item per level, taken from all over the shop."""
    rng = np.random.default_rng(seed)
    goods = make_goods(rng, START_MS)
    tastes = make_tastes(rng, goods, users)
    number = {item.item_id: at for at, item in enumerate(goods.items)}
    sold = [at for at, item in enumerate(goods.items) if item.is_servable and (item.margin or 1.0) > 0.1]
    chosen = rng.choice(sold, len(levels), replace=False)
    made = World(
        goods, tastes, {goods.items[at].item_id: v for at, v in zip(chosen, levels, strict=True)}, number
    )
    for item_id, level in made.levels.items():
        likings = [tastes.liking(user, number[item_id]) for user in range(users)]
        made.scale[item_id] = level / looked(PLACE) / (0.1 + float(np.mean(likings)))
    return made


@dataclass
class Truth:
    """What the simulator saw. By new item: how often it was served, seen, clicked, bought, and the sum of its
    chances; by place in slates without one: seen, and the sum of chances."""

    served: Counter[str] = field(default_factory=Counter)
    seen: Counter[str] = field(default_factory=Counter)
    clicks: Counter[str] = field(default_factory=Counter)
    purchases: Counter[str] = field(default_factory=Counter)
    chances: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    of_pair: Counter[tuple[str, str]] = field(default_factory=Counter)
    place_seen: Counter[int] = field(default_factory=Counter)
    place_chances: dict[int, float] = field(default_factory=lambda: defaultdict(float))
    total_clicks: int = 0
    total_chances: float = 0.0
    last_visit: dict[str, int] = field(default_factory=dict)  # visit in which it was served last


@dataclass
class Run:
    """One run of the loop, over."""

    levels: dict[str, float]  # new item → its true clicks per impression
    truth: Truth
    ledger: Ledger
    shares: dict[str, float]  # users who may see the item at the end
    decided_at: dict[str, int]  # visits after which the item was decided on


async def closed_loop(made: World, settings: Settings, folder: Path, rounds: int) -> Run:
    """Every user visits once in each of the rounds."""
    with _shop(made, settings, folder) as shop:
        await shop.remember()
        shop.add_new()
        rng = random.Random(3)
        users = list(range(len(made.tastes.user_ids)))
        visit = 0
        for _ in range(rounds):
            rng.shuffle(users)
            for start in range(0, len(users), TOGETHER):
                events: list[Event] = []
                for user in users[start : start + TOGETHER]:
                    visit += 1
                    events += await shop.visit(user, visit)
                await shop.happen(events)
                for item_id, row in shop.keeper.ledger.rows.items():
                    if row.decision is not None:
                        shop.decided_at.setdefault(item_id, visit)
        ids = made.tastes.user_ids
        may = Counter(item.item_id for user in ids for item in shop.exploration.trial.of(user))
        shares = {item_id: may[item_id] / len(ids) for item_id in made.levels}
        return Run(made.levels, shop.truth, shop.keeper.ledger, shares, shop.decided_at)


class _Shop:
    def __init__(self, made: World, settings: Settings, database_home: Home) -> None:
        self.made, self.truth, self.now = made, Truth(), START_MS
        self.decided_at: dict[str, int] = {}
        self.database = open_database(database_home)
        self.log = RocksLog(self.database, {EVENTS: PARTITIONS, SERVED: 8, ITEMS: 1}, now_ms=lambda: self.now)
        self.features = RocksFeatures(
            self.database, user_view(settings), partitions=PARTITIONS, dedup_window=1_000
        )
        self.keeper = LedgerKeeper(self.log, self.features, settings)
        self.exploration = Exploration(settings.exploration, self.keeper)
        self.keeper.on_decided(self.exploration.renew)
        model, self.past = _model(made)
        items = [item for item in made.goods.items if item.item_id not in made.levels]
        self.serving = Serving(
            settings=settings,
            features=self.features,
            cache=MemorySlateCache(settings.cache, lambda: self.now),
            log=self.log,
            table=ItemTable(items, 1, model.item_ids),
            trends=_Trends([item.item_id for item in items[:: len(items) // 40]]),
            model=model,
            exploration=self.exploration,
            now_ms=lambda: self.now,
        )
        listeners = [self.keeper.on_folded, self.serving.on_folded]
        self.processor = Processor(self.log, self.features, on_folded=listeners)

    async def remember(self) -> None:
        """What users did before."""
        await self.happen(self.past)

    def add_new(self) -> None:
        """The new items come into the shop."""
        goods, number = self.made.goods.items, self.made.number
        self.serving.apply([Change(2, item_id, goods[number[item_id]]) for item_id in self.made.levels])

    async def happen(self, events: Sequence[Event]) -> None:
        """Events reach the log, are folded and counted."""
        self.now += 1_000
        self.serving._served.flush()  # slates reach the log before what was done with them, as in life
        await self.log.append(EVENTS, [Record(event.user_id, encode(event)) for event in events])
        await asyncio.to_thread(self.processor.fold_all)
        await asyncio.to_thread(self.keeper.settle)

    async def visit(self, user: int, visit: int) -> list[Event]:
        """A user asks for their slate; what they do with it."""
        self.now += 50
        user_id, made, truth = self.made.tastes.user_ids[user], self.made, self.truth
        body = self.serving.instant(user_id) or (await self.serving.recommend(Ask(user_id=user_id))).body
        answer = msgspec.json.decode(body)
        shown = [item["item_id"] for item in answer["recommendations"]]
        new = [item_id for item_id in shown if item_id in made.levels]
        truth.served.update(new)
        truth.last_visit |= dict.fromkeys(new, visit)
        luck = random.Random(f"{user}/{visit}")
        if luck.random() > ATTENTIVE:
            return []
        events = []
        for place, item_id in enumerate(shown):
            chance = made.chance(user, item_id, place)
            has_clicked = random.Random(f"{user}/{visit}/{item_id}").random() < chance
            truth.total_chances += chance
            truth.total_clicks += has_clicked
            kinds = [EventType.IMPRESSION]
            if has_clicked:
                kinds += [EventType.CLICK]
                if random.Random(f"{user}/{item_id}").random() < BUYS:
                    kinds += [EventType.PURCHASE]
            if item_id in made.levels:
                truth.seen[item_id] += 1
                truth.of_pair[user_id, item_id] += 1
                truth.clicks[item_id] += has_clicked
                truth.purchases[item_id] += EventType.PURCHASE in kinds
                truth.chances[item_id] += chance
            elif not new:
                truth.place_seen[place] += 1
                truth.place_chances[place] += chance
            request_id = answer["request_id"]
            events += [self._event(kind, user_id, item_id, request_id, place, visit) for kind in kinds]
        return events

    def _event(
        self, kind: EventType, user_id: str, item_id: str, request_id: str, place: int, visit: int
    ) -> Event:
        is_purchase = kind is EventType.PURCHASE  # the till knows of no slate
        return Event(
            event_id=f"{visit}-{kind}-{item_id}",
            user_id=user_id,
            type=kind,
            item_id=item_id,
            ts=self.now,
            request_id=None if is_purchase else request_id,
            position=None if is_purchase else place,
            category=self.made.goods.items[self.made.number[item_id]].category,
        )


@contextmanager
def _shop(made: World, settings: Settings, folder: Path) -> Iterator[_Shop]:
    shop = _Shop(made, settings, Home(folder))
    try:
        yield shop
    finally:
        shop.serving.close()
        shop.log.close()
        shop.database.close()


class _Trends:
    def __init__(self, ids: list[str]) -> None:
        self.ids = ids

    def top(self, category: str | None, n: int) -> list[str]:
        return self.ids[:n] if category is None else []

    def weights(self) -> Mapping[str, float]:
        return {}


def _model(made: World) -> tuple[Model, list[Event]]:
    """What a training knows of everybody's past, without the new items; and that past as events."""
    rng = np.random.default_rng(11)
    items = [item for item in made.goods.items if item.item_id not in made.levels]
    ids = [item.item_id for item in items]
    code = {item_id: at for at, item_id in enumerate(ids)}
    users: list[int] = []
    codes: list[int] = []
    events: list[Event] = []
    for user, user_id in enumerate(made.tastes.user_ids):
        department = int(rng.choice(made.tastes.departments.shape[1], p=made.tastes.departments[user]))
        members = made.goods.members[department]
        wanted = made.tastes.wanted(user, department)
        for at in rng.choice(members, PAST, p=wanted / wanted.sum()):
            item = made.goods.items[int(at)]
            if item.item_id in code:
                users.append(user)
                codes.append(code[item.item_id])
                events.append(_viewed(user_id, item, len(events)))
    n = len(users)
    data = Interactions(
        users=np.array(users, np.int32),
        items=np.array(codes, np.int32),
        ts_s=START_MS / 1_000 - 86_400 + np.arange(n, dtype=np.float64) * 0.1,
        weights=np.ones(n, np.float32),
        sessions=np.zeros(n, np.int32),
        purchases=np.zeros(n, bool),
        user_ids=list(made.tastes.user_ids),
        item_ids=ids,
    )
    kinds: tuple[type[TrainedSource], ...] = (Transitions, ItemKnn, Popular)
    table = ItemTable(items, 1)
    sources = {kind.name: kind.fit(data, table, Settings().training) for kind in kinds}
    model = Model(
        version="1",
        trained_ms=START_MS,
        data_end_s=START_MS / 1_000,
        item_ids=ids,
        sources=sources,
        ranker=None,
        blend=untrained(),
        metrics={},
        params={},
    )
    return model, events


def _viewed(user_id: str, item: Item, number: int) -> Event:
    return Event(
        event_id=f"past-{number}",
        user_id=user_id,
        type=EventType.VIEW,
        item_id=item.item_id,
        ts=START_MS - 86_400_000 + number * 100,
        category=item.category,
    )


def simulated(settings: Settings) -> Settings:
    """Settings for a loop whose clock is not the machine's: nothing is late."""
    return msgspec.structs.replace(
        settings,
        candidates=CandidateSettings(deadline_ms=60_000.0),
        serving=ServingSettings(budget_ms=60_000.0),
    )
