"""The operator's rules over one table of items: compiled once into masks, then a few array operations."""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from threading import RLock
from typing import Any

import msgspec
import numpy as np

from shortlist.arrays import BoolArray, FloatArray
from shortlist.catalog.rule import Rule, RuleInvalid
from shortlist.catalog.table import Columns, ItemTable
from shortlist.ranking.conditions import Condition, ConditionInvalid, holds, names_in, parse
from shortlist.ranking.facts import HOUR_MS, Facts, Stamp, stamp_of

# Sets of rules that apply together and are kept combined: 5 bytes an item each, 16 MB at 100k items.
COMBINED = 32
ALWAYS_MS = 1 << 62
LEAST, MOST = 1e-3, 1e3  # what all boosts and buries of an item may come to
FACTORS = {"boost": 2.0, "bury": 0.5}  # where the rule names none


@dataclass(frozen=True, slots=True)
class Pin:
    """One item of those in `mask` (n,) stands at `position`, 0 the first of the whole list."""

    rule_id: str
    position: int
    mask: BoolArray


@dataclass(frozen=True, slots=True)
class Applied:
    """What rules do to one kind of request.

    ids: the rules. allowed: (n,) what may be in the slate; None: everything. factors: (n,) of scores; None:
    all 1. pins: the most important first. version: names this effect, for stamps.
    """

    ids: tuple[str, ...] = ()
    allowed: BoolArray | None = None
    factors: FloatArray | None = None
    pins: tuple[Pin, ...] = ()
    version: str = ""


NOTHING = Applied()


@dataclass(frozen=True, slots=True)
class _Compiled:
    """A rule with its conditions read. start_ms, end_ms: when it holds."""

    rule: Rule
    where: Condition
    users: Condition | None
    start_ms: int
    end_ms: int
    digest: bytes

    def wants(self, context: str, category: str, user: Mapping[str, Any] | None, now_ms: int) -> bool:
        """Whether it applies to such a request now. user None: their attributes are not known, and then what
        takes items out applies, and nothing else does."""
        rule = self.rule
        return (
            self.start_ms <= now_ms < self.end_ms
            and (not rule.contexts or context in rule.contexts)
            and (not rule.categories or category in rule.categories)
            and (
                self.users is None
                or (rule.action in ("hide", "filter") if user is None else holds(self.users, user))
            )
        )


