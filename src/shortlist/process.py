"""The serving process: one event loop, its threads' manners, who owns the home, and a clean end."""

import os

# One thread for every kernel: a 100k × 100 product takes 1.4 ms on one thread and 8 ms on all of them, since
# requests already run side by side. Read by the libraries when they load, so before anything else here.
for _library in ("OMP", "OPENBLAS", "MKL", "NUMEXPR"):
    os.environ.setdefault(f"{_library}_NUM_THREADS", "1")

import asyncio  # noqa: E402
import ctypes  # noqa: E402
import gc  # noqa: E402
import signal  # noqa: E402
import socket  # noqa: E402
import sys  # noqa: E402
from collections.abc import Callable, Iterator, Sequence  # noqa: E402
from contextlib import contextmanager, suppress  # noqa: E402
from pathlib import Path  # noqa: E402
from typing import TextIO  # noqa: E402

import msgspec  # noqa: E402
import structlog  # noqa: E402

from shortlist.gateway.server import bound, listening  # noqa: E402
from shortlist.home import Home, HomeUnusable  # noqa: E402
from shortlist.models import pointer  # noqa: E402
from shortlist.ops import logs  # noqa: E402
from shortlist.settings import Settings  # noqa: E402

log = structlog.get_logger()

# How long a thread keeps the interpreter while another wants it. What computes slates lets go of it for
# FAISS, BLAS and ONNX Runtime anyway; being made to costs both sides a wake-up. In the mixed load at 0.2,
# 0.5, 1, 2 and 5 ms (the default) the hit's p99 was 3.2, 3.3, 3.0, 2.9 and 3.1 ms, the miss's 11.7, 12.8,
# 10.2, 9.7 and 11.2.
SWITCH_S = 0.002


# What is kept of a user has no cycles, and full collections over all of it held up everything for 30 ms and
# more, one every second and a half under load. Young cycles are still found by the two small ones.
COLLECT_AFTER = (2_000, 20, 1_000)

# glibc gives arrays above 128 kB back to the system and asks anew for each: at 100k items the page faults of
# a miss took 0.5 of its 6 ms.
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # of malloc.h
KEPT_BYTES, LARGEST_BYTES = 256 << 20, 32 << 20  # kept when free; in one piece (glibc takes no more)


Say = Callable[[Sequence[str]], None]


def serve(settings: Settings, home: Home, say: Say, log_file: Path | None = None) -> int | None:
    """Serve until SIGTERM or SIGINT; which of them it was, None where the listener failed.

    say: told, in lines, the address and what to do next once requests are answered. log_file: where the log
    goes on; None: stderr.
    Raises SettingsError, LogOwned, PortTaken and whatever else keeps a part from opening."""
    # The address first: that it is taken is said before the loading, not after seconds of it.
    with bound(settings.server.host, settings.server.port) as listener, _log_to(home, log_file) as stream:
        logs.set_up(settings.telemetry.log_level, stream)
        return _run(settings, home, listener, say, log_file)


@contextmanager
def _log_to(home: Home, file: Path | None) -> Iterator[TextIO | None]:
    if file is None:
        yield None
        return
    home.make()
    try:
        stream = file.open("a", encoding="utf-8", buffering=1)
    except OSError as error:
        raise HomeUnusable(f"cannot write the log to {file}: {error.strerror}") from None
    with stream:
        yield stream


def _run(
    settings: Settings, home: Home, listener: socket.socket, say: Say, log_file: Path | None
) -> int | None:
    tune_interpreter()
    with asyncio.Runner(loop_factory=_new_loop) as runner:
        return runner.run(_serve(settings, home, listener, say, log_file))


def tune_interpreter() -> None:
    """What a process that computes slates sets for all its threads."""
    sys.setswitchinterval(SWITCH_S)
    gc.set_threshold(*COLLECT_AFTER)
    with suppress(AttributeError, OSError, TypeError):  # another C library than glibc
        set_option = ctypes.CDLL(None).mallopt
        set_option(M_TRIM_THRESHOLD, KEPT_BYTES)
        set_option(M_MMAP_THRESHOLD, LARGEST_BYTES)


def _new_loop() -> asyncio.AbstractEventLoop:
    if sys.platform == "win32":
        return asyncio.new_event_loop()
    import uvloop

    return uvloop.new_event_loop()


async def _serve(
    settings: Settings, home: Home, listener: socket.socket, say: Say, log_file: Path | None
) -> int | None:
    ended = asyncio.Event()
    came: list[int] = []

    def end(number: int) -> None:
        came.append(number)
        ended.set()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, end, number)
    server = settings.server
    from shortlist.app.serve import running  # loads everything: the address and a way to end come first

    async with (
        running(settings, home) as gateway,
        listening(gateway, listener, drain_s=server.drain_s, on_failure=ended.set) as address,
    ):
        with _known(home, address):
            log.info("serving", address=address, home=str(home.path), mode=server.mode)
            say(greeting(address, home, log_file))  # last, so that no line of the log follows it
            await ended.wait()
            log.info("draining", at_most_s=server.drain_s)
    return came[0] if came else None


def greeting(address: str, home: Home, log_file: Path | None) -> list[str]:
    """What a person sees once requests are answered; a home that cannot recommend yet is told what to do."""
    lines = [f"shortlist serves at {address} (Ctrl-C ends)"]
    if log_file is not None:
        lines.append(f"its log: {log_file}")
    if not (home.models / pointer.NAME).exists():
        lines.append("nothing to recommend yet: in another terminal, `shortlist import PATH`, then")
        lines.append("`shortlist train`; this server takes up both (`shortlist doctor` says what is missing)")
    return lines


@contextmanager
def _known(home: Home, address: str) -> Iterator[None]:
    """Tell other commands who owns the home, while it does."""
    home.server.write_bytes(msgspec.json.encode({"pid": os.getpid(), "url": address}))
    try:
        yield
    finally:
        home.server.unlink(missing_ok=True)
