"""wrk, the load generator: a Python client cannot drive 25k requests/s."""

import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from msgspec import Struct

# Reported by the script itself: the text that wrk prints has units that change with the size.
DONE = """
done = function(summary, latency, requests)
  local e = summary.errors
  io.write(string.format(
    '\\nJSON {"requests":%d,"duration_us":%d,"p50_us":%d,"p99_us":%d,"p999_us":%d,"bad":%d}\\n',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99),
    latency:percentile(99.9), e.status + e.connect + e.read + e.write + e.timeout))
end
"""


class Load(Struct, frozen=True):
    """What one run measured. Times in microseconds."""

    requests: int
    duration_us: int
    p50_us: int
    p99_us: int
    p999_us: int
    bad: int

    @property
    def per_s(self) -> float:
        """Requests per second."""
        return self.requests / (self.duration_us / 1e6)


def require_wrk() -> None:
    """End the benchmark with a clear message where wrk is not installed."""
    if shutil.which("wrk") is None:
        print("skipped: wrk is not installed (Debian: apt-get install wrk)", file=sys.stderr)
        raise SystemExit(0)


def load(url: str, script: str, *, seconds: float, in_flight: int, cpu: int | None) -> Load:
    """Drive `url` with `in_flight` connections. script: Lua that sets `request`. cpu: pinned to this core."""
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as file:
        file.write(script + DONE)
        file.flush()
        pin = ["taskset", "-c", str(cpu)] if cpu is not None and shutil.which("taskset") else []
        command = ["wrk", "-t1", f"-c{in_flight}", f"-d{seconds:.0f}s", "-s", str(Path(file.name)), url]
        done = subprocess.run([*pin, *command], capture_output=True, text=True, check=True)
    line = next(line for line in done.stdout.splitlines() if line.startswith("JSON "))
    return Load(**json.loads(line.removeprefix("JSON ")))


def lua_list(texts: list[str]) -> str:
    """A Lua table of strings; JSON's quoting is Lua's for plain ASCII."""
    return "{" + ",".join(map(json.dumps, texts)) + "}"
