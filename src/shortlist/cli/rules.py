"""`shortlist rules`: what operators pin, boost, bury, hide and filter."""

import asyncio
import math
import secrets
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote

import click
import msgspec

from shortlist.cli.options import home_option, json_option, load_settings
from shortlist.cli.server import address_of, ask, service_token
from shortlist.errors import ShortlistError
from shortlist.home import Home
from shortlist.settings import Settings

if TYPE_CHECKING:
    from shortlist.catalog.rule import Judged, Rule
    from shortlist.serving.dry_run import DryRun, Moved

Command = TypeVar("Command", bound=Callable[..., Any])

ACTIONS = ("pin", "boost", "bury", "hide", "filter")
FIELDS = {  # what options are called in a rule, where the names differ
    "context": "contexts",
    "category": "categories",
}


class RuleMisnamed(ShortlistError):
    """A rule was named that is not there, or is there already."""


def fields_options(command: Command) -> Command:
    """What a rule is made of, as options that are None where they are not given."""
    for option in reversed(
        [
            click.option("--name", help="What people call it."),
            click.option("--where", help="Which items: \"price < 50 and brand in (Kaldera, 'Nord & Co')\"."),
            click.option("--factor", type=float, help="Of boost (above 1) or bury (below 1)."),
            click.option("--position", type=int, help="Of a pin: 0 is the first place."),
            click.option("--context", multiple=True, help="Only in these contexts; may be repeated."),
            click.option("--category", multiple=True, help="Only where this category is asked for."),
            click.option("--users", help='Only for users whose attributes are so: "plan = pro".'),
            click.option("--start", help="From this time on, as 2026-11-27T00:00:00Z."),
            click.option("--end", help="Until this time."),
            click.option("--priority", type=int, help="Of pins for one place the higher wins."),
            click.option("--enabled/--disabled", default=None, help="Whether it holds at all."),
        ]
    ):
        command = option(command)
    return command


@click.group()
def command() -> None:
    """List, add, change, remove and try out the operator's rules.

    A running server follows at once; without one the catalog's database is changed.

    \b
    Example:
      shortlist rules add sale boost --where "brand = Kaldera" --factor 1.5 --end 2026-12-01T00:00:00Z
      shortlist rules dry-run sale
    """


@command.command("list")
@home_option
@json_option
def list_rules(home: Home, as_json: bool) -> None:
    """Every rule, and whether it holds.

    \b
    Example:
      shortlist rules list
    """
    rules = _desk(home).judged()
    if as_json:
        click.echo(msgspec.json.encode(rules))
        return
    for rule in rules:
        click.echo(line(rule))
        _warn(rule.warnings)
    if not rules:
        click.echo("no rules: `shortlist rules add --help` shows how one is made")


@command.command()
@home_option
@click.argument("rule_id", metavar="ID")
@click.argument("action", type=click.Choice(ACTIONS))
@fields_options
def add(home: Home, rule_id: str, action: str, **given: Any) -> None:
    """Add the rule ID.

    \b
    Examples:
      shortlist rules add no-gifts hide --where "category = Gifts and stock < 3"
      shortlist rules add hero pin --where "item_id = p0238" --position 0 --context home
      shortlist rules add pros boost --where "margin > 0.4" --factor 1.3 --users "plan = pro"
    """
    _require_where(given)
    desk = _desk(home)
    if _find(desk, rule_id) is not None:
        raise RuleMisnamed(f"rule {rule_id!r} is there already; `shortlist rules set {rule_id} …` changes it")
    rule = desk.create({"id": rule_id, "action": action, **_fields(given)})
    click.echo(f"added: {line(rule)}")
    _warn(rule.warnings)
    click.echo(f"`shortlist rules dry-run {rule.id}` says how many items and slates it concerns")


@command.command("set")
@home_option
@click.argument("rule_id", metavar="ID")
@fields_options
@click.option("--unset", multiple=True, metavar="FIELD", help="Take a field away: start, users …")
def set_rule(home: Home, rule_id: str, unset: tuple[str, ...], **given: Any) -> None:
    """Change fields of the rule ID; what is not named stays.

    \b
    Examples:
      shortlist rules set sale --factor 2
      shortlist rules set sale --disabled
      shortlist rules set sale --unset end
    """
    empty: dict[str, Any] = {"users": "", "name": "", "contexts": (), "categories": ()}
    changes = {FIELDS.get(field, field): empty.get(FIELDS.get(field, field)) for field in unset}
    desk = _desk(home)
    _known(desk, rule_id)
    rule = desk.patch(rule_id, _fields(given) | changes)
    click.echo(f"now: {line(rule)}")
    _warn(rule.warnings)


