"""The small language of rules and filters: `price < 50 and brand in (Kaldera, "Nord & Co")` as a tree.

    condition   one or more of the lines below with `and`, `or`, `not` and brackets; `and` binds closer
    name = value, name != value, name < value, name <= value, name > value, name >= value
    name in (value, value …), name not in (value, value …)

A value is a number, a word, a text in quotes, true, false, a date (2026-11-01), or null, which stands for
missing and goes with `=` and `!=` only. A name is a field of the item or a key of its `attributes`;
`attributes.price` is the key where a field has that name, too; a name with other marks than letters, digits,
`_`, `-` and `.` stands in backticks. What is missing equals nothing and is neither more nor less: only `!=`,
`not` and `= null` find it. A list matches when one of its members does.
"""

import math
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from msgspec import Struct

from shortlist.errors import ShortlistError

MAX_DEPTH = 32
MAX_CHARS = 20_000  # a list of a thousand ids fits

# Fields of an item that conditions know; everything else is a key of its `attributes`.
NUMBERS = frozenset({"price", "margin", "stock", "age_days"})
TIMES = frozenset({"added"})
TEXTS = frozenset({"item_id", "title", "brand", "category", "categories", "currency"})
OF_ITEMS = NUMBERS | TIMES | TEXTS
ATTRIBUTE = "attributes."


class ConditionInvalid(ShortlistError):
    """A condition cannot be read; `position` is the character, from 0, where it goes wrong."""

    def __init__(self, message: str, position: int) -> None:
        super().__init__(f"at character {position}: {message}")
        self.position = position


class Literal(Struct, frozen=True):
    """A value as written. number: what it is as a number (of a date for `added`: ms), if it is one."""

    text: str
    number: float | None = None


class Compare(Struct, frozen=True):
    """name op value; op is one of < <= > >=."""

    name: str
    op: str
    value: Literal


class Among(Struct, frozen=True):
    """name in (values); `=` is this with one value."""

    name: str
    values: tuple[Literal, ...]


class Missing(Struct, frozen=True):
    """name = null."""

    name: str


class Not(Struct, frozen=True):
    """not part."""

    part: "Condition"


class All(Struct, frozen=True):
    """part and part …"""

    parts: tuple["Condition", ...]


class Some(Struct, frozen=True):
    """part or part …"""

    parts: tuple["Condition", ...]


Condition = Compare | Among | Missing | Not | All | Some


@lru_cache(maxsize=1_024)
def parse(text: str, *, of_items: bool = True) -> Condition:
    """The tree of a condition. of_items: False for one on a user's attributes, which knows no fields.

    Raises ConditionInvalid.

    >>> parse("price < 50 and not brand = Oro")
    All(parts=(Compare(name='price', op='<', value=Literal(text='50', number=50.0)), \
Not(part=Among(name='brand', values=(Literal(text='Oro', number=None),)))))
    """
    if len(text) > MAX_CHARS:
        raise ConditionInvalid(f"a condition has at most {MAX_CHARS} characters", MAX_CHARS)
    return _Reader(text, of_items).whole()


def names_in(condition: Condition) -> set[str]:
    """Every name that a condition compares."""
    match condition:
        case Not(part):
            return names_in(part)
        case All(parts) | Some(parts):
            return set().union(*map(names_in, parts))
        case _:
            return {condition.name}


def holds(condition: Condition, values: Mapping[str, Any]) -> bool:
    """Whether a condition holds for one mapping of names to values.

    >>> holds(parse("age >= 18 and plan != free", of_items=False), {"age": 30})
    True
    """
    match condition:
        case Not(part):
            return not holds(part, values)
        case All(parts):
            return all(holds(part, values) for part in parts)
        case Some(parts):
            return any(holds(part, values) for part in parts)
        case Missing(name):
            return is_missing(values.get(key_of(name)))
        case _:
            return test_of(condition)(values.get(key_of(condition.name)))


def key_of(name: str) -> str:
    """The key of `attributes` that a name stands for."""
    return name.removeprefix(ATTRIBUTE)


def is_missing(value: object) -> bool:
    """Whether a value counts as not there: null, and what conditions cannot compare."""
    return not isinstance(value, str | int | float | list | tuple)


def test_of(condition: Compare | Among) -> Callable[[Any], bool]:
    """A function that says of one value whether it passes."""
    if isinstance(condition, Among):
        texts = {value.text for value in condition.values}
        numbers = {value.number for value in condition.values if value.number is not None}

        def is_among(value: Any) -> bool:
            if isinstance(value, str):
                return value in texts
            if isinstance(value, bool):
                return ("true" if value else "false") in texts
            if isinstance(value, int | float):
                return value in numbers
            return isinstance(value, list | tuple) and any(map(is_among, value))

        return is_among
    op, wanted = condition.op, condition.value

    def compares(value: Any) -> bool:
        if isinstance(value, list | tuple):
            return any(map(compares, value))
        if isinstance(value, bool):
            return False
        if isinstance(value, int | float):
            return wanted.number is not None and _ordered(value, op, wanted.number)
        # "12" is neither more nor less than 9: only texts are compared as texts.
        return isinstance(value, str) and wanted.number is None and _ordered(value, op, wanted.text)

    return compares


def _ordered(left: Any, op: str, right: Any) -> bool:
    match op:
        case "<":
            return bool(left < right)
        case "<=":
            return bool(left <= right)
        case ">":
            return bool(left > right)
        case _:
            return bool(left >= right)


