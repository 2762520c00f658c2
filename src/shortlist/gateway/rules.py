"""The operator's rules over HTTP: for the shop's own services and people."""

import secrets
from typing import Annotated, Any

import msgspec
from litestar import Request, Response, delete, get, patch, post
from litestar.params import FromPath
from litestar.types import ControllerRouterHandler
from msgspec import Meta, Struct

from shortlist.catalog.rule import Judged, Rule, RuleId
from shortlist.gateway.gate import Gate
from shortlist.gateway.reading import Given, path_id
from shortlist.gateway.routing import says
from shortlist.gateway.shop import Shop
from shortlist.serving.dry_run import MOST, SAMPLE, DryRun
from shortlist.serving.ruling import Listed


class NewRule(Rule, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A rule as it is sent: without an id it gets one."""

    id: RuleId | None = None  # type: ignore[assignment]  # a rule has one, once read


class Rules(Struct):
    """Every rule, by id."""

    rules: list[Listed]


class DryRunAsked(Struct, frozen=True, forbid_unknown_fields=True):
    """What to try out. rule: instead of the one with its id, if there is one; none: what today's rules do."""

    rule: NewRule | None = None
    sample: Annotated[int, Meta(ge=1, le=MOST)] = SAMPLE


def rule_routes(shop: Shop, gate: Gate) -> list[ControllerRouterHandler]:
    """The routes, over one shop."""
    ruling = shop.rules

    @get("/rules", **says(guard=gate.for_services, answer=Rules, errors=(403,)))
    async def list_rules() -> Rules:
        """Every rule, whether it holds now, and how many items it is about."""
        return Rules(rules=list(await ruling.listed()))

    @post(
        "/rules",
        status_code=201,
        **says(guard=gate.for_services, body=NewRule, answer=Judged, errors=(403, 409)),
    )
    async def post_rule(request: Request[Any, Any, Any], given: Given[NewRule]) -> Response[Judged]:
        """Add a rule. It holds at once: hide and filter in every slate, boost and bury in the next order.

        It may name what no item has yet; `warnings` of the answer says so."""
        return Response(await ruling.create(_rule(given)), status_code=201)

    @patch(
        "/rules/{rule_id:str}",
        **says(guard=gate.for_services, body=dict[str, Any], answer=Judged, errors=(403, 404)),
    )
    async def patch_rule(
        request: Request[Any, Any, Any], rule_id: FromPath[str], given: Given[dict[str, Any]]
    ) -> Judged:
        """Change some fields of a rule; null takes an optional one away."""
        return await ruling.patch(path_id(rule_id, "rule_id"), given)

    @delete("/rules/{rule_id:str}", status_code=204, **says(guard=gate.for_services, errors=(403, 404)))
    async def delete_rule(request: Request[Any, Any, Any], rule_id: FromPath[str]) -> Response[None]:
        """Take a rule away."""
        await ruling.delete(path_id(rule_id, "rule_id"))
        return Response(None, status_code=204)

    @post(
        "/rules/dry-run",
        status_code=200,
        **says(guard=gate.for_services, body=DryRunAsked, answer=DryRun, errors=(403,)),
    )
    async def try_rule(request: Request[Any, Any, Any], given: Given[DryRunAsked]) -> DryRun:
        """What a rule would have done to the last slates; nothing that is served changes.

        Its window counts as open. Slates are cut again from the pools of the time: what a boost would bring
        from beyond a user's 100 best is not seen."""
        return await ruling.dry_run(_rule(given.rule) if given.rule is not None else None, given.sample)

    return [list_rules, post_rule, patch_rule, delete_rule, try_rule]


def _rule(new: NewRule) -> Rule:
    fields = {name: getattr(new, name) for name in Rule.__struct_fields__}
    fields["id"] = new.id if new.id is not None else f"rule-{secrets.token_hex(4)}"
    return msgspec.convert(fields, Rule)
