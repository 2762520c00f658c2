"""Why a value was refused, in the words of whoever wrote it: one translation for bodies, queries, settings.

msgspec speaks of Python's types (``Expected `int | null`, got `str` - at `$.a[0]` ``). What is expected is
taken from the declaration instead, what came from the value itself.
"""

import difflib
import re
from typing import Any

import msgspec
from msgspec import inspect

MOST_SHOWN = 60  # characters of a value that a message repeats
MOST_LISTED = 15  # known names that a message lists
UNKNOWN = object()
"""Stands for a value that is not known, or should not be repeated."""

_STEP = re.compile(r"\.([^.\[]+)|\[(\d+|\.\.\.)\]")


def refusal(error: msgspec.ValidationError, kind: Any, given: Any, *, whole: str) -> tuple[str, str]:
    """(path of the bad field, what is wrong with it and what it must be).

    kind: the type that was asked for. given: the whole value that came, as JSON types, or UNKNOWN.
    whole: what to call the value where it is wrong as a whole; the path is then empty.

    >>> from typing import Annotated
    >>> class Asked(msgspec.Struct):
    ...     limit: Annotated[int, msgspec.Meta(ge=1)] | None = None
    >>> try:
    ...     msgspec.convert({"limit": "ten"}, Asked)
    ... except msgspec.ValidationError as error:
    ...     refusal(error, Asked, {"limit": "ten"}, whole="the query")
    ('limit', 'must be a whole number of at least 1, not "ten"')
    """
    message, _, path = str(error).partition(" - at `$")
    path = path.rstrip("`")
    types, value = _at(inspect.type_info(kind), given, path)
    field = path.removeprefix(".")
    if found := re.fullmatch(r"Object missing required field `(.+)`", message):
        inner = found[1]
        wanted = _described(_inside(types, inner))
        return _joined(field, inner), "is missing" + (f"; it must be {wanted}" if wanted else "")
    if found := re.fullmatch(r"Object contains unknown field `(.+)`", message):
        return _joined(field, found[1]), "there is no such field; " + near(found[1], _names(types))
    subject = "" if field else f"{whole} "
    if message == "Number out of range":
        return field, f"{subject}is a number too large to be read; numbers go up to 1.8e308"
    wanted = _described(types)
    if not wanted or not message.startswith(("Expected", "Invalid")):
        return field, f"{subject}is refused: {message}"
    came = "" if value is UNKNOWN else f", not {_shown(value)}"
    return field, f"{subject}must be {wanted}{came}"


def near(name: str, known: list[str]) -> str:
    """A hint at the known name that is nearest, whatever its case, or at the first of them.

    >>> near("PRIZE", ["title", "price"])
    'did you mean price?'
    """
    by_fold = {one.casefold(): one for one in reversed(known)}
    close = difflib.get_close_matches(name[:MOST_SHOWN].casefold(), by_fold, n=1)
    if close:
        return f"did you mean {by_fold[close[0]]}?"
    more = len(known) - MOST_LISTED
    listed = ", ".join(known[:MOST_LISTED]) or "none"
    return f"known here: {listed}{f' and {more:,} more' if more > 0 else ''}"


