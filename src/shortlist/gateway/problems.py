"""The one place that knows both errors and HTTP: each error type's problem document (RFC 9457)."""

import math
from collections.abc import Mapping
from typing import Any

import msgspec
from litestar.exceptions import HTTPException
from msgspec import Struct

from shortlist.errors import ShortlistError
from shortlist.gateway.limits import RateLimited

CONTENT_TYPE = b"application/problem+json"


class Kind(Struct, frozen=True):
    """What a kind of problem is called. `is_told`: whether the error's own words go to the client."""

    status: int
    slug: str
    title: str
    is_told: bool = True
    retry_after_s: int | None = None


class Problem(Struct, frozen=True, omit_defaults=True):
    """A problem document. `detail` says what to do; `request_id` finds the request in the log."""

    type: str
    title: str
    status: int
    detail: str
    request_id: str
    refused: list[dict[str, Any]] | None = None


INTERNAL = Kind(500, "internal", "Something failed here", is_told=False)
BAD_REQUEST = Kind(400, "bad-request", "The request cannot be understood")
TOKEN_REFUSED = Kind(401, "token-refused", "No valid token")
NOT_FOUND = Kind(404, "not-found", "There is no such thing")
UNAVAILABLE = Kind(503, "unavailable", "Not available right now", is_told=False, retry_after_s=1)

# By name, since the gateway may not import every room; a test holds the table to the errors that there are.
# Errors of commands and of opening a home never meet a request: should one, it is ours (500), words untold.
KINDS: Mapping[str, Kind] = {
    "AskInvalid": BAD_REQUEST,
    "BadRequest": BAD_REQUEST,
    "AnswersInvalid": BAD_REQUEST,
    "MergeInvalid": BAD_REQUEST,
    "ItemInvalid": BAD_REQUEST,
    "RuleInvalid": BAD_REQUEST,
    "ConditionInvalid": BAD_REQUEST,
    "AttributesInvalid": BAD_REQUEST,
    "BodyMalformed": BAD_REQUEST,
    "TooManyEvents": Kind(413, "too-many-events", "Too many events in one request"),
    "EventsRefused": Kind(400, "events-refused", "No event was accepted"),
    "TokenRefused": TOKEN_REFUSED,
    "SignatureWrong": TOKEN_REFUSED,
    "NotAllowed": Kind(403, "not-allowed", "The token does not allow this"),
    "NotFound": NOT_FOUND,
    "UserForgotten": Kind(410, "user-forgotten", "The user was forgotten"),
    "ItemUnknown": NOT_FOUND,
    "RuleUnknown": NOT_FOUND,
    "GuestTaken": Kind(409, "guest-taken", "The guest is another user"),
    "RuleExists": Kind(409, "rule-exists", "The rule is there already"),
    "TooManyRules": Kind(409, "too-many-rules", "There are as many rules as there may be"),
    "ItemExists": Kind(409, "item-exists", "The item is there already"),
    "BodyTooLarge": Kind(413, "body-too-large", "The body is too large"),
    "NotJson": Kind(415, "not-json", "The body is of a kind that is not read here"),
    "RateLimited": Kind(429, "rate-limited", "Too many requests"),
    "LogUnavailable": Kind(503, "log-busy", "Events cannot be taken right now", retry_after_s=1),
    "StoreUnavailable": UNAVAILABLE,
    "CatalogUnavailable": UNAVAILABLE,
    "NotReady": Kind(503, "not-ready", "Not ready to answer", retry_after_s=1),
    "ShortlistError": INTERNAL,
    "EventLogError": INTERNAL,
    "LogOwned": INTERNAL,
    "RecordCorrupt": INTERNAL,
    "OffsetGone": INTERNAL,
    "FeatureStoreError": INTERNAL,
    "PastGone": INTERNAL,  # a replay names it
    "InputGone": INTERNAL,  # likewise
    "CatalogGone": INTERNAL,  # likewise
    "OffsetMoved": INTERNAL,
    "FoldChanged": INTERNAL,
    "RebuildUnfinished": INTERNAL,
    "CatalogError": INTERNAL,
    "IndexCorrupt": INTERNAL,
    "EncoderError": INTERNAL,
    "BertMissing": INTERNAL,
    "SettingsError": INTERNAL,
    "OutputRefused": INTERNAL,
    "PortTaken": INTERNAL,
    "HomeMissing": INTERNAL,
    "HomeUnusable": INTERNAL,
    "DatabaseError": INTERNAL,
    "SyncFailed": UNAVAILABLE,
    "DatabaseMissing": INTERNAL,
    "DatabaseOwned": INTERNAL,
    "EnrichmentError": INTERNAL,
    "ScorerError": INTERNAL,
    "ScorerUnavailable": UNAVAILABLE,
}

