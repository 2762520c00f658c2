"""The threads that serving has beside the event loop, and how the loop awaits what they compute."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TypeVar

from shortlist.ranking.chain import Steps
from shortlist.serving.gather import Gatherer
from shortlist.serving.on_loop import OnLoop, give
from shortlist.serving.workers import Workers
from shortlist.settings import Settings

T = TypeVar("T")


class Threads:
    """miss: compute slates, with `gather` for their sources. quick: what a request waits for and is done in a
    moment. aside: what nobody's slate waits for, one after the other."""

    def __init__(self, settings: Settings, loop: OnLoop) -> None:
        self.miss = Workers("miss", settings.serving.miss_threads)
        self.gather = Gatherer(
            settings.candidates.deadline_ms / 1000.0,
            in_flight=2 * (settings.serving.miss_threads + 1),  # its threads, and as many in their place
            on_stuck=self.miss.replace,
        )
        self.quick = Workers("quick", 1)
        self.aside = Workers("aside", 1)
        self._loop = loop

    async def result(self, workers: Workers, work: Callable[[], T], timeout_s: float | None = None) -> T:
        """What `work` returns on a thread of `workers`. Raises what it raises, and TimeoutError."""
        loop = self._loop.here()
        future: asyncio.Future[T] = loop.create_future()

        def run() -> None:
            with _told(loop, future) as tell:
                tell(work())

        workers.submit(run)
        return await asyncio.wait_for(future, timeout_s)

    async def carried(self, steps: Steps[T], timeout_s: float | None = None) -> T:
        """What `steps` return, whichever threads carry them. Raises what they raise, and TimeoutError."""
        loop = self._loop.here()
        future: asyncio.Future[T] = loop.create_future()

        def to_end() -> Steps[None]:
            with _told(loop, future) as tell:
                tell((yield from steps))

        self.miss.submit(partial(self.gather.carry, to_end()))
        return await asyncio.wait_for(future, timeout_s)

    def close(self) -> None:
        """End them; what runs is finished, what waits is dropped."""
        self.miss.close()
        self.quick.close()
        self.aside.close()
        self.gather.close()


@contextmanager
def _told(loop: asyncio.AbstractEventLoop, future: "asyncio.Future[T]") -> Iterator[Callable[[T], None]]:
    """Whoever awaits the future is told what comes, or what is raised, within; on any thread."""

    def tell(result: T) -> None:
        loop.call_soon_threadsafe(give, future, result)

    try:
        yield tell
    except Exception as error:  # it is raised where the work was asked for
        loop.call_soon_threadsafe(_fail, future, error)


def _fail(future: "asyncio.Future[T]", error: Exception) -> None:
    if not future.done():
        future.set_exception(error)
