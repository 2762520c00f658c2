"""The made-up shop: items, users with tastes, and some weeks in which they look around and buy."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shortlist.catalog.item import Item
from shortlist.demo.goods import Goods, make_goods
from shortlist.demo.personas import ROLES, Persona
from shortlist.demo.tastes import Tastes, make_tastes
from shortlist.events.event import Event, EventType

USERS = 1_500
DAYS = 75
# 16,000 sessions of 8 events make 128,000, what a small shop sees in ten weeks.
SESSIONS = 16_000
# Of a persona: a past worth looking at (about 100 events), and not the whole shop.
VISITS = 14
HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
# The end of the past where nobody says another: 2026-01-01.
END_MS = 1_767_225_600_000

# What a visitor does next, besides leaving.
NEAR, ALONG, ELSEWHERE, TALKED_ABOUT = 0.74, 0.84, 0.94, 1.0
# How strongly the next item resembles the last one: at 3, the nearest tenth of a department gets half of it.
WANDER = 3.0


@dataclass(slots=True, frozen=True)
class Shop:
    """All of it: the catalog, what happened (by time), and who one can be."""

    items: list[Item]
    events: list[Event]
    personas: list[Persona]


def make_shop(seed: int = 7, end_ms: int = END_MS, *, sessions: int = SESSIONS) -> Shop:
    """The shop of a seed, its past ending at `end_ms`. Equal arguments, equal shops."""
    rng = np.random.default_rng(seed)
    goods = make_goods(rng, end_ms)
    tastes = make_tastes(rng, goods, USERS)
    visits = _Visits(rng, goods, tastes, end_ms)
    for user, start_ms in _sessions(rng, tastes, end_ms, sessions):
        visits.visit(user, start_ms)
    events = sorted(visits.events, key=lambda event: event.ts)
    return Shop(goods.items, events, [role.persona for role in ROLES])


def _sessions(rng: np.random.Generator, tastes: Tastes, end_ms: int, count: int) -> list[tuple[int, int]]:
    """(user, when) of every session by time: evenings and weekends are busier."""
    users = rng.choice(len(tastes.user_ids), count, p=tastes.activity)
    days = rng.choice(DAYS, count, p=_weights([1.35 if d % 7 in (5, 6) else 1.0 for d in range(DAYS)]))
    hours = np.array([1, 1, 0, 0, 0, 1, 2, 4, 5, 6, 6, 6, 7, 6, 6, 6, 7, 8, 10, 12, 13, 12, 8, 4], np.float64)
    hour = rng.choice(24, count, p=_weights(hours))
    ms = days * DAY_MS + hour * HOUR_MS + rng.integers(0, HOUR_MS, count)
    # A persona is a regular, and was here within the last hours: that is what the page shows first.
    for persona in range(len(ROLES)):
        visits = np.append(rng.integers(0, (DAYS - 1) * DAY_MS, VISITS - 1), DAYS * DAY_MS - 2 * HOUR_MS)
        users, ms = np.append(users, [persona] * VISITS), np.append(ms, visits)
    start_ms = end_ms - DAYS * DAY_MS
    return sorted(((int(u), int(start_ms + m)) for u, m in zip(users, ms, strict=True)), key=lambda s: s[1])


def _weights(values: Sequence[float] | NDArray[np.float64]) -> NDArray[np.float64]:
    array = np.asarray(values, np.float64)
    return np.asarray(array / array.sum(), np.float64)


class _Visits:
    """Sessions, one after the other, with what each leaves behind: a user buys a thing once."""

    def __init__(self, rng: np.random.Generator, goods: Goods, tastes: Tastes, end_ms: int) -> None:
        self.events: list[Event] = []
        self._rng, self._goods, self._tastes, self._end_ms = rng, goods, tastes, end_ms
        self._bought: list[set[int]] = [set() for _ in tastes.user_ids]
        self._near = [_near(goods, members) for members in goods.members]
        self._count = 0

    def visit(self, user: int, start_ms: int) -> None:
        """One session: somewhere to begin, from there on by likeness, and perhaps to the till."""
        rng = self._rng
        ts, session = start_ms, f"s{start_ms:x}-{user}"
        department = self._department(user)
        item = self._first(user, department, ts)
        cart: list[int] = []
        for _ in range(1 + int(rng.geometric(0.17))):
            kind = EventType.CLICK if rng.random() < 0.4 else EventType.VIEW
            self._say(user, item, kind, ts, session)
            ts += int(8_000 + rng.exponential(50_000))
            liking = self._tastes.liking(user, item)
            if item not in self._bought[user] and item not in cart and rng.random() < 0.05 + 0.16 * liking:
                cart.append(item)
                self._say(user, item, EventType.CART, ts, session)
                ts += int(4_000 + rng.exponential(20_000))
            elif rng.random() < 0.012:
                self._say(user, item, EventType.LIKE if liking > 0.25 else EventType.DISLIKE, ts, session)
                ts += 3_000
            item = self._next(user, item, ts)
        if cart and rng.random() < 0.55:
            self._buy(user, cart, ts, session)

    def _buy(self, user: int, cart: list[int], ts: int, session: str) -> None:
        """The cart, and often something that goes with what is in it."""
        for item in list(cart):
            partner = self._along(user, item)
            if partner is not None and self._rng.random() < 0.45 and partner not in cart:
                cart.append(partner)
                self._say(user, partner, EventType.CART, ts, session)
                ts += int(5_000 + self._rng.exponential(15_000))
        for item in cart:
            if item not in self._bought[user]:
                self._bought[user].add(item)
                is_dear = (self._goods.items[item].price or 0.0) > 30.0
                quantity = 1.0 if is_dear else float(self._rng.integers(1, 4))
                self._say(user, item, EventType.PURCHASE, ts, session, quantity=quantity)
                ts += 200

    def _say(
        self, user: int, item: int, kind: EventType, ts: int, session: str, quantity: float | None = None
    ) -> None:
        thing = self._goods.items[item]
        is_money = kind in (EventType.CART, EventType.PURCHASE)
        self._count += 1
        self.events.append(
            Event(
                event_id=f"demo-{self._count}",
                user_id=self._tastes.user_ids[user],
                type=kind,
                item_id=thing.item_id,
                ts=min(ts, self._end_ms),
                session_id=session,
                quantity=quantity,
                price=thing.price if is_money else None,
                currency=thing.currency if is_money else None,
                category=thing.category,
            )
        )

    def _department(self, user: int) -> int:
        return _draw(self._rng, self._tastes.departments[user])

    def _first(self, user: int, department: int, ts: int) -> int:
        members = self._goods.members[department]
        weights = self._tastes.wanted(user, department) * self._goods.mood(members, ts)
        return int(members[_draw(self._rng, weights)])

    def _next(self, user: int, item: int, ts: int) -> int:
        step = self._rng.random()
        department = int(self._goods.department[item])
        if step < NEAR:
            members = self._goods.members[department]
            near = self._near[department][self._goods.place[item]]
            weights = near * self._tastes.wanted(user, department) * self._goods.is_there(members, ts)
            return int(members[_draw(self._rng, weights)])
        if step < ALONG:
            partner = self._along(user, item)
            return item if partner is None else partner
        if step < ELSEWHERE:
            return self._first(user, self._department(user), ts)
        return self._goods.talked_about(ts, self._rng)

    def _along(self, user: int, item: int) -> int | None:
        """Something of a kind that goes with this one; the same brand is likelier."""
        partners = self._goods.partners[item]
        if not len(partners):
            return None
        weights = self._goods.popularity[partners] * (1.0 + 3.0 * self._goods.is_same_brand(item, partners))
        return int(partners[_draw(self._rng, weights)])


def _near(goods: Goods, members: NDArray[np.int64]) -> NDArray[np.float64]:
    """(members, members): how likely the column's item is looked at after the row's; never the same again."""
    vectors = goods.vectors[members]
    near = np.exp(WANDER * (vectors @ vectors.T - 1.0))
    np.fill_diagonal(near, 0.0)
    return near


def _draw(rng: np.random.Generator, weights: NDArray[np.float64]) -> int:
    heap = weights.cumsum()
    return min(int(heap.searchsorted(rng.random() * heap[-1], "right")), len(weights) - 1)
