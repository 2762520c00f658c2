"""Whether this process is alive and whether it can answer: for load balancers and people."""

from collections.abc import Callable, Mapping

from msgspec import Struct

Check = Callable[[], str | None]
"""None when the part is ready, else why not, in a few words."""


OK = "ok"


class Readiness(Struct, frozen=True):
    """What each part says: "ok" or what is wrong. is_whole: ready, and nothing is wrong."""

    is_ready: bool
    is_whole: bool
    parts: dict[str, str]


class Health:
    """Asks each part; says no from the moment that draining begins."""

    def __init__(self, checks: Mapping[str, Check], warnings: Mapping[str, Check] | None = None) -> None:
        """checks: what must be right for requests to be sent here. warnings: what somebody should mend while
        the server goes on answering; a part may have one of each."""
        self.checks = checks
        self.warnings = warnings or {}
        self.is_draining = False

    def readiness(self) -> Readiness:
        """What every part says now. A check that fails is a part that is not ready."""
        parts = {name: _said(check) for name, check in self.checks.items()}
        if self.is_draining:
            parts["server"] = "draining: it finishes what it has and takes nothing new"
        is_ready = all(said == OK for said in parts.values())
        for name, warning in self.warnings.items():
            if parts.get(name, OK) == OK:
                parts[name] = _said(warning)
        is_whole = all(said == OK for said in parts.values())
        return Readiness(is_ready=is_ready, is_whole=is_whole, parts=parts)


def _said(check: Check) -> str:
    try:
        return check() or OK
    except Exception as error:  # a broken check is an answer too: the page must not fail with it
        return f"{type(error).__name__}: {error}"
