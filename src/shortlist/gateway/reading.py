"""How requests are read: query and body into typed records, or a refusal that names the bad field.

Not Litestar's own conversion: it is lax (`"007"` for a field that takes text or number becomes 7, the last of
two equal parameters wins, unknown ones pass), and ids must come through as they were written.
"""

from collections.abc import Awaitable, Callable
from typing import Annotated, Any, TypeVar, get_origin, get_type_hints
from urllib.parse import unquote_to_bytes

import msgspec
from litestar import Request
from litestar.di import NamedDependency
from litestar.params import SkipValidation
from msgspec import Meta, Struct

from shortlist.errors import ShortlistError
from shortlist.events.event import MAX_ID_BYTES
from shortlist.refusal import UNKNOWN, near, refusal

T = TypeVar("T")
Query = TypeVar("Query", bound=Struct)
Given = NamedDependency[SkipValidation[T]]  # read, and checked, by one of the readers below

AnyId = Annotated[str, Meta(min_length=1, max_length=MAX_ID_BYTES)] | int | float

_ANYTHING = msgspec.json.Decoder()

MAX_PARAMETERS = 1_000  # an exclude list is the longest there is


class BadRequest(ShortlistError):
    """The request cannot be understood; `field` is the path of what is wrong in it."""

    def __init__(self, message: str, field: str = "") -> None:
        super().__init__(f"{field}: {message}" if field else message)
        self.field = field


class BodyTooLarge(ShortlistError):
    """The body is over `server.max_body_bytes`."""


class NotJson(ShortlistError):
    """The body's Content-Type or Content-Encoding is none that is read here."""


def an_id(value: str | int | float, field: str) -> str:
    """The id as a string: a JSON number becomes its decimal string. Raises BadRequest.

    >>> an_id(42, "item_id")
    '42'
    """
    text = value if isinstance(value, str) else str(value)
    if not text:
        raise BadRequest("must not be empty", field)
    if any(mark < " " or "\x7f" <= mark <= "\x9f" for mark in text):
        raise BadRequest("holds control characters (line ends, NUL …); ids are printable text", field)
    try:
        size = len(text.encode())
    except UnicodeEncodeError:
        raise BadRequest("holds half a character (a lone surrogate); ids are valid Unicode", field) from None
    if size > MAX_ID_BYTES:
        raise BadRequest(f"has {size} bytes, an id has at most {MAX_ID_BYTES}", field)
    return text


def ids(values: list[str | int | float], field: str) -> list[str]:
    """Ids of a list, each checked. Raises BadRequest naming the index."""
    return [an_id(value, f"{field}[{index}]") for index, value in enumerate(values)]


def decoded(raw: bytes, field: str) -> str:
    """Percent-decoded text. Raises BadRequest for what is no UTF-8."""
    try:
        return unquote_to_bytes(raw).decode()
    except UnicodeDecodeError:
        raise BadRequest("is not UTF-8; percent-encode ids as UTF-8 bytes", field) from None


def path_id(encoded: str, field: str) -> str:
    """An id from a path segment, which the gateway leaves percent-encoded so that ids may hold a slash."""
    return an_id(decoded(encoded.encode(), field), field)


def parse_query(raw: bytes, kind: type[Query]) -> Query:
    """The query string as a record: each name known, once (lists: many times), valid. Raises BadRequest."""
    many = {name for name, hint in get_type_hints(kind).items() if get_origin(hint) is list}
    known = [field.name for field in msgspec.structs.fields(kind)]
    values: dict[str, Any] = {}
    pairs = [pair for pair in raw.split(b"&") if pair]
    if len(pairs) > MAX_PARAMETERS:
        raise BadRequest(f"{len(pairs)} query parameters, at most {MAX_PARAMETERS} are read")
    for pair in pairs:
        encoded_name, _, encoded = pair.partition(b"=")
        name = decoded(encoded_name.replace(b"+", b" "), "query")
        if name not in known:
            raise BadRequest(_unknown(name, known))
        value = decoded(encoded.replace(b"+", b" "), name)
        if name in many:
            values.setdefault(name, []).append(value)
        elif name in values:
            raise BadRequest("stands twice in the query", name)
        else:
            values[name] = value
    try:
        return msgspec.convert(values, kind, strict=False)
    except msgspec.ValidationError as error:
        raise _told(error, kind, values, "the query") from None


def _unknown(name: str, known: list[str]) -> str:
    return f"no query parameter {name[:50]!r}; {near(name, known)}"


def _told(error: msgspec.ValidationError, kind: Any, given: Any, whole: str) -> BadRequest:
    field, why = refusal(error, kind, given, whole=whole)
    return BadRequest(why, field)


def reads_query(kind: type[Query]) -> Callable[[Request[Any, Any, Any]], Query]:
    """A dependency that hands a route its query."""

    def read(request: Request[Any, Any, Any]) -> Query:
        return parse_query(request.scope["query_string"], kind)

    return read


def reads_body(kind: Any) -> Callable[[Request[Any, Any, Any]], Awaitable[Any]]:
    """A dependency that hands a route its JSON body."""
    decoder = msgspec.json.Decoder(kind)

    async def read(request: Request[Any, Any, Any]) -> Any:
        require_json(request.headers.get("content-type"))
        return parse_body(await request.body(), decoder)

    return read


def parse_body(body: bytes, decoder: msgspec.json.Decoder[T]) -> T:
    """A JSON body as a record. Raises BadRequest naming the path of what is wrong."""
    if not body:
        raise BadRequest("the body is empty; send JSON")
    try:
        return _read_json(body, decoder)
    except msgspec.ValidationError as error:
        raise _told(error, decoder.type, _plain(body), "the body") from None


def _read_json(body: bytes, decoder: msgspec.json.Decoder[T]) -> T:
    """Raises msgspec.ValidationError where it is JSON of another kind, BadRequest where it is none."""
    try:
        return decoder.decode(body)
    except msgspec.ValidationError:
        raise
    except msgspec.DecodeError as error:
        raise BadRequest(f"the body is no JSON: {error}") from None
    except UnicodeDecodeError:
        raise BadRequest("the body is not UTF-8") from None
    except RecursionError:
        raise BadRequest("the body is nested too deeply") from None


def _plain(body: bytes) -> Any:
    """What a body of another kind holds. Raises BadRequest where it is no JSON further on."""
    try:
        return _read_json(body, _ANYTHING)
    except msgspec.ValidationError:  # a number too large
        return UNKNOWN


def require_json(content_type: str | None, *others: str) -> None:
    """Raises NotJson unless the type is JSON (or missing, or one of `others`)."""
    kind = (content_type or "application/json").partition(";")[0].strip().lower()
    if kind != "application/json" and not kind.endswith("+json") and kind not in others:
        raise NotJson(f"Content-Type {kind[:100]!r} is not read here; send application/json")
