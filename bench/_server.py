"""A real `shortlist serve` for benchmarks and drills: a process of its own on a shop made once."""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from shortlist.app.models import load_serving
from shortlist.errors import ShortlistError
from shortlist.home import Home

ROOT = Path(__file__).parents[1]
SHOP = ROOT / ".bench" / "shop"  # made by the first benchmark that needs it, kept for the next


def shortlist(*args: str, home: Path, **environ: str) -> str:
    """Run a command and return what it printed; its failure is ours."""
    done = subprocess.run(
        [sys.executable, "-m", "shortlist", *args, "--home", str(home)],
        check=True,
        capture_output=True,
        text=True,
        env=os.environ | environ,
    )
    return done.stdout.strip()


def trained_shop() -> Path:
    """The home of the synthetic shop, imported and trained."""
    try:
        load_serving(Home(SHOP))
    except ShortlistError:  # none yet, or one of other code
        shutil.rmtree(SHOP, ignore_errors=True)
        print("making and training the shop (once)", file=sys.stderr)
        shortlist("demo", "--no-serve", home=SHOP)
    return SHOP


def copy_of(home: Path, to: Path) -> Path:
    """A home of its own for a run that writes."""
    shutil.copytree(home, to, ignore=shutil.ignore_patterns("server.json"))
    return to


def free_port() -> int:
    """A port of loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Server:
    """A running `shortlist serve`."""

    def __init__(
        self, home: Path, *, cpus: set[int] | None = None, environ: dict[str, str] | None = None
    ) -> None:
        self.home, self.port = home, free_port()
        pin = ["taskset", "-c", ",".join(map(str, sorted(cpus)))] if cpus and shutil.which("taskset") else []
        self._command = [*pin, sys.executable, "-m", "shortlist", "serve", "--home", str(home)]
        self._command += ["--port", str(self.port)]
        self._environ = os.environ | (environ or {})
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, timeout_s: float = 60.0) -> float:
        """Start and wait until it is ready; seconds that took."""
        began = time.perf_counter()
        # A file: a pipe that nobody reads would stop the server.
        self._said = tempfile.TemporaryFile()  # noqa: SIM115  # open as long as the process runs
        self.process = subprocess.Popen(
            self._command, env=self._environ, stdout=subprocess.DEVNULL, stderr=self._said
        )
        while time.perf_counter() - began < timeout_s:
            if self.process.poll() is not None:
                self._said.seek(0)
                raise RuntimeError(f"serve ended: {self._said.read().decode()[-2000:]}")
            if self.ask("/health/ready")[0] == 200:
                return time.perf_counter() - began
            time.sleep(0.02)
        raise RuntimeError(f"serve was not ready within {timeout_s:.0f} s")

    def ask(self, path: str, token: str = "") -> tuple[int, bytes]:
        """One GET on a connection of its own; status 0 when nobody listens."""
        import http.client

        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            connection.request("GET", path, headers={"Authorization": f"Bearer {token}"} if token else {})
            answer = connection.getresponse()
            return answer.status, answer.read()
        except OSError:
            return 0, b""
        finally:
            connection.close()

    def kill(self) -> None:
        """SIGKILL, as a crash would."""
        self.stop(signal.SIGKILL)

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        """End the process and wait for it."""
        if self.process is not None:
            self.process.send_signal(how)
            self.process.wait(timeout=30)
            self.process = None
            self._said.close()


@contextlib.contextmanager
def serving(home: Path, **options: object) -> Iterator[Server]:
    """A server on `home` for the length of a block."""
    server = Server(home, **options)  # type: ignore[arg-type]
    try:
        server.start()
        yield server
    finally:
        server.stop()


def token(home: Path, user_id: str, *scopes: str) -> str:
    """A development token."""
    return shortlist("token", user_id, *(f"--{scope}" for scope in scopes), home=home).split()[-1]


def report(**figures: object) -> None:
    """The last line of a benchmark."""
    print(json.dumps(figures))
