"""The operator's rule, as it is written and stored."""

from datetime import datetime
from typing import Annotated, Literal

from msgspec import Meta, Struct

Action = Literal["pin", "boost", "bury", "hide", "filter"]
RuleId = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")]
Text = Annotated[str, Meta(max_length=20_000)]
Names = Annotated[tuple[Annotated[str, Meta(min_length=1, max_length=200)], ...], Meta(max_length=100)]
Moment = Annotated[datetime, Meta(tz=True)]


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
