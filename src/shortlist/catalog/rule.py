"""The operator's rule, as it is written and stored."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from shortlist.errors import ShortlistError
from shortlist.refusal import refusal

Action = Literal["pin", "boost", "bury", "hide", "filter"]
RuleId = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")]
Text = Annotated[str, Meta(max_length=20_000)]
Names = Annotated[tuple[Annotated[str, Meta(min_length=1, max_length=200)], ...], Meta(max_length=100)]
Moment = Annotated[datetime, Meta(tz=True)]


class RuleInvalid(ShortlistError):
    """A rule cannot be: the message names its field and what it may be; nothing was changed."""


class Rule(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is done with the items that `where` holds for, in which slates, and when.

    action: pin puts the best of them at `position`; boost and bury multiply their scores by `factor`; hide
    takes them out; filter takes everything else out. Conditions are written as `ranking.conditions` says.
    contexts, categories: of the request; empty: any. users: a condition on the user's attributes; empty: all.
    start, end: from when (inclusive) until when (exclusive). priority: of pins for one place the higher wins.
    """

    id: RuleId
    name: Annotated[str, Meta(max_length=200)] = ""
    action: Action
    where: Annotated[str, Meta(min_length=1, max_length=20_000)]
    factor: Annotated[float, Meta(gt=0, le=1_000)] | None = None
    position: Annotated[int, Meta(ge=0, le=99)] | None = None
    contexts: Names = ()
    categories: Names = ()
    users: Text = ""
    start: Moment | None = None
    end: Moment | None = None
    enabled: bool = True
    priority: Annotated[int, Meta(ge=-1_000_000, le=1_000_000)] = 0


class Judged(Rule, frozen=True, kw_only=True):
    """A rule as it is answered. warnings: what it names that no item has now."""

    warnings: tuple[str, ...] = ()


def rule_of(fields: Mapping[str, Any]) -> Rule:
    """A rule from JSON types. Raises RuleInvalid naming the field."""
    try:
        return msgspec.convert(fields, Rule)
    except msgspec.ValidationError as error:
        field, why = refusal(error, Rule, fields, whole="the rule")
        raise RuleInvalid(f"{field}: {why}" if field else why) from None


def patched(rule: Rule, changes: Mapping[str, Any]) -> Rule:
    """`rule` with some fields changed, read as a whole. Raises RuleInvalid naming the field."""
    if changes.get("id", rule.id) != rule.id:
        raise RuleInvalid("id: a rule's id cannot change; delete it and create another")
    return rule_of(msgspec.to_builtins(rule) | dict(changes))
