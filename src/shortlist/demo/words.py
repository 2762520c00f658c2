"""What the made-up shop sells: departments, kinds of things, brands, prices and what goes together."""

import tomllib
from importlib.resources import files

import msgspec
from msgspec import Struct


class Kind(Struct, frozen=True):
    """A subcategory. `things`: what its items are called; `price`: usual range in EUR.

    traits: what a description praises. goes_with: kinds (also of other departments) bought along with it.
    """

    name: str
    things: tuple[str, ...]
    price: tuple[float, float]
    traits: tuple[str, ...]
    goes_with: tuple[str, ...] = ()


class Department(Struct, frozen=True):
    """A category. `lines`: names of models. `margin`: usual share of the price."""

    name: str
    margin: float
    brands: tuple[str, ...]
    lines: tuple[str, ...]
    kinds: tuple[Kind, ...] = msgspec.field(name="kind")


def _departments() -> tuple[Department, ...]:
    text = files("shortlist.demo").joinpath("words.toml").read_text(encoding="utf-8")
    return msgspec.convert(tomllib.loads(text)["department"], tuple[Department, ...])


DEPARTMENTS = _departments()
