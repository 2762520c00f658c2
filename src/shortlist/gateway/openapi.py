"""The API reference, made from the routes' own types: what is read is what is documented."""

from collections.abc import Iterable
from typing import Any

import msgspec
from litestar import Litestar
from litestar.handlers import HTTPRouteHandler
from litestar.routes import HTTPRoute
from msgspec import UNSET

from shortlist import __version__
from shortlist.gateway.problems import HTTP_KINDS, KINDS, Kind, Problem

REFERENCE = "#/components/schemas/{name}"
ABOUT = (
    "Real-time recommendations. Send `Authorization: Bearer <token>`; a user's token reads and changes that "
    "user's own data, scopes `service` and `admin` anybody's. Errors are problem documents (RFC 9457)."
)
TAGS = {
    "recommendations": "Slates", "similar": "Slates", "rank": "Slates", "explanations": "Slates",
    "exploration": "Catalog",
    "events": "Events", "items": "Catalog", "categories": "Catalog", "images": "Catalog",
    "users": "Users", "rules": "Rules",
    "health": "Operations", "metrics": "Operations", "problems": "Operations",
}  # fmt: skip


def document(app: Litestar) -> dict[str, Any]:
    """The OpenAPI 3.1 document of every route that says what it reads and answers."""
    found = [(route, handler) for route in app.routes if isinstance(route, HTTPRoute)
             for handler in _documented(route.route_handlers)]  # fmt: skip
    kinds = list({id(k): k for _, handler in found for k in _types(handler)}.values())
    schemas, components = msgspec.json.schema_components([*kinds, Problem], ref_template=REFERENCE)
    by_type = {id(kind): schema for kind, schema in zip(kinds, schemas, strict=False)}
    paths: dict[str, dict[str, Any]] = {}
    for route, handler in found:
        for method in sorted(handler.http_methods - {"OPTIONS"}):
            operation = _operation(route, handler, by_type, components)
            paths.setdefault(_path(route), {})[method.lower()] = operation
    return {
        "openapi": "3.1.0",
        "info": {"title": "shortlist", "version": __version__, "description": ABOUT},
        "paths": dict(sorted(paths.items())),
        "components": {
            "schemas": dict(sorted(components.items())),
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}},
        },
    }


def _documented(handlers: Iterable[HTTPRouteHandler]) -> list[HTTPRouteHandler]:
    return [h for h in handlers if "answer" in h.opt and not h.opt.get("is_page")]


def _types(handler: HTTPRouteHandler) -> list[Any]:
    opt = handler.opt
    given = (opt["query"], _body(opt), opt["answer"])
    return [kind for kind in given if kind is not None and kind is not UNSET]


def _body(opt: dict[str, Any]) -> Any:
    return opt.get("documented_body", opt["body"])


def _path(route: HTTPRoute) -> str:
    return route.path_format.replace("/images/{name}", "/images/{name}.svg")


def _operation(
    route: HTTPRoute, handler: HTTPRouteHandler, by_type: dict[int, Any], components: dict[str, Any]
) -> dict[str, Any]:
    opt, text = handler.opt, handler.fn.__doc__ or ""
    summary, _, description = text.partition("\n\n")
    operation: dict[str, Any] = {
        "operationId": handler.fn.__name__,
        "summary": summary.strip().rstrip("."),
        "description": " ".join(description.split()),
        "tags": [TAGS.get(route.path_format.split("/")[1], "Development")],
        "parameters": [_path_parameter(name) for name in route.path_parameters]
        + _query_parameters(opt["query"], by_type, components),
        "responses": _responses(handler, by_type),
    }
    if not opt.get("is_open"):
        operation["security"] = [{"token": []}]
    if _body(opt) is not UNSET:
        content = {"application/json": {"schema": by_type[id(_body(opt))]}}
        operation["requestBody"] = {"required": True, "content": content}
    return {name: value for name, value in operation.items() if value not in ([], "")}


def _path_parameter(name: str) -> dict[str, Any]:
    said = "Percent-encoded, a slash too (%2F)."
    return {"name": name, "in": "path", "required": True, "description": said, "schema": {"type": "string"}}


def _query_parameters(kind: Any, by_type: dict[int, Any], components: dict[str, Any]) -> list[dict[str, Any]]:
    if kind is None:
        return []
    schema = components[by_type[id(kind)]["$ref"].rpartition("/")[2]]
    required = schema.get("required", [])
    return [
        {
            "name": name,
            "in": "query",
            "required": name in required,
            "description": _said(field),
            "schema": {key: value for key, value in field.items() if key != "description"},
        }
        for name, field in schema["properties"].items()
    ]


def _said(field: dict[str, Any]) -> str:
    texts = [part.get("description", "") for part in (field, *field.get("anyOf", ()))]
    return next(filter(None, texts), "")


def _responses(handler: HTTPRouteHandler, by_type: dict[int, Any]) -> dict[str, Any]:
    opt = handler.opt
    answer: dict[str, Any] = {"description": "OK"}
    if opt["answer"] is not None:
        answer["content"] = {"application/json": {"schema": by_type[id(opt["answer"])]}}
    elif "kind" in opt:
        answer["content"] = {opt["kind"]: {"schema": {"type": "string"}}}
    statuses = {400, *opt.get("errors", ())} | (set() if opt.get("is_open") else {401})
    return {str(handler.status_code): answer} | {str(s): _problem(s) for s in sorted(statuses)}


def _problem(status: int) -> dict[str, Any]:
    kinds: list[Kind] = [*KINDS.values(), *HTTP_KINDS.values()]
    titles = sorted({kind.title for kind in kinds if kind.status == status})
    content = {"application/problem+json": {"schema": {"$ref": REFERENCE.format(name="Problem")}}}
    said: dict[str, Any] = {"description": " / ".join(titles), "content": content}
    if status in (429, 503):
        seconds = {"schema": {"type": "integer"}, "description": "Seconds after which to try again."}
        said["headers"] = {"Retry-After": seconds}
    return said
