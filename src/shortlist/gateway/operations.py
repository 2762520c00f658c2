"""Routes for operators: health, metrics, and the meaning of problem types."""

from litestar import Response, get
from litestar.params import FromPath
from litestar.types import ControllerRouterHandler

from shortlist.gateway.answers import Health as HealthAnswer
from shortlist.gateway.problems import HTTP_KINDS, KINDS, Kind, NotFound
from shortlist.gateway.routing import says
from shortlist.ops import telemetry
from shortlist.ops.health import Health


def operation_routes(health: Health) -> list[ControllerRouterHandler]:
    """The routes. They ask for no token: keep them inside your network where that matters."""

    @get("/health/live", **says(answer=HealthAnswer))
    async def live() -> HealthAnswer:
        """Whether the process answers at all."""
        return HealthAnswer(status="ok")

    @get("/health/ready", **says(answer=HealthAnswer, errors=(503,)))
    async def ready() -> Response[HealthAnswer]:
        """Whether requests may be sent here; 503 says which part is not ready and why.

        `degraded`, with 200, goes on serving while a part needs mending: a model version was promoted that
        cannot be loaded, and an older one serves. Where none could be loaded at all that is a 503. A shop
        that was never trained is `degraded` too: it must take events in to have something to learn from."""
        found = health.readiness()
        status = "not ready" if not found.is_ready else "ok" if found.is_whole else "degraded"
        answer = HealthAnswer(status=status, parts=found.parts)
        return Response(answer, status_code=200 if found.is_ready else 503)

    @get("/metrics", **says(kind="text/plain"))
    async def metrics() -> Response[bytes]:
        """Metrics in Prometheus' text format."""
        return Response(telemetry.exposition(), media_type=telemetry.CONTENT_TYPE)

    @get("/problems/{slug:str}", **says(answer=Kind, errors=(404,)))
    async def problem(slug: FromPath[str]) -> Kind:
        """What a problem's `type` stands for."""
        for kind in (*KINDS.values(), *HTTP_KINDS.values()):
            if kind.slug == slug:
                return kind
        raise NotFound(f"no problem type {slug[:50]!r}")

    return [live, ready, metrics, problem]