_TOKEN = re.compile(
    r"""\s*(?:
        (?P<op><=|>=|!=|==|=|<|>)
      | (?P<mark>[(),])
      | (?P<quoted>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')
      | (?P<ticked>`[^`]+`)
      | (?P<word>[^\s()<>=!,"'`]+)
    )""",
    re.VERBOSE,
)
_NAME = re.compile(r"[\w.-]+\Z")
_WORDS = ("and", "or", "not", "in")


class _Token(Struct, frozen=True):
    kind: str
    text: str
    at: int


class _Reader:
    """Recursive descent over the tokens."""

    def __init__(self, text: str, of_items: bool) -> None:
        self._tokens = _tokens(text)
        self._next = 0
        self._of_items = of_items

    def whole(self) -> Condition:
        found = self._some(0)
        token = self._peek()
        if token.kind != "end":
            raise ConditionInvalid(f"{token.text!r} is one word too many; join with `and` or `or`", token.at)
        return found

    def _some(self, depth: int) -> Condition:
        return self._joined("or", lambda: self._joined("and", lambda: self._one(depth), All), Some)

    def _joined(
        self, word: str, read: Callable[[], Condition], kind: Callable[[tuple[Condition, ...]], Condition]
    ) -> Condition:
        parts = [read()]
        while self._took(word):
            parts.append(read())
        return parts[0] if len(parts) == 1 else kind(tuple(parts))

    def _one(self, depth: int) -> Condition:
        token = self._peek()
        if depth > MAX_DEPTH:
            raise ConditionInvalid(f"brackets and `not` stand at most {MAX_DEPTH} deep", token.at)
        if self._took("not"):
            return Not(self._one(depth + 1))
        if self._took("("):
            inner = self._some(depth + 1)
            self._expect(")")
            return inner
        name = self._name()
        return self._compared(name, self._peek())

    def _compared(self, name: str, token: _Token) -> Condition:
        if self._took("not"):
            self._expect("in")
            return Not(self._among(name))
        if self._took("in"):
            return self._among(name)
        if token.kind != "op":
            raise ConditionInvalid(f"after {name} comes one of = != < <= > >= in", token.at)
        self._next += 1
        at, value = self._peek(), self._value(name, may_be_null=token.text in ("=", "==", "!="))
        if token.text in ("=", "==", "!="):
            found = Missing(name) if value is None else Among(name, (value,))
            return Not(found) if token.text == "!=" else found
        assert value is not None
        if name in TEXTS and self._of_items:
            raise ConditionInvalid(f"{name} is a text: compare it by = != in", at.at)
        return Compare(name, token.text, value)

    def _among(self, name: str) -> Condition:
        self._expect("(")
        values = [self._value(name)]
        while self._took(","):
            values.append(self._value(name))
        self._expect(")")
        return Among(name, tuple(value for value in values if value is not None))

    def _name(self) -> str:
        token = self._peek()
        is_name = token.kind == "ticked" or (token.kind == "word" and _NAME.match(token.text))
        if not is_name or token.text in _WORDS:
            raise ConditionInvalid(
                f"expected a name (such as price or brand), found {_said(token)}", token.at
            )
        self._next += 1
        name = token.text[1:-1] if token.kind == "ticked" else token.text
        return name if self._of_items else key_of(name)

    def _value(self, name: str, *, may_be_null: bool = False) -> Literal | None:
        token = self._peek()
        if token.kind not in ("word", "quoted"):
            raise ConditionInvalid(f"expected a value for {name}, found {_said(token)}", token.at)
        self._next += 1
        if token.kind == "quoted":
            text, number = re.sub(r"\\(.)", r"\1", token.text[1:-1]), None
        elif token.text == "null":
            if not may_be_null:
                raise ConditionInvalid("null can be compared by = and != only", token.at)
            return None
        else:
            text, number = token.text, _number(token.text)
        if self._of_items and name in TIMES:
            number = _ms(text, number)
            if number is None:
                raise ConditionInvalid(f"{name} is compared with a date such as 2026-11-01", token.at)
        elif self._of_items and name in NUMBERS and number is None:
            raise ConditionInvalid(f"{name} is compared with a number", token.at)
        return Literal(text, number)

    def _peek(self) -> _Token:
        return self._tokens[self._next]

    def _took(self, text: str) -> bool:
        token = self._peek()
        if token.kind not in ("word", "mark") or token.text.lower() != text:
            return False
        self._next += 1
        return True

    def _expect(self, text: str) -> None:
        token = self._peek()
        if not self._took(text):
            raise ConditionInvalid(f"expected {text!r}, found {_said(token)}", token.at)


def _tokens(text: str) -> list[_Token]:
    found, at, end = [], 0, len(text.rstrip())
    while at < end:
        token = _TOKEN.match(text, at)
        if token is None or token.lastgroup is None:
            at += len(text[at:]) - len(text[at:].lstrip())
            mark = text[at]
            hint = "a quote that does not end" if mark in "\"'`" else f"{mark!r} means nothing here"
            raise ConditionInvalid(hint, at)
        kind = token.lastgroup
        found.append(_Token(kind, token[kind], token.start(kind)))
        at = token.end()
    return [*found, _Token("end", "", end)]


def _said(token: _Token) -> str:
    return "the end" if token.kind == "end" else repr(token.text)


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) and "_" not in text else None


def _ms(text: str, number: float | None) -> float | None:
    """A date, a time, or a number of ms since 1970, as ms. A date without a zone is UTC."""
    if number is not None:
        return number
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000.0
