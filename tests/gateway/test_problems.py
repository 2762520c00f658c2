"""Every error that there is has its problem document."""

import ast
import json
from pathlib import Path

import pytest
from litestar.exceptions import MethodNotAllowedException, NotFoundException

import shortlist
from shortlist.errors import ShortlistError
from shortlist.events.log import LogUnavailable
from shortlist.gateway.limits import Limit, RateLimited
from shortlist.gateway.problems import HTTP_KINDS, KINDS, kind_of, tell

# Rooms whose errors end a command (or keep it from starting), and never reach a request.
COMMANDS = ("training", "importing", "demo", "cli", "models", "kernels")


def error_types() -> dict[str, Path]:
    """Every class under ShortlistError by name, with its file; read, not imported: some engines are heavy."""
    root = Path(shortlist.__file__).parent
    bases = {
        node.name: ({base.id for base in node.bases if isinstance(base, ast.Name)}, file.relative_to(root))
        for file in root.rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.ClassDef)
    }
    found = {"ShortlistError": Path("errors.py")}
    while more := {n: f for n, (over, f) in bases.items() if over & found.keys() and n not in found}:
        found |= more
    return found


def test_no_error_type_is_missing_from_the_table() -> None:
    ours = error_types()
    served = {name: file for name, file in ours.items() if file.parts[0] not in COMMANDS}
    missing = sorted(f"{file}: {name}" for name, file in served.items() if name not in KINDS)
    assert not missing, "give each a row in gateway/problems.py: " + ", ".join(missing)
    gone = KINDS.keys() - ours.keys()
    assert not gone, "rows of errors that are no more: " + ", ".join(sorted(gone))


def test_a_problem_says_what_it_is_and_under_which_request() -> None:
    told = tell(LogUnavailable("50000 records wait; send again"), "r-1")
    assert (told.status, told.headers[0]) == (503, (b"content-type", b"application/problem+json"))
    assert (b"retry-after", b"1") in told.headers
    assert json.loads(told.body) == {
        "type": "/problems/log-busy",
        "title": "Events cannot be taken right now",
        "status": 503,
        "detail": "50000 records wait; send again",
        "request_id": "r-1",
    }


@pytest.mark.parametrize("wait_s", [0.001, 0.6, 1.0, 59.2])
def test_retry_after_is_whole_seconds_and_never_too_short(wait_s: float) -> None:
    told = tell(RateLimited(Limit("recommendations", 100), wait_s), "r")
    said = int(dict(told.headers)[b"retry-after"])
    assert told.status == 429
    assert wait_s <= said < wait_s + 1.0


@pytest.mark.parametrize(
    "error", [ValueError("/etc/secret"), ShortlistError("/etc/secret"), KeyError("token")]
)
def test_what_is_ours_to_mend_is_not_explained_to_strangers(error: Exception) -> None:
    told = tell(error, "r-7")
    assert told.status == 500
    assert b"secret" not in told.body
    assert b"r-7" in told.body


def test_a_subclass_takes_the_row_of_its_ancestor() -> None:
    class LogVeryBusy(LogUnavailable):
        pass

    assert kind_of(LogVeryBusy).status == 503
    assert kind_of(ZeroDivisionError).status == 500


def test_the_frameworks_own_errors_become_problems_too() -> None:
    assert tell(NotFoundException(), "r").status == 404
    told = tell(MethodNotAllowedException(headers={"allow": "GET"}), "r")
    assert told.status == 405
    assert (b"allow", b"GET") in told.headers
    assert b"use GET" in told.body


def test_slugs_have_one_meaning() -> None:
    kinds = {(kind.slug, kind.status, kind.title) for kind in (*KINDS.values(), *HTTP_KINDS.values())}
    assert len(kinds) == len({slug for slug, _, _ in kinds})
