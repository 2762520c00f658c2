"""How structlog is set up: an event name and fields, one line each, to standard error.

Never a token, never a whole event: `redacted` is the last guard, not the first.
"""

import logging
import sys
from collections.abc import Mapping, MutableMapping
from typing import Any, TextIO

import structlog

LEVELS: Mapping[str, int] = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}
SECRETS = frozenset({"token", "authorization", "secret", "key", "password", "body", "event_body"})
MAX_VALUE = 500  # characters of one field: a line stays readable at 3 a.m.


def redacted(_: Any, __: str, fields: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Blank what must not be in a log and shorten what is long."""
    for name, value in fields.items():
        if name.lower() in SECRETS:
            fields[name] = "[redacted]"
        elif isinstance(value, str) and len(value) > MAX_VALUE and name != "exception":
            fields[name] = value[:MAX_VALUE] + "…"
        elif isinstance(value, bytes | bytearray | memoryview):
            fields[name] = f"[{len(value)} bytes]"
    return fields


def set_up(level: str = "info", stream: TextIO | None = None) -> None:
    """Configure structlog for this process: coloured lines on a terminal, JSON lines elsewhere."""
    stream = sys.stderr if stream is None else stream
    is_terminal = stream.isatty()
    # Plain tracebacks: the pretty ones print local variables, and a token would be among them.
    pretty = structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
    renderer: Any = pretty if is_terminal else structlog.processors.JSONRenderer()
    processors: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    if not is_terminal:
        processors.append(structlog.processors.format_exc_info)
    structlog.configure(
        processors=[*processors, redacted, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(LEVELS[level]),
        logger_factory=structlog.PrintLoggerFactory(stream),
        cache_logger_on_first_use=False,  # tests and commands set it up again
    )
