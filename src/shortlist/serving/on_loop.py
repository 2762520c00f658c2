"""The event loop as other threads reach it."""

import asyncio
from collections.abc import Callable
from typing import TypeVar

import structlog

log = structlog.get_logger()
T = TypeVar("T")


class OnLoop:
    """Calls on the event loop, from any thread; dropped where there is none, or none any more."""

    def __init__(self) -> None:
        self.loop: asyncio.AbstractEventLoop | None = None

    def here(self) -> asyncio.AbstractEventLoop:
        """Called on the loop: this is the one, until it is closed. Returns the caller's."""
        loop = asyncio.get_running_loop()
        if self.loop is None or self.loop.is_closed():
            self.loop = loop
        return loop

    def leave(self) -> None:
        """Nobody waits any more."""
        self.loop = None

    def call(self, work: Callable[[], None]) -> None:
        """Run `work` on the loop soon."""
        loop = self.loop
        if loop is None:
            return
        try:
            loop.call_soon_threadsafe(work)
        except RuntimeError:  # the loop was closed
            log.debug("event loop closed")


def give(future: "asyncio.Future[T]", result: T) -> None:
    """Tell whoever waits, unless they have left. On the loop."""
    if not future.done():
        future.set_result(result)
