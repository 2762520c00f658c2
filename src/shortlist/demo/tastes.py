"""What the made-up users want: departments, kinds, brands, a budget, and how often they come."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from shortlist.demo.goods import Goods
from shortlist.demo.personas import ROLES
from shortlist.demo.words import DEPARTMENTS

# Departments that share customers: a user has one of these at heart and one or two besides.
CIRCLES = (
    ("Cycling", "Outdoor", "Fitness"),
    ("Coffee", "Kitchen", "Books"),
    ("Gaming", "Music", "Home office"),
    ("Baby", "Care", "Kitchen"),
    ("Garden", "Pets", "Books"),
    ("Photography", "Outdoor", "Arts & crafts"),
    ("Arts & crafts", "Baby", "Books"),
    ("Fitness", "Care", "Coffee"),
)


@dataclass(slots=True)
class Tastes:
    """Users by number; personas come first.

    activity: (users,) share of sessions drawn. departments: (users, departments) where a session begins.
    """

    goods: Goods
    user_ids: list[str]
    activity: NDArray[np.float64]
    departments: NDArray[np.float64]
    _kinds: NDArray[np.float64]  # (users, kinds) liking of a kind, mean 1
    _brands: NDArray[np.float64]  # (users, brands) the same of brands
    _budget: NDArray[np.float64]  # (users,) 0 to 1
    _kept: dict[tuple[int, int], tuple[NDArray[np.float64], NDArray[np.float64]]] = field(
        default_factory=dict
    )

    def wanted(self, user: int, department: int) -> NDArray[np.float64]:
        """(members,) how much the user wants each item of a department."""
        return self._known(user, department)[1]

    def liking(self, user: int, item: int) -> float:
        """How well an item suits the user, in [0, 1]: what makes them buy."""
        department = int(self.goods.department[item])
        fit = float(self._known(user, department)[0][self.goods.place[item]])
        return min(1.0, fit / 4.0) * min(1.0, 0.25 + 2.0 * float(self.departments[user, department]))

    def _known(self, user: int, department: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """(members,) fit and want; kept, for a user comes back to the same few departments."""
        key = (user, department)
        if key not in self._kept:
            members = self.goods.members[department]
            fit = self._fit(user, members)
            self._kept[key] = fit, self.goods.popularity[members] * fit
        return self._kept[key]

    def _fit(self, user: int, items: NDArray[np.int64]) -> NDArray[np.float64]:
        # Half of the price range off the budget, an item loses nine tenths of its charm.
        off = np.abs(self.goods.level[items] - self._budget[user])
        price = np.exp(-9.0 * off**2)
        return np.asarray(
            self._kinds[user, self.goods.kind[items]] * self._brands[user, self.goods.brand[items]] * price
        )


def make_tastes(rng: np.random.Generator, goods: Goods, users: int) -> Tastes:
    """Tastes of the personas and of enough others to make `users`."""
    names = [department.name for department in DEPARTMENTS]
    circles = [[names.index(name) for name in circle] for circle in CIRCLES]
    departments = np.full((users, len(names)), 0.012)
    for user in range(users):
        heart = circles[int(rng.integers(len(circles)))]
        order = rng.permutation(len(heart))
        departments[user, [heart[i] for i in order]] += (0.62, 0.22, 0.09)
        departments[user, int(rng.integers(len(names)))] += 0.1
    kinds = rng.lognormal(0.0, 0.9, (users, len(goods.kinds)))
    budget = rng.beta(2.0, 2.0, users)
    activity = rng.lognormal(0.0, 0.85, users)
    for user, role in enumerate(ROLES):
        departments[user], kinds[user] = _of_role(role.tastes, goods)
        budget[user] = role.budget
        activity[user] = 0.0  # their visits are counted, not drawn
    ids = [role.persona.user_id for role in ROLES]
    ids += [f"shopper-{number:04}" for number in range(1, users - len(ids) + 1)]
    return Tastes(
        goods=goods,
        user_ids=ids,
        activity=activity / activity.sum(),
        departments=departments / departments.sum(axis=1, keepdims=True),
        _kinds=kinds,
        _brands=rng.lognormal(0.0, 0.6, (users, int(goods.brand.max()) + 1)),
        _budget=budget,
    )


def _of_role(wishes: Mapping[str, float], goods: Goods) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(departments,) and (kinds,) of a role that names departments or kinds."""
    departments = np.full(len(DEPARTMENTS), 0.01)
    kinds = np.ones(len(goods.kinds))
    named = {kind.name: d for d, department in enumerate(DEPARTMENTS) for kind in department.kinds}
    for d, department in enumerate(DEPARTMENTS):
        if department.name in wishes:
            departments[d] += wishes[department.name]
    for number, name in enumerate(goods.kinds):
        if name in wishes:
            departments[named[name]] += wishes[name]
            kinds[number] = 6.0
    return departments, kinds
