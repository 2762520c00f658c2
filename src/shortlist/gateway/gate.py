"""Who may pass: token first, then the rate limit (flow 1, the gateway's two checks)."""

from time import perf_counter
from typing import Any

from litestar import Request

from shortlist.gateway.auth import Authority, Caller
from shortlist.gateway.limits import Limit, RateLimited, RateLimiter
from shortlist.ops import telemetry
from shortlist.settings import LimitSettings


class Gate:
    """Token and limits, the same for the hit path and every other route."""

    def __init__(self, authority: Authority, limiter: RateLimiter, settings: LimitSettings) -> None:
        self.authority, self.limiter = authority, limiter
        self.are_services_exempt = settings.service_exempt
        self.slates = Limit("recommendations", settings.recommendations_per_min)
        self.events = Limit("events", settings.events_per_min)

    def caller(self, request: Request[Any, Any, Any]) -> Caller:
        """Who asks. Raises TokenRefused."""
        authorization = next(
            (value for name, value in request.scope["headers"] if name == b"authorization"), None
        )
        return self.authority.caller(authorization)

    async def slate_caller(self, request: Request[Any, Any, Any]) -> Caller:
        """Who asks for a slate, counted. Raises TokenRefused, RateLimited."""
        return await self._counted(request, self.slates)

    async def event_caller(self, request: Request[Any, Any, Any]) -> Caller:
        """Who sends events, counted. Raises TokenRefused, RateLimited."""
        return await self._counted(request, self.events)

    async def _counted(self, request: Request[Any, Any, Any], limit: Limit) -> Caller:
        admitted: Caller | None = request.scope["state"].get("caller")
        if admitted is not None:  # the hit path counted it, but had no slate at hand
            return admitted
        caller = self.caller(request)
        if not (caller.is_service and self.are_services_exempt):
            self.admit(limit, await self.limiter.take(limit, caller.subject, perf_counter()))
        return caller

    def admit(self, limit: Limit, wait_s: float) -> None:
        """Raises RateLimited when the limiter said to wait."""
        if wait_s > 0.0:
            telemetry.LIMITED.labels(limit.name).inc()
            raise RateLimited(limit, wait_s)
