"""Who one can be in the made-up shop: roles with a taste of their own and a real past."""

from collections.abc import Mapping

from msgspec import Struct

from shortlist.demo.avatars import avatar


class Persona(Struct, frozen=True):
    """One user that the storefront offers. `avatar` is the address of a picture that stands for them."""

    user_id: str
    name: str
    blurb: str
    avatar: str


class Role(Struct, frozen=True):
    """A persona of the made-up shop. `tastes`: kind or department → how much of their interest it gets.

    budget: 0 looks for the cheapest of a kind, 1 for the best."""

    persona: Persona
    tastes: Mapping[str, float]
    budget: float


def _role(
    user_id: str, name: str, blurb: str, department: str, budget: float, tastes: Mapping[str, float]
) -> Role:
    return Role(Persona(user_id, name, blurb, avatar(user_id, department)), tastes, budget)


ROLES: tuple[Role, ...] = (
    _role("weekend-cyclist", "The weekend cyclist", "Long rides, good lights, strong coffee", "Cycling", 0.7,
          {"Cycling": 6, "Coffee beans": 1, "Running": 1, "Trackers": 0.7}),
    _role("new-parent", "New parent", "Sleeps little, reads labels, buys organic", "Baby", 0.5,
          {"Baby": 7, "Skin care": 0.8, "Coffee beans": 0.8}),
    _role("home-barista", "Home barista", "Weighs every shot to the tenth of a gram", "Coffee", 0.85,
          {"Coffee": 7, "Small appliances": 0.8, "Cooking books": 0.7}),
    _role("gamer", "Gamer", "Two monitors, one headset, no sunlight", "Gaming", 0.6,
          {"Gaming": 7, "Monitors": 1, "Headphones": 0.8}),
    _role("gardener", "Gardener", "Soil under the nails from March to October", "Garden", 0.4,
          {"Garden": 7, "Garden books": 1.2, "Bath": 0.4}),
    _role("trail-walker", "The trail walker", "Counts grams, not kilometres", "Outdoor", 0.65,
          {"Outdoor": 7, "Travel books": 1, "Filters and tripods": 0.5}),
    _role("bedroom-musician", "Bedroom musician", "Records at night, with headphones on", "Music", 0.5,
          {"Music": 7, "Desk lamps": 0.4, "Novels": 0.7}),
    _role("dog-owner", "Dog owner", "Out in any weather, twice a day", "Pets", 0.35,
          {"Dog food": 3, "Dog walking": 3, "Pet beds": 1.2, "Pet toys": 1.5, "Hiking boots": 0.8}),
)  # fmt: skip


PERSONAS = 8
# Enough of a past to know somebody by, and not a machine's.
FEWEST, MOST = 30, 400
# So many are compared: it takes 50 ms, and the most active thousand of any data set hold every taste.
COMPARED = 1_000


def choose(counts: Mapping[str, int], categories: Mapping[str, Mapping[str, int]]) -> list[Persona]:
    """Up to eight users with much to show whose tastes are unlike each other.

    counts: interactions by user. categories: by user, how often each category. What marks a user's taste is
    what they like more than others do, so that not everybody is "Drama".
    """
    total: dict[str, int] = {}
    for liked in categories.values():
        for category, count in liked.items():
            total[category] = total.get(category, 0) + count
    everything = sum(total.values()) or 1
    active = sorted(counts, key=lambda user: (not FEWEST <= counts[user] <= MOST, -counts[user], user))[
        :COMPARED
    ]
    tastes = {user: _taste(categories.get(user, {}), total, everything) for user in active}
    chosen: list[str] = []
    while active and len(chosen) < PERSONAS:
        # The one least like the nearest of those chosen; of equals the more active.
        best = min(
            active, key=lambda user: max((_alike(tastes[user], tastes[c]) for c in chosen), default=0.0)
        )
        chosen.append(best)
        active.remove(best)
    return [
        Persona(user, _name(user, categories.get(user, {}), tastes[user]), _blurb(counts[user]), avatar(user))
        for user in chosen
    ]


def _taste(liked: Mapping[str, int], total: Mapping[str, int], everything: int) -> dict[str, float]:
    """Category → how much more than others, of length 1."""
    mine = sum(liked.values())
    # Ten looks' worth of doubt: three views of a rare category are no taste.
    lifts = {c: (n / (mine + 10)) / (total[c] / everything) ** 0.5 for c, n in liked.items()}
    length = sum(value**2 for value in lifts.values()) ** 0.5
    return {c: value / length for c, value in lifts.items()} if length else {}


def _alike(one: Mapping[str, float], other: Mapping[str, float]) -> float:
    return sum(value * other.get(category, 0.0) for category, value in one.items())


def _name(user: str, liked: Mapping[str, int], taste: Mapping[str, float]) -> str:
    best = sorted(taste, key=lambda category: -taste[category])[:2]
    shown = user if len(user) <= 12 else f"{user[:10]}…"
    return f"User {shown}" + (f" · {', '.join(best)}" if best and liked else "")


def _blurb(count: int) -> str:
    return f"{count:,} interactions in the data"
