"""Whether this process is alive and whether it can answer: for load balancers and people."""

from collections.abc import Callable, Mapping

from msgspec import Struct

Check = Callable[[], str | None]
"""None when the part is ready, else why not, in a few words."""


class Readiness(Struct, frozen=True):
    """What each part says: "ok" or why it is not ready."""

    is_ready: bool
    parts: dict[str, str]


class Health:
    """Asks each part; says no from the moment that draining begins."""

    def __init__(self, checks: Mapping[str, Check]) -> None:
        self.checks = checks
        self.is_draining = False

    def readiness(self) -> Readiness:
        """What every part says now. A check that fails is a part that is not ready."""
        parts = {name: _said(check) for name, check in self.checks.items()}
        if self.is_draining:
            parts["server"] = "draining: it finishes what it has and takes nothing new"
        return Readiness(is_ready=all(said == "ok" for said in parts.values()), parts=parts)


def _said(check: Check) -> str:
    try:
        return check() or "ok"
    except Exception as error:  # a broken check is an answer too: the page must not fail with it
        return f"{type(error).__name__}: {error}"
