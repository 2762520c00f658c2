"""What the server adds to an event: the country behind the address, the kind of device, the session."""

import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from functools import lru_cache
from os import urandom
from pathlib import Path

from shortlist.errors import ShortlistError

Country = Callable[[str], str | None]
"""ISO 3166 country of an IP address, None where it is not known."""

# Users whose running session is remembered: 100,000 × about 300 bytes = 30 MB.
SESSION_USERS = 100_000


class EnrichmentError(ShortlistError):
    """A source of enrichment cannot be opened."""


@lru_cache(maxsize=4_096)
def device(user_agent: str) -> str | None:
    """mobile, tablet, desktop or bot; None where the User-Agent does not say.

    >>> device("Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) AppleWebKit/605.1 Mobile/15E148")
    'mobile'
    """
    text = user_agent.lower()
    if any(word in text for word in ("bot", "crawl", "spider", "slurp", "headless")):
        return "bot"
    # Android tablets are those that do not call themselves mobile; iPads say so, or pass for a Mac.
    if "ipad" in text or "tablet" in text or ("android" in text and "mobile" not in text):
        return "tablet"
    if any(word in text for word in ("mobi", "iphone", "ipod", "android", "windows phone")):
        return "mobile"
    if any(word in text for word in ("windows", "macintosh", "x11", "linux", "cros")):
        return "desktop"
    return None


class Sessions:
    """Gives an event without a session id the one that its user is in.

    A backend's purchase so joins the session that the page has named. Only recent users are remembered, and
    a restart forgets them: the fold's own rule of silence does not depend on it.
    """

    def __init__(self, gap_s: float, *, users: int = SESSION_USERS) -> None:
        self._gap_ms = int(gap_s * 1000)
        self._users = users
        self._current: OrderedDict[str, tuple[str, int]] = OrderedDict()  # user → id, latest ts
        self._lock = threading.Lock()

    def of(self, user_id: str, ts: int, given: str | None) -> str:
        """The session of an event at `ts` (ms): the one given, the one going on, or a new one."""
        with self._lock:
            current, last_ts = self._current.get(user_id, ("", 0))
            if given:
                current = given
            elif not current or ts - last_ts > self._gap_ms:
                current = unique_id(ts)
                last_ts = 0
            self._current[user_id] = (current, max(ts, last_ts))
            self._current.move_to_end(user_id)
            if len(self._current) > self._users:
                self._current.popitem(last=False)
            return current


# Drawn many at once: each call of the system lets go of the interpreter, and the event loop, which needs two
# for every event, waited up to half a millisecond to get it back while a slate was computed.
DRAWN = 512
_random: deque[str] = deque()


def unique_id(now_ms: int | None = None) -> str:
    """A new id that sorts by time: 48 bits of milliseconds and 80 random ones, in hex, as UUIDv7 has it."""
    if now_ms is None:
        now_ms = time.time_ns() // 1_000_000
    try:
        tail = _random.popleft()
    except IndexError:
        drawn = urandom(10 * DRAWN).hex()
        _random.extend(drawn[at : at + 20] for at in range(20, len(drawn), 20))
        tail = drawn[:20]
    return f"{now_ms & 0xFFFFFFFFFFFF:012x}{tail}"


def no_country(ip: str) -> str | None:
    """Where no database is configured."""
    return None


def open_country(path: str) -> Country:
    """Look countries up in a MaxMind database (GeoLite2-Country and the like); empty: nowhere.

    Raises EnrichmentError when the file or the reader is missing."""
    if not path:
        return no_country
    if not Path(path).is_file():
        raise EnrichmentError(f"telemetry.geoip_file: no file {path}; name a .mmdb file, or leave it empty")
    try:
        import maxminddb  # type: ignore[import-not-found, unused-ignore]  # an extra
    except ImportError:
        raise EnrichmentError(
            f"telemetry.geoip_file is {path}, which needs a reader: pip install 'shortlist[geoip]'"
        ) from None
    try:
        reader = maxminddb.open_database(path)
    except (maxminddb.InvalidDatabaseError, OSError) as error:
        raise EnrichmentError(f"telemetry.geoip_file: {path} is no MaxMind database: {error}") from error

    @lru_cache(maxsize=16_384)
    def country(ip: str) -> str | None:
        try:
            found = reader.get(ip)
        except ValueError:  # no IP address: a Unix socket, a test client
            return None
        if not isinstance(found, dict):
            return None
        entry = found.get("country") or found.get("registered_country")
        code = entry.get("iso_code") if isinstance(entry, dict) else None
        return code if isinstance(code, str) else None

    return country