@command.command()
@home_option
@click.argument("rule_id", metavar="ID")
def remove(home: Home, rule_id: str) -> None:
    """Remove the rule ID.

    \b
    Example:
      shortlist rules remove sale
    """
    desk = _desk(home)
    _known(desk, rule_id)
    desk.delete(rule_id)
    click.echo(f"removed {rule_id}")


@command.command("dry-run")
@home_option
@click.argument("rule_id", metavar="[ID]", required=False)
@click.option("--action", type=click.Choice(ACTIONS), help="Of a draft that is no rule yet.")
@fields_options
@click.option("--sample", type=click.IntRange(1, 2_000), default=500, show_default=True, help="Slates.")
@json_option
def dry_run(
    home: Home, rule_id: str | None, action: str | None, sample: int, as_json: bool, **given: Any
) -> None:
    """Say what a rule would have done to the last slates; nothing that is served changes.

    With ID alone: that rule, even if it is disabled or its time has not come. With options too: that rule
    changed so. Without ID: a draft, or, without any option, what today's rules do together.

    \b
    Examples:
      shortlist rules dry-run sale
      shortlist rules dry-run sale --factor 3
      shortlist rules dry-run --action hide --where "category = Gifts"
    """
    desk, fields = _desk(home), _fields(given)
    draft: dict[str, Any] | None = None
    if rule_id is not None:
        draft = msgspec.to_builtins(_known(desk, rule_id)) | fields | ({"action": action} if action else {})
    elif action or fields:
        if action is None:
            raise click.UsageError("a draft needs --action: " + ", ".join(ACTIONS))
        _require_where(given)
        draft = {"id": f"draft-{secrets.token_hex(4)}", "action": action, **fields}
    found = desk.dry_run(draft, sample)
    if as_json:
        click.echo(msgspec.json.encode(found))
        return
    for text in told(found):
        click.echo(text)
    _warn(found.warnings)


def _warn(warnings: Iterable[str]) -> None:
    for warning in warnings:
        click.secho(f"  ! {warning}", fg="yellow")


def _require_where(given: Mapping[str, Any]) -> None:
    if not given["where"]:
        raise click.UsageError('say which items with --where, as in --where "category = Gifts"')


def _find(desk: "Desk", rule_id: str) -> "Rule | None":
    return next((rule for rule in desk.rules() if rule.id == rule_id), None)


def _known(desk: "Desk", rule_id: str) -> "Rule":
    found = _find(desk, rule_id)
    if found is None:
        raise RuleMisnamed(f"no rule {rule_id!r}; `shortlist rules list` lists them")
    return found


def line(rule: "Rule") -> str:
    """One rule in one line."""
    what = {
        "pin": f"at {rule.position or 0}",
        "boost": f"× {rule.factor or 2:g}",
        "bury": f"× {rule.factor or 0.5:g}",
    }
    said = [rule.action, what.get(rule.action, ""), f"where {rule.where}"]
    said += [f"in {', '.join(rule.contexts)}"] if rule.contexts else []
    said += [f"for {', '.join(rule.categories)}"] if rule.categories else []
    said += [f"users {rule.users}"] if rule.users else []
    said += [f"from {rule.start:%Y-%m-%d %H:%M}"] if rule.start else []
    said += [f"until {rule.end:%Y-%m-%d %H:%M}"] if rule.end else []
    said += [] if rule.enabled else ["(disabled)"]
    return f"{rule.id:<20} {' '.join(part for part in said if part)}"


def told(found: "DryRun") -> list[str]:
    """What a dry run found, in words."""
    if not found.slates:
        return ["no slates were served from pools yet: open the shop, or wait for its first visitors"]
    lines = [
        f"{found.affected:,} of the last {found.slates:,} slates would differ ({found.share:.1%}); "
        f"the condition holds for {found.matches:,} items",
        f"slates left short: {found.short:,} (now {found.short_before:,}); "
        f"filled up with popular items: {found.refilled:,}",
    ]
    for name, moved in (("gained", found.gained), ("lost", found.lost)):
        lines += [f"{name}:", *map(_moved, moved)] if moved else []
    return lines


def _moved(item: "Moved") -> str:
    return f"  {item.slates:>6,}  {item.item_id}  {item.title}".rstrip()


def _fields(given: Mapping[str, Any]) -> dict[str, Any]:
    """The options that were given, by the rule's own names."""
    if given.get("factor") is not None and not math.isfinite(given["factor"]):
        raise click.BadParameter("must be a number above 0", param_hint="--factor")  # JSON has no other
    return {FIELDS.get(name, name): value for name, value in given.items() if value not in (None, ())}