class Rulebook:
    """A set of rules over one table. Thread-safe.

    The table's owner calls `follow` before it shows other columns, so that requests find the masks ready.
    """

    def __init__(
        self,
        table: ItemTable,
        rules: Sequence[Rule] = (),
        now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
        *,
        facts: Facts | None = None,
    ) -> None:
        """rules: disabled ones are left out. Raises RuleInvalid."""
        self.table, self.rules, self.now_ms = table, tuple(rules), now_ms
        self.facts = facts or Facts(table)
        active = sorted((rule for rule in rules if rule.enabled), key=lambda rule: (-rule.priority, rule.id))
        self._compiled = [compiled(rule) for rule in active]
        self._uses_age = any("age_days" in names_in(each.where) for each in self._compiled)
        self.reads_users = any(each.users is not None for each in self._compiled)
        self._lock = RLock()
        self._masks: dict[tuple[Stamp, int], list[BoolArray]] = {}  # by state of the catalog and hour
        self._combined: dict[tuple[Stamp, int, tuple[int, ...]], Applied] = {}
        self.follow(table.columns)

    def changed(self, rules: Sequence[Rule]) -> "Rulebook":
        """Other rules over the same table, with what is known of its items. Raises RuleInvalid."""
        return Rulebook(self.table, rules, self.now_ms, facts=self.facts)

    def follow(self, columns: Columns) -> None:
        """Compile for `columns`, which are about to be shown; what was shown before stays ready."""
        self.facts.refresh(columns)
        if self._compiled:
            self._masks_of(columns, self._hour(self.now_ms()))

    def applied(
        self, columns: Columns, context: str, category: str, user: Mapping[str, Any] | None
    ) -> Applied:
        """What the rules do to a request, now. category: its name; empty: none. user: attributes; None: they
        are not known."""
        if not self._compiled:
            return NOTHING
        now_ms = self.now_ms()
        which = tuple(
            at for at, each in enumerate(self._compiled) if each.wants(context, category, user, now_ms)
        )
        if not which:
            return NOTHING
        hour = self._hour(now_ms)
        key = (stamp_of(columns), hour, which)
        found = self._combined.get(key)
        if found is None:
            with self._lock:
                if len(self._combined) >= COMBINED:
                    self._combined.clear()
                found = self._combined[key] = self._combine(which, self._masks_of(columns, hour))
        return found

    def taken_out_by(
        self, position: int, context: str, category: str, user: Mapping[str, Any] | None
    ) -> list[tuple[str, str]]:
        """(action, id) of the rules that keep one item out of such a request's slates, now."""
        now_ms, columns = self.now_ms(), self.table.columns
        masks = self._masks_of(columns, self._hour(now_ms)) if self._compiled else []
        return [
            (each.rule.action, each.rule.id)
            for each, mask in zip(self._compiled, masks, strict=True)
            if (each.rule.action == "hide" and mask[position])
            or (each.rule.action == "filter" and not mask[position])
            if each.wants(context, category, user, now_ms)
        ]

    def matches(self, rule_id: str) -> int:
        """How many items the condition of an enabled rule holds for; 0 for others."""
        now_ms, columns = self.now_ms(), self.table.columns
        masks = self._masks_of(columns, self._hour(now_ms)) if self._compiled else []
        for each, mask in zip(self._compiled, masks, strict=True):
            if each.rule.id == rule_id:
                return int((mask & columns.servable).sum())
        return 0

    def until_ms(self) -> int:
        """The next time at which a rule begins or ends, or counts another hour of age."""
        now_ms = self.now_ms()
        times = [ms for each in self._compiled for ms in (each.start_ms, each.end_ms) if ms > now_ms]
        if self._uses_age:
            times.append(self._hour(now_ms) + HOUR_MS)
        return min(times, default=ALWAYS_MS)

    def _hour(self, now_ms: int) -> int:
        return now_ms // HOUR_MS * HOUR_MS if self._uses_age else 0

    def _masks_of(self, columns: Columns, hour: int) -> list[BoolArray]:
        key = (stamp_of(columns), hour)
        with self._lock:
            masks = self._masks.get(key)
            if masks is None:
                self.facts.refresh(columns)
                masks = self._stepped(columns, hour) or [
                    self.facts.mask(each.where, columns, hour) for each in self._compiled
                ]
                while len(self._masks) > 1:  # the one before stays for requests that took its columns
                    del self._masks[next(iter(self._masks))]
                self._masks[key] = masks
                self._combined = {k: v for k, v in self._combined.items() if k[:2] in self._masks}
            return masks

    def _stepped(self, columns: Columns, hour: int) -> list[BoolArray] | None:
        """The masks of the version before with what changed since, where that is known."""
        step = self.facts.last
        before = self._masks.get((step.before, hour))
        if before is None or step.after != stamp_of(columns):
            return None
        size, masks = len(columns.servable), []
        for each, was in zip(self._compiled, before, strict=True):
            mask = np.zeros(size, np.bool_)
            mask[: len(was)] = was
            mask[step.changed] = self.facts.mask(each.where, columns, hour, step.changed)
            masks.append(mask)
        return masks

    def _combine(self, which: Sequence[int], masks: Sequence[BoolArray]) -> Applied:
        allowed: BoolArray | None = None
        factors: FloatArray | None = None
        pins = []
        for at in which:
            rule, mask = self._compiled[at].rule, masks[at]
            match rule.action:
                case "hide" | "filter":
                    keep = mask if rule.action == "filter" else ~mask
                    allowed = keep.copy() if allowed is None else allowed & keep
                case "boost" | "bury":
                    if factors is None:
                        factors = np.ones(len(mask), np.float32)
                    factors[mask] *= rule.factor or FACTORS[rule.action]
                case _:
                    pins.append(Pin(rule.id, rule.position or 0, mask))
        if factors is not None:
            factors = np.clip(factors, LEAST, MOST)
        digest = sha256(b"".join(self._compiled[at].digest for at in which)).hexdigest()[:12]
        ids = tuple(self._compiled[at].rule.id for at in which)
        return Applied(ids, allowed, factors, tuple(pins), digest)


def compiled(rule: Rule) -> _Compiled:
    """A rule that can be applied. Raises RuleInvalid naming the field."""
    where = _read(rule, "where")
    users = _read(rule, "users") if rule.users else None
    if rule.action in ("boost", "bury"):
        factor = rule.factor or FACTORS[rule.action]
        if (factor < 1) == (rule.action == "boost") or factor == 1:
            more = "more than 1" if rule.action == "boost" else "between 0 and 1"
            raise RuleInvalid(f"factor of a {rule.action} is {more}, not {factor:g}")
    elif rule.factor is not None:
        raise RuleInvalid(f"factor goes with boost and bury, not with {rule.action}")
    if rule.position is not None and rule.action != "pin":
        raise RuleInvalid(f"position goes with pin, not with {rule.action}")
    start_ms = math.ceil(rule.start.timestamp() * 1000) if rule.start else 0
    end_ms = math.ceil(rule.end.timestamp() * 1000) if rule.end else ALWAYS_MS
    if end_ms <= start_ms:
        raise RuleInvalid("end must lie after start")
    digest = sha256(msgspec.json.encode(rule)).digest()
    return _Compiled(rule, where, users, start_ms, end_ms, digest)


def _read(rule: Rule, field: str) -> Condition:
    try:
        return parse(getattr(rule, field), of_items=field == "where")
    except ConditionInvalid as error:
        raise RuleInvalid(f"{field}, {error}") from None