HTTP_KINDS: Mapping[int, Kind] = {
    400: BAD_REQUEST,
    404: Kind(404, "no-route", "There is no such address"),
    405: Kind(405, "method-not-allowed", "This address does not know that method"),
}


class NotFound(ShortlistError):
    """Nothing is known under this id."""


class NotReady(ShortlistError):
    """The server has nothing to answer from yet."""


class EventsRefused(ShortlistError):
    """Not one event of the request was good."""

    def __init__(self, refused: list[dict[str, Any]]) -> None:
        super().__init__(f"none of the {len(refused)} events is valid; see `refused`")
        self.refused = refused


class Told(Struct, frozen=True):
    """An error as HTTP says it."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes


def tell(error: Exception, request_id: str) -> Told:
    """The problem document of any error. What is not ours to explain becomes a bare 500."""
    kind, detail = _kind_and_detail(error, request_id)
    headers = [(b"content-type", CONTENT_TYPE), (b"cache-control", b"no-store")]
    headers += _headers(error, kind)
    problem = Problem(
        type=f"/problems/{kind.slug}",
        title=kind.title,
        status=kind.status,
        detail=detail,
        request_id=request_id,
        refused=getattr(error, "refused", None),
    )
    return Told(status=kind.status, headers=headers, body=msgspec.json.encode(problem))


def kind_of(error: type[BaseException]) -> Kind:
    """The kind of an error type: its own row, or its nearest ancestor's."""
    for ancestor in error.__mro__:
        if ancestor.__name__ in KINDS and issubclass(ancestor, ShortlistError):
            return KINDS[ancestor.__name__]
    return INTERNAL


def _kind_and_detail(error: Exception, request_id: str) -> tuple[Kind, str]:
    if isinstance(error, HTTPException):
        kind = HTTP_KINDS.get(error.status_code) or (BAD_REQUEST if error.status_code < 500 else INTERNAL)
        if kind is not INTERNAL:
            return kind, _http_detail(error)
    else:
        kind = kind_of(type(error))
    if kind.is_told:
        return kind, str(error)
    if kind.status == 503:
        return kind, "a part of the server did not answer in time; try again"
    return kind, f"the cause is in the server's log under request_id {request_id}"


def _http_detail(error: HTTPException) -> str:
    if error.status_code == 404:
        return "see /docs for the addresses that there are"
    if error.status_code == 405:
        return f"use {(error.headers or {}).get('allow', 'another method')}; see /docs"
    return error.detail


def _headers(error: Exception, kind: Kind) -> list[tuple[bytes, bytes]]:
    headers = []
    if isinstance(error, RateLimited):
        # Rounded up: a client that waits exactly this long is admitted.
        headers.append((b"retry-after", str(max(1, math.ceil(error.retry_after_s))).encode()))
    elif kind.retry_after_s is not None:
        headers.append((b"retry-after", str(kind.retry_after_s).encode()))
    if kind.status == 401:
        headers.append((b"www-authenticate", b'Bearer realm="shortlist"'))
    if kind.status == 405 and isinstance(error, HTTPException) and error.headers:
        headers.append((b"allow", error.headers.get("allow", "").encode()))
    return headers