class Desk(ABC):
    """Where rules are read and written."""

    @abstractmethod
    def rules(self) -> "list[Rule]":
        """Every rule, by id."""

    @abstractmethod
    def judged(self) -> "list[Judged]":
        """The same, with what is to be warned of."""

    @abstractmethod
    def create(self, fields: Mapping[str, Any]) -> "Judged":
        """Add a rule."""

    @abstractmethod
    def patch(self, rule_id: str, changes: Mapping[str, Any]) -> "Judged":
        """Change some fields."""

    @abstractmethod
    def delete(self, rule_id: str) -> None:
        """Take a rule away."""

    @abstractmethod
    def dry_run(self, draft: Mapping[str, Any] | None, sample: int) -> "DryRun":
        """What a rule would have done."""


class AtServer(Desk):
    """Asks the server that runs on the home."""

    def __init__(self, url: str, token: str) -> None:
        self._url, self._token = url, token

    def rules(self) -> "list[Rule]":
        """See above."""
        from shortlist.catalog.rule import Rule

        return [msgspec.convert(one["rule"], Rule) for one in self._listed()]

    def judged(self) -> "list[Judged]":
        """See above."""
        from shortlist.catalog.rule import Judged

        return [
            msgspec.convert(one["rule"] | {"warnings": one["warnings"]}, Judged) for one in self._listed()
        ]

    def _listed(self) -> list[dict[str, Any]]:
        listed: list[dict[str, Any]] = ask(self._url, self._token, "GET", "/rules")["rules"]
        return listed

    def create(self, fields: Mapping[str, Any]) -> "Judged":
        """See above."""
        from shortlist.catalog.rule import Judged

        return msgspec.convert(ask(self._url, self._token, "POST", "/rules", fields), Judged)

    def patch(self, rule_id: str, changes: Mapping[str, Any]) -> "Judged":
        """See above."""
        from shortlist.catalog.rule import Judged

        path = f"/rules/{quote(rule_id, safe='')}"
        return msgspec.convert(ask(self._url, self._token, "PATCH", path, changes), Judged)

    def delete(self, rule_id: str) -> None:
        """See above."""
        ask(self._url, self._token, "DELETE", f"/rules/{quote(rule_id, safe='')}")

    def dry_run(self, draft: Mapping[str, Any] | None, sample: int) -> "DryRun":
        """See above."""
        from shortlist.serving.dry_run import DryRun

        body = {"rule": draft, "sample": sample}
        return msgspec.convert(ask(self._url, self._token, "POST", "/rules/dry-run", body), DryRun)


class AtDatabase(Desk):
    """Reads and writes the catalog's database; a server on another machine follows within a second or two."""

    def __init__(self, settings: Settings, home: Home) -> None:
        self._settings, self._home = settings, home

    def rules(self) -> "list[Rule]":
        """See above."""
        from shortlist.app.catalog import rules_of

        return asyncio.run(rules_of(self._settings, self._home))

    def judged(self) -> "list[Judged]":
        """See above."""
        return self._judged(self.rules())

    def _judged(self, rules: "Sequence[Rule]") -> "list[Judged]":
        from shortlist.app.catalog import item_table
        from shortlist.serving.ruling import judged

        table = asyncio.run(item_table(self._settings, self._home))
        return [judged(rule, table) for rule in rules]

    def create(self, fields: Mapping[str, Any]) -> "Judged":
        """See above."""
        from shortlist.app.catalog import catalog_stores
        from shortlist.catalog.rule import rule_of
        from shortlist.ranking.rules import compiled

        rule = rule_of(fields)
        compiled(rule)

        async def write() -> None:
            async with catalog_stores(self._settings, self._home) as stores:
                await stores.rules.create(rule)

        asyncio.run(write())
        return self._judged([rule])[0]

    def patch(self, rule_id: str, changes: Mapping[str, Any]) -> "Judged":
        """See above."""
        from shortlist.app.catalog import catalog_stores
        from shortlist.ranking.rules import compiled

        async def write() -> "Rule":
            async with catalog_stores(self._settings, self._home) as stores:
                return await stores.rules.patch(rule_id, changes, compiled)

        return self._judged([asyncio.run(write())])[0]

    def delete(self, rule_id: str) -> None:
        """See above."""
        from shortlist.app.catalog import catalog_stores

        async def write() -> None:
            async with catalog_stores(self._settings, self._home) as stores:
                await stores.rules.delete(rule_id)

        asyncio.run(write())

    def dry_run(self, draft: Mapping[str, Any] | None, sample: int) -> "DryRun":
        """See above."""
        from shortlist.app.beside import try_rule
        from shortlist.catalog.rule import rule_of

        rule = rule_of(draft) if draft is not None else None
        return asyncio.run(try_rule(self._settings, self._home, rule, sample))


def _desk(home: Home) -> Desk:
    from shortlist.ops import logs

    settings = load_settings(home.require())
    logs.set_up("warning")
    url = address_of(home)
    if url is not None:
        return AtServer(url, service_token(settings, home, "shortlist-rules"))
    return AtDatabase(settings, home)
