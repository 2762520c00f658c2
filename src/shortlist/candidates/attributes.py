"""Users' attributes as numbers: one definition for training, evaluation, batch, explanations and serving."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from msgspec import Struct

from shortlist.arrays import FloatArray
from shortlist.catalog.users_store import Attributes

MOST_VALUES = 100  # texts of one attribute that get a code; the rest is as if it were not there
LEAST_USERS = 5  # of a text: what fewer have says who they are, not what they like
LARGEST = 1e30  # numbers beyond are none: float32 ends at 3e38
PARTS = 10  # of a number with more values than that: parts with as many users each


class Code(Struct, frozen=True):
    """How one attribute becomes a number.

    values: texts by code, the most frequent first; empty where the attribute is a number (true 1, false 0),
    which is kept within smallest..largest of what was learned: beyond, no tree tells anything apart. missing:
    what stands for no value, an unknown text or another kind of value; below every other, so that a tree can
    set it apart, and no NaN, which LightGBM and ONNX branch on differently where training had none.
    starts: ascending, where the parts begin whose members are taken for alike.
    """

    name: str
    values: tuple[str, ...] = ()
    smallest: float = 0.0
    largest: float = 0.0
    missing: float = -1.0
    starts: tuple[float, ...] = ()


class UserCodes:
    """The codes of some attributes, in order."""

    def __init__(self, codes: Sequence[Code] = ()) -> None:
        self.codes = tuple(codes)
        self._nothing = [code.missing for code in self.codes]
        self.missing: FloatArray = np.array(self._nothing, np.float32)
        self._texts = [{text: number for number, text in enumerate(code.values)} for code in self.codes]

    def __len__(self) -> int:
        return len(self.codes)

    @property
    def names(self) -> tuple[str, ...]:
        """Of the attributes."""
        return tuple(code.name for code in self.codes)

    @classmethod
    def fit(cls, names: Sequence[str], users: Iterable[Attributes]) -> Self:
        """Learn the codes of these attributes from users; of what hardly anybody has there is none."""
        everybody = list(users)
        codes = [_code(name, [user[name] for user in everybody if name in user]) for name in names]
        return cls([code for code in codes if code.starts])

    def row(self, attributes: Attributes | None) -> FloatArray | None:
        """(attributes,) one user's values; None where none of them is known."""
        if not attributes:
            return None
        values = [
            _value(attributes.get(code.name), code, texts)
            for code, texts in zip(self.codes, self._texts, strict=True)
        ]
        return np.array(values, np.float32) if values != self._nothing else None

    def attributes(self, row: Sequence[float]) -> Attributes:
        """Attributes that make this row; an empty one: none."""
        if not len(row):
            return {}
        return {
            code.name: code.values[int(value)] if code.values else value
            for code, value in zip(self.codes, row, strict=True)
            if value > code.missing
        }


NO_CODES = UserCodes()


@dataclass(frozen=True, slots=True)
class People:
    """What is known of the users of some interactions. rows: (users, attributes) by user code."""

    codes: UserCodes
    rows: FloatArray

    @classmethod
    def fit(
        cls, names: Sequence[str], user_ids: Sequence[str], attributes: Mapping[str, Attributes]
    ) -> "People":
        """Learn the codes from these users. attributes: of those who have any."""
        codes = UserCodes.fit(names, (attributes[user] for user in user_ids if user in attributes))
        rows = np.tile(codes.missing, (len(user_ids), 1))
        for number, user in enumerate(user_ids):
            row = codes.row(attributes.get(user))
            if row is not None:
                rows[number] = row
        return cls(codes, rows)

    def row(self, user: int) -> FloatArray | None:
        """(attributes,) as `UserCodes.row`, by user code."""
        if not len(self.codes):
            return None
        row: FloatArray = self.rows[user]
        return row if (row != self.codes.missing).any() else None


NOBODY = People(NO_CODES, np.empty((0, 0), np.float32))


def names_of(text: str) -> tuple[str, ...]:
    """The names in a setting, each once.

    >>> names_of("plan, country,,plan")
    ('plan', 'country')
    """
    return tuple(dict.fromkeys(filter(None, map(str.strip, text.split(",")))))


def _code(name: str, values: Sequence[Any]) -> Code:
    texts = Counter(value for value in values if isinstance(value, str))
    numbers = [number for value in values if (number := _number(value)) is not None]
    if texts.total() >= len(numbers):
        often = sorted((-users, text) for text, users in texts.items() if users >= LEAST_USERS)
        kept = tuple(text for _, text in often[:MOST_VALUES])
        return Code(name, kept, starts=tuple(map(float, range(len(kept)))))
    known = np.array(numbers, np.float32)
    starts = np.unique(known)
    if len(starts) > PARTS:
        starts = np.unique(np.quantile(known, np.arange(PARTS) / PARTS, method="lower"))
    smallest, largest = float(known.min()), float(known.max())
    # One below; more where numbers are so large that float32 would not tell one.
    missing = float(np.float32(smallest - max(1.0, abs(smallest) / 1000)))
    return Code(name, (), smallest, largest, missing, tuple(starts.tolist()))


def _value(value: Any, code: Code, texts: Mapping[str, int]) -> float:
    if code.values:
        return texts.get(value, code.missing) if isinstance(value, str) else code.missing
    number = _number(value)
    return code.missing if number is None else min(max(number, code.smallest), code.largest)


def _number(value: Any) -> float | None:
    """As float32 holds it; None where it is none."""
    if not isinstance(value, int | float):
        return None
    return float(np.float32(value)) if abs(value) <= LARGEST else None