def _joined(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _at(root: inspect.Type, given: Any, path: str) -> tuple[list[inspect.Type], Any]:
    """The types that may stand at `path`, and the value that does (UNKNOWN where it cannot be said)."""
    types, value = _members([root]), given
    for match in _STEP.finditer(path):
        name, index = match[1], match[2]
        if name is not None:
            types = _inside(types, name)
            value = value.get(name, UNKNOWN) if isinstance(value, dict) else UNKNOWN
        else:
            types = _elements(types, index)
            is_there = index != "..." and isinstance(value, list) and int(index) < len(value)
            value = value[int(index)] if is_there else UNKNOWN
    return types, value


def _members(types: list[inspect.Type]) -> list[inspect.Type]:
    """Unions and annotations taken apart."""
    found: list[inspect.Type] = []
    for one in types:
        if isinstance(one, inspect.UnionType):
            found += _members(list(one.types))
        elif isinstance(one, inspect.Metadata):
            found += _members([one.type])
        else:
            found.append(one)
    return found


def _inside(types: list[inspect.Type], name: str) -> list[inspect.Type]:
    structs = [one for one in types if isinstance(one, inspect.StructType)]
    return _members([field.type for one in structs for field in one.fields if field.encode_name == name])


def _elements(types: list[inspect.Type], index: str) -> list[inspect.Type]:
    found: list[inspect.Type] = []
    for one in types:
        if isinstance(one, inspect.DictType):
            found.append(one.value_type)
        elif isinstance(one, inspect.ListType | inspect.VarTupleType | inspect.SetType):
            found.append(one.item_type)
        elif isinstance(one, inspect.TupleType) and index != "...":
            found.append(one.item_types[int(index)])
    return _members(found)


def _names(types: list[inspect.Type]) -> list[str]:
    return [f.encode_name for one in types if isinstance(one, inspect.StructType) for f in one.fields]


def _described(types: list[inspect.Type]) -> str:
    """What must stand there. That a field may also be left out (null) goes without saying."""
    number_too = any(isinstance(one, inspect.FloatType) for one in types)
    words = []
    for one in types:
        if isinstance(one, inspect.IntType):
            if not number_too:
                words.append("a whole number" + _bounds(one))
        elif isinstance(one, inspect.FloatType):
            words.append("a number" + _bounds(one))
        elif isinstance(one, inspect.StrType):
            words.insert(0, _text(one.min_length, one.max_length, one.pattern))
        elif isinstance(one, inspect.DateTimeType):
            words.append("a time such as 2026-11-27T00:00:00Z")
        elif isinstance(one, inspect.BoolType):
            words.append("true or false")
        elif isinstance(one, inspect.LiteralType):
            words.append("one of " + ", ".join(str(value) for value in one.values))
        elif isinstance(one, inspect.EnumType):
            words.append("one of " + ", ".join(str(member.value) for member in one.cls))
        elif isinstance(one, inspect.ListType | inspect.VarTupleType | inspect.SetType):
            words.append("a list" + _length(one.min_length, one.max_length))
        elif isinstance(one, inspect.TupleType):
            words.append(f"a list of {len(one.item_types)}")
        elif isinstance(one, inspect.DictType | inspect.StructType):
            words.append("an object")
    return " or ".join(dict.fromkeys(words))


def _bounds(one: inspect.IntType | inspect.FloatType) -> str:
    if one.ge is not None and one.le is not None:
        return f" from {one.ge:,} to {one.le:,}".replace(",", "")
    said = []
    if one.gt is not None:
        said.append(f"above {one.gt:g}")
    if one.ge is not None:
        said.append(f"of at least {one.ge:g}")
    if one.le is not None:
        said.append(f"of at most {one.le:g}")
    if one.lt is not None:
        said.append(f"below {one.lt:g}")
    return " " + " and ".join(said) if said else ""


def _text(least: int | None, most: int | None, pattern: str | None) -> str:
    if pattern is not None:
        return f"text that matches {pattern}"
    if most is not None:
        return f"text of {least or 0} to {most} characters"
    return "text that is not empty" if least else "text"


def _length(least: int | None, most: int | None) -> str:
    if most is not None:
        return f" of {least or 0} to {most}"
    return " that is not empty" if least else ""


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list):
        return f"a list of {len(value)}" if value else "an empty list"
    if value == "":
        return "empty text"
    if isinstance(value, float):
        return f"{value:g}"  # TOML knows infinity, JSON does not
    if isinstance(value, str) and len(value) > MOST_SHOWN:
        return f"{len(value)} characters of text"
    return msgspec.json.encode(value).decode()
