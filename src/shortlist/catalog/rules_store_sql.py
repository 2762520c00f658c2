"""Rules in the catalog's own database."""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from shortlist.catalog.engine import named_errors
from shortlist.catalog.rule import Rule, patched
from shortlist.catalog.rules_store import MAX_RULES, RuleExists, RuleStore, RuleUnknown, TooManyRules
from shortlist.catalog.schema import rules, versions

COUNTER = "rules"


class SqlRules(RuleStore):
    """One row per rule, the rule as JSON. Writers wait for each other at the counter's row."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def rules(self) -> tuple[int, list[Rule]]:  # noqa: D102
        with named_errors():
            async with self._engine.connect() as connection:
                # The counter first: should a rule come in between, it is read again at the next look.
                version = await _version(connection)
                rows = await connection.execute(select(rules.c.rule).order_by(rules.c.rule_id))
                return version, [msgspec.convert(row[0], Rule) for row in rows]

    async def version(self) -> int:  # noqa: D102
        with named_errors():
            async with self._engine.connect() as connection:
                return await _version(connection)

    async def create(self, rule: Rule) -> int:  # noqa: D102
        with named_errors():
            async with self._engine.begin() as connection:
                version = await _next(connection)
                if await _stored(connection, rule.id) is not None:
                    raise RuleExists(f"rule {rule.id!r} is there already; PATCH it instead")
                if int((await connection.execute(select(func.count()).select_from(rules))).scalar_one()) >= (
                    MAX_RULES
                ):
                    raise TooManyRules(f"there are {MAX_RULES} rules; delete some that have ended")
                await connection.execute(
                    insert(rules).values(rule_id=rule.id, rule=msgspec.to_builtins(rule))
                )
                return version

    async def patch(  # noqa: D102
        self, rule_id: str, changes: Mapping[str, Any], check: Callable[[Rule], object]
    ) -> Rule:
        with named_errors():
            async with self._engine.begin() as connection:
                await _next(connection)
                stored = await _stored(connection, rule_id)
                if stored is None:
                    raise RuleUnknown(f"no rule {rule_id!r}; POST it first")
                rule = patched(stored, changes)
                check(rule)
                if rule == stored:
                    await connection.rollback()
                else:
                    await connection.execute(
                        update(rules).where(rules.c.rule_id == rule_id).values(rule=msgspec.to_builtins(rule))
                    )
                return rule

    async def delete(self, rule_id: str) -> int:  # noqa: D102
        with named_errors():
            async with self._engine.begin() as connection:
                version = await _next(connection)
                gone = await connection.execute(delete(rules).where(rules.c.rule_id == rule_id))
                if not gone.rowcount:
                    raise RuleUnknown(f"no rule {rule_id!r} (any more)")
                return version


async def _version(connection: AsyncConnection) -> int:
    query = select(versions.c.version).where(versions.c.name == COUNTER)
    return int((await connection.execute(query)).scalar_one())


async def _next(connection: AsyncConnection) -> int:
    """Move the counter on, which takes the write lock before anything is read."""
    moved = update(versions).where(versions.c.name == COUNTER).values(version=versions.c.version + 1)
    return int((await connection.execute(moved.returning(versions.c.version))).scalar_one())


async def _stored(connection: AsyncConnection, rule_id: str) -> Rule | None:
    row = (await connection.execute(select(rules.c.rule).where(rules.c.rule_id == rule_id))).first()
    return msgspec.convert(row[0], Rule) if row is not None else None
