"""The port of the operator's rules at rest."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any

from shortlist.catalog.rule import Rule
from shortlist.catalog.store import CatalogError

MAX_RULES = 500  # each costs every request a look, and every item a bit


class RuleUnknown(CatalogError):
    """No rule has this id."""


class RuleExists(CatalogError):
    """A rule with this id is there already; PATCH it instead."""


class TooManyRules(CatalogError):
    """There are as many rules as there may be; delete some that have ended."""


class RuleStore(ABC):
    """Rules by id. Every write that changes something moves one counter, in the same transaction.

    Whether a rule's conditions can be read is not known here: whoever writes passes a check."""

    @abstractmethod
    async def rules(self) -> tuple[int, list[Rule]]:
        """The number of the last change (0: none yet) and every rule by id, of one moment."""

    @abstractmethod
    async def version(self) -> int:
        """The number of the last change."""

    @abstractmethod
    async def create(self, rule: Rule) -> int:
        """Insert one rule; the number of the change. Raises RuleExists, TooManyRules."""

    @abstractmethod
    async def patch(self, rule_id: str, changes: Mapping[str, Any], check: Callable[[Rule], object]) -> Rule:
        """Change the given fields of one rule; null takes an optional one away.

        check: raises when the rule as it would be cannot be; then nothing was changed.
        Raises RuleUnknown, RuleInvalid naming the field, and what `check` raises."""

    @abstractmethod
    async def delete(self, rule_id: str) -> int:
        """Delete one rule; the number of the change. Raises RuleUnknown."""
