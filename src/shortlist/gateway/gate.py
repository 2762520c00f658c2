"""Who may pass: token first, then the rate limit (flow 1, the gateway's two checks).

As guards, so that both come before anything of the request's body is read.
"""

from time import perf_counter
from typing import Any

from litestar import Request
from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler

from shortlist.gateway.auth import Authority, Caller
from shortlist.gateway.limits import Limit, RateLimited, RateLimiter
from shortlist.ops import telemetry
from shortlist.settings import LimitSettings

Connection = ASGIConnection[Any, Any, Any, Any]


class Gate:
    """Token and limits; the methods named `for_…` are Litestar guards. Raise TokenRefused and as said."""

    def __init__(self, authority: Authority, limiter: RateLimiter, settings: LimitSettings) -> None:
        self.authority, self.limiter = authority, limiter
        self.are_services_exempt = settings.service_exempt
        self.slates = Limit("recommendations", settings.recommendations_per_min)
        self.events = Limit("events", settings.events_per_min)

    async def for_anyone(self, connection: Connection, _: BaseRouteHandler) -> None:
        """Any token that holds."""
        self._admit(connection)

    async def for_services(self, connection: Connection, _: BaseRouteHandler) -> None:
        """Tokens with scope admin or service. Raises NotAllowed."""
        self._admit(connection).require_service()

    async def for_slates(self, connection: Connection, _: BaseRouteHandler) -> None:
        """Any token, counted as a request for items. Raises RateLimited."""
        await self._admit_counted(connection, self.slates)

    async def for_events(self, connection: Connection, _: BaseRouteHandler) -> None:
        """Any token, counted as a request of events. Raises RateLimited."""
        await self._admit_counted(connection, self.events)

    def _admit(self, connection: Connection) -> Caller:
        headers = connection.scope["headers"]
        authorization = next((value for name, value in headers if name == b"authorization"), None)
        caller = connection.scope["state"]["caller"] = self.authority.caller(authorization)
        return caller

    async def _admit_counted(self, connection: Connection, limit: Limit) -> None:
        caller = self._admit(connection)
        if caller.is_service and self.are_services_exempt:
            return
        wait_s = await self.limiter.take(limit, caller.subject, perf_counter())
        if wait_s > 0.0:
            telemetry.LIMITED.labels(limit.name).inc()
            raise RateLimited(limit, wait_s)


def caller_of(request: Request[Any, Any, Any]) -> Caller:
    """Whom the gate let in."""
    caller: Caller = request.scope["state"]["caller"]
    return caller
