"""What operators do with rules: read and write them, have them followed at once, try them out."""

import asyncio
from collections.abc import Mapping
from functools import partial
from typing import Any, Literal

import structlog
from msgspec import Struct

from shortlist.catalog.rule import Judged, Rule, RuleInvalid
from shortlist.catalog.rules_store import RuleStore
from shortlist.catalog.table import ItemTable
from shortlist.events.log import EventLog
from shortlist.ranking.rules import compiled
from shortlist.serving import names
from shortlist.serving.dry_run import DryRun, dry_run, sample_of
from shortlist.serving.serving import Serving

log = structlog.get_logger()

State = Literal["on", "off", "waits", "over"]


class Listed(Struct, frozen=True):
    """A rule as operators see it. state: whether it holds now; `waits` for its start, or is `over`. matches:
    servable items that its condition holds for; null where it is off. warnings: what it names that no item
    has now, or why it cannot be followed."""

    rule: Rule
    state: State
    matches: int | None
    warnings: tuple[str, ...] = ()


class Ruling:
    """For the event loop; whoever writes rules elsewhere is followed at the next `follow`."""

    def __init__(self, store: RuleStore, serving: Serving, events: EventLog) -> None:
        self._store, self._serving, self._events = store, serving, events
        self._version = -1
        self._following = asyncio.Lock()

    async def follow(self) -> None:
        """Have serving follow the rules as they are stored now."""
        async with self._following:
            if await self._store.version() == self._version:
                return
            version, rules = await self._store.rules()
            await asyncio.to_thread(self._serving.rule, usable(rules))
            self._version = version

    async def listed(self) -> list[Listed]:
        """Every rule, by id."""
        _, rules = await self._store.rules()
        return await asyncio.to_thread(partial(_listed, rules, self._serving))

    async def create(self, rule: Rule) -> Judged:
        """Add a rule. Raises RuleInvalid, RuleExists, TooManyRules."""
        compiled(rule)
        await self._store.create(rule)
        await self.follow()
        return await asyncio.to_thread(judged, rule, self._serving.table)

    async def patch(self, rule_id: str, changes: Mapping[str, Any]) -> Judged:
        """Change some fields of a rule. Raises RuleInvalid, RuleUnknown."""
        rule = await self._store.patch(rule_id, changes, compiled)
        await self.follow()
        return await asyncio.to_thread(judged, rule, self._serving.table)

    async def delete(self, rule_id: str) -> None:
        """Take a rule away. Raises RuleUnknown."""
        await self._store.delete(rule_id)
        await self.follow()

    async def dry_run(self, draft: Rule | None, most: int) -> DryRun:
        """What a rule would have done to at most `most` of the last slates; None: what today's rules do.

        Raises RuleInvalid."""
        if draft is not None:
            compiled(draft)
        return await self._serving.aside(partial(self._tried, draft, most))

    def _tried(self, draft: Rule | None, most: int) -> DryRun:
        snapshot, recommender = self._serving.snapshot, self._serving.recommender
        know = partial(recommender.know, snapshot=snapshot)
        nobody, rules = recommender.nobody(snapshot), self._serving.settings.rules
        return dry_run(draft, sample_of(self._events, most), snapshot, know, nobody, rules)


def usable(rules: list[Rule]) -> list[Rule]:
    """The rules that can be followed; others, of another version perhaps, are logged and left out."""
    found = []
    for rule in rules:
        try:
            compiled(rule)
        except RuleInvalid as error:
            log.error("rule left out", rule=rule.id, why=str(error))
        else:
            found.append(rule)
    return found


def judged(rule: Rule, table: ItemTable) -> Judged:
    """A rule with what is to be warned of, as the items are now. Blocking."""
    fields = {name: getattr(rule, name) for name in Rule.__struct_fields__}
    try:
        compiled(rule)
    except RuleInvalid as error:
        return Judged(**fields, warnings=(f"it is left out: {error}",))
    return Judged(**fields, warnings=names.warnings(rule, table))


def _listed(rules: list[Rule], serving: Serving) -> list[Listed]:
    book = serving.snapshot.rulebook
    now_s = book.now_ms() / 1000
    return [
        Listed(
            rule,
            state_of(rule, now_s),
            book.matches(rule.id) if rule.enabled else None,
            judged(rule, book.table).warnings,
        )
        for rule in rules
    ]


def state_of(rule: Rule, now_s: float) -> State:
    """Whether a rule holds."""
    if not rule.enabled:
        return "off"
    if rule.start is not None and now_s < rule.start.timestamp():
        return "waits"
    return "over" if rule.end is not None and now_s >= rule.end.timestamp() else "on"
