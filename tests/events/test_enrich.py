"""Device, country and session."""

import re
from pathlib import Path

import pytest

from shortlist.events.enrich import EnrichmentError, Sessions, device, no_country, open_country, unique_id


@pytest.mark.parametrize(
    ("user_agent", "expected"),
    [
        (
            "Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) AppleWebKit/605.1.15 Mobile/15E148",
            "mobile",
        ),
        (
            "Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36 Chrome/120 Mobile Safari/537.36",
            "mobile",
        ),
        ("Mozilla/5.0 (Linux; Android 14; SM-X710) AppleWebKit/537.36 Chrome/120 Safari/537.36", "tablet"),
        ("Mozilla/5.0 (iPad; CPU OS 17_0 like Mac OS X) AppleWebKit/605.1.15 Mobile/15E148", "tablet"),
        ("Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/120 Safari/537.36", "desktop"),
        (
            "Mozilla/5.0 (Macintosh; Intel Mac OS X 14_0) AppleWebKit/605.1.15 Version/17 Safari/605",
            "desktop",
        ),
        ("Mozilla/5.0 (X11; Linux x86_64; rv:120.0) Gecko/20100101 Firefox/120.0", "desktop"),
        ("Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)", "bot"),
        ("curl/8.5.0", None),
        ("", None),
    ],
)
def test_devices_are_told_by_the_user_agent(user_agent: str, expected: str | None) -> None:
    assert device(user_agent) == expected


def test_an_event_without_a_session_joins_the_users_running_one() -> None:
    sessions = Sessions(1_800)
    assert sessions.of("u", 1_000, "from-the-page") == "from-the-page"
    assert sessions.of("u", 2_000, None) == "from-the-page"
    assert sessions.of("v", 2_000, None) != "from-the-page"


def test_silence_begins_a_new_session_and_a_late_event_does_not() -> None:
    sessions = Sessions(1_800)
    first = sessions.of("u", 10_000_000, None)
    assert sessions.of("u", 11_800_000, None) == first
    second = sessions.of("u", 13_600_001, None)
    assert second != first
    assert sessions.of("u", 10_000_000, None) == second


def test_only_recent_users_are_remembered() -> None:
    sessions = Sessions(1_800, users=2)
    first = sessions.of("u1", 1, None)
    sessions.of("u2", 1, None)
    assert sessions.of("u1", 2, None) == first  # used again, so younger than u2
    sessions.of("u3", 2, None)
    assert sessions.of("u1", 3, None) == first
    assert len(sessions._current) == 2


def test_ids_are_unique_and_sort_by_time() -> None:
    made = [unique_id(now_ms) for now_ms in (1, 2, 3)] + [unique_id(3) for _ in range(1_000)]
    assert len(set(made)) == len(made)
    assert made[:3] == sorted(made[:3])
    assert all(re.fullmatch("[0-9a-f]{32}", one) for one in made)
    assert unique_id() > unique_id(1)


def test_without_a_database_there_is_no_country() -> None:
    assert open_country("") is no_country
    assert no_country("1.2.3.4") is None


def test_a_missing_database_is_named(tmp_path: Path) -> None:
    with pytest.raises(EnrichmentError, match=r"geoip_file.*nowhere\.mmdb"):
        open_country(str(tmp_path / "nowhere.mmdb"))


def test_countries_come_from_the_database(tmp_path: Path) -> None:
    pytest.importorskip("maxminddb", reason="the geoip extra is not installed")
    file = tmp_path / "countries.mmdb"
    file.write_bytes(_database({"0": "NL", "10": "DE"}))
    country = open_country(str(file))
    assert (country("1.2.3.4"), country("130.0.0.1"), country("200.1.1.1")) == ("NL", "DE", None)
    assert country("no address") is None
    file.write_bytes(b"junk")
    with pytest.raises(EnrichmentError, match="no MaxMind database"):
        open_country(str(file))


def _database(prefixes: dict[str, str]) -> bytes:
    """A MaxMind DB (format 2.0, 24-bit records, IPv4) of bit prefixes and their countries."""
    nodes: list[list[int | str | None]] = [[None, None]]
    for bits, code in prefixes.items():
        at = 0
        for bit in bits[:-1]:
            if nodes[at][int(bit)] is None:
                nodes.append([None, None])
                nodes[at][int(bit)] = len(nodes) - 1
            following = nodes[at][int(bit)]
            assert isinstance(following, int)
            at = following
        nodes[at][int(bits[-1])] = code
    data, offsets = b"", {}
    for code in prefixes.values():
        offsets[code] = len(data)
        data += _map({"country": _map({"iso_code": _text(code)})})
    tree = b""
    for node in nodes:
        for record in node:
            if record is None:
                value = len(nodes)
            else:
                value = record if isinstance(record, int) else len(nodes) + 16 + offsets[record]
            tree += value.to_bytes(3, "big")
    about = {
        "node_count": _number(6, len(nodes)),
        "record_size": _number(5, 24),
        "ip_version": _number(5, 4),
        "binary_format_major_version": _number(5, 2),
        "binary_format_minor_version": _number(5, 0),
        "build_epoch": _number(9, 1),
        "database_type": _text("Test"),
        "languages": b"\x00\x04",
        "description": _map({}),
    }
    return tree + bytes(16) + data + b"\xab\xcd\xefMaxMind.com" + _map(about)


def _text(value: str) -> bytes:
    return bytes([2 << 5 | len(value)]) + value.encode()


def _map(entries: dict[str, bytes]) -> bytes:
    return bytes([7 << 5 | len(entries)]) + b"".join(_text(key) + value for key, value in entries.items())


def _number(kind: int, value: int) -> bytes:
    size = 8 if kind == 9 else 4 if kind == 6 else 2
    head = bytes([kind << 5 | size]) if kind < 8 else bytes([size, kind - 7])
    return head + value.to_bytes(size, "big")
