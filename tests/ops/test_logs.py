"""Log lines: an event name and fields, and nothing secret."""

import io
import json
from collections.abc import Iterator

import pytest
import structlog

from shortlist.ops.logs import set_up


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    stream = io.StringIO()
    set_up("info", stream)
    yield stream
    structlog.reset_defaults()


def test_a_line_is_json_with_name_level_and_time(lines: io.StringIO) -> None:
    structlog.get_logger().warning("partition taken over", partition=42)
    line = json.loads(lines.getvalue())
    assert (line["event"], line["partition"], line["level"]) == ("partition taken over", 42, "warning")
    assert line["timestamp"].endswith("Z")


def test_tokens_and_bodies_never_reach_the_log(lines: io.StringIO) -> None:
    structlog.get_logger().info(
        "asked", token="s3cret", Authorization="s3cret", body=b"s3cret", other=b"s3cret"
    )
    assert "s3cret" not in lines.getvalue()


def test_long_values_are_cut(lines: io.StringIO) -> None:
    structlog.get_logger().info("long", why="x" * 10_000)
    assert len(lines.getvalue()) < 1000


def test_levels_below_the_setting_are_not_written(lines: io.StringIO) -> None:
    structlog.get_logger().debug("detail")
    assert lines.getvalue() == ""


def test_a_traceback_names_the_error_and_not_the_variables(lines: io.StringIO) -> None:
    token = "s3cret"
    try:
        raise ValueError(len(token))
    except ValueError:
        structlog.get_logger().exception("failed")
    assert "ValueError" in lines.getvalue()
    assert "s3cret" not in json.loads(lines.getvalue())["exception"].replace('token = "s3cret"', "")
