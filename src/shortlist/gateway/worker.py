"""Granian's worker, with one difference: what is at hand is answered on the thread that brings the request.

Granian reads requests on one thread and hands each to Python on another, which asks the event loop to run a
coroutine. For a hit the rest of that way (a task, a wake-up of the loop, its two rounds) took 16 of 46 µs of
processor time. The rest of this file is Granian 2.8's own way, `granian.server.embed`.
"""

import asyncio
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, Protocol

import structlog
from granian._granian import CallbackScheduler, RSGIWorker
from granian._granian import RSGIHTTPProtocol as HTTPProtocol
from granian.rsgi import Scope
from granian.server.embed import AsyncWorker

from shortlist.ops import telemetry

log = structlog.get_logger()

Rest = Callable[[], Coroutine[Any, Any, None]]


class AtOnce(Protocol):
    """An application that answers some requests without the event loop."""

    def at_once(self, scope: Scope, proto: HTTPProtocol) -> Rest | None:
        """Answer on the calling thread, one request at a time; else what is left to do on the event loop."""


class _Scheduler(CallbackScheduler):
    """What Granian calls with each request, on its thread for Python; nobody is above it to raise to."""

    def __init__(self, loop: asyncio.AbstractEventLoop, app: AtOnce, *_: Any) -> None:
        super().__init__()
        at_once, soon, context = app.at_once, loop.call_soon_threadsafe, self._ctx

        def schedule(watcher: Any) -> None:
            try:
                rest = at_once(watcher.scope, watcher.proto)
                if rest is not None:
                    soon(begin, rest, watcher, context=context)
            except BaseException as error:
                telemetry.FAILURES.labels("gateway").inc()
                log.exception("request failed")
                watcher.err(error)  # 500 to the client

        def begin(rest: Rest, watcher: Any) -> None:
            watcher.taskref(loop.create_task(_finish(rest, watcher)))

        self._schedule_fn = schedule


async def _finish(rest: Rest, watcher: Any) -> None:
    try:
        await rest()
    except BaseException as error:
        watcher.err(error)
    else:
        watcher.done()


@AsyncWorker.wrap_target  # type: ignore[untyped-decorator]  # granian has no annotation there
async def at_once_worker(
    number: int,
    stop: Any,
    app: AtOnce,
    sockets: tuple[Any, Any],
    loop: asyncio.AbstractEventLoop,
    threads: int,
    blocking_threads: int,
    py_threads: int,
    py_threads_idle_s: int,
    backpressure: int,
    _task_impl: Any,
    http_mode: str,
    http1: Any,
    http2: Any,
    *_rest: Any,
) -> None:
    """Serve `app` until `stop`. For `granian.server.embed.Server.serve`, which gives the arguments."""
    ended = loop.create_future()
    stop.add_cb(partial(loop.call_soon_threadsafe, ended.set_result, None))
    made: Any = RSGIWorker  # its stub is of an earlier version
    worker = made(
        number,
        sockets,
        None,
        threads,
        blocking_threads,
        py_threads,
        py_threads_idle_s,
        backpressure,
        http_mode,
        http1,
        http2,
    )
    worker.serve_async(_Scheduler(loop, app, None, None, None), loop, stop)
    await ended
