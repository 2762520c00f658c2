"""The event loop as other threads reach it."""

import asyncio
from collections.abc import Callable

import structlog

log = structlog.get_logger()


class OnLoop:
    """Calls on the event loop, from any thread; dropped where there is none, or none any more."""

    def __init__(self) -> None:
        self.loop: asyncio.AbstractEventLoop | None = None

    def here(self) -> None:
        """Called on the loop: this is the one."""
        if self.loop is None:
            self.loop = asyncio.get_running_loop()

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
