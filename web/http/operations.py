"""Health, readiness and metrics of every role (protocol 12)."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

import orjson
from aiohttp.typedefs import Handler, Middleware
from aiohttp.web import Application, HTTPException, Request, Response, StreamResponse, middleware
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, CollectorRegistry, Histogram, generate_latest

from clearinghub.clock import system_now_ms
from clearinghub.domain.time import timestamp_text
from clearinghub.ports import FrontHealth, Health, StoppedPart
from web.http.errors import CONTENT_TYPE

_UP_STATUS: Final = 200
_DOWN_STATUS: Final = 502
_SECONDS: Final = Histogram(
    "clearinghub_http_request_seconds",
    "Time from a request's headers to its answer",
    ("method", "route", "status"),
    buckets=(0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0),
)
# Clients may send any method and path; each label would be a time series for ever.
_METHODS: Final = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"})
_OTHER: Final = "other"


def add_operations_routes(
    app: Application,
    health: Health,
    version: str,
    registry: CollectorRegistry = REGISTRY,
    base_paths: Sequence[str] = ("",),
) -> None:
    """Serve GET /health and GET /metrics below each of `base_paths`; `version` is the hub's, for `versionNumber`.

    Health is 200 with status OK if all services that the process depends on are up, else 502 with status DOWN. What
    waits for an operator's decision is named in `stopped`, and leaves the status as it is.
    """
    get_health = _reporting(health.services, health.stopped, version)

    async def get_metrics(_request: Request) -> Response:
        return Response(body=generate_latest(registry), headers={"Content-Type": CONTENT_TYPE_LATEST})

    for base_path in base_paths:
        app.router.add_get(f"{base_path}/health", get_health)
        app.router.add_get(f"{base_path}/metrics", get_metrics)


def add_health_route(app: Application, health: Health, version: str) -> None:
    """Serve GET /health alone: where every client has a certificate, /metrics is on a port of its own."""
    app.router.add_get("/health", _reporting(health.services, health.stopped, version))


def add_readiness_route(app: Application, health: FrontHealth, version: str) -> None:
    """Serve GET /ready: a report like that of /health, about what this process needs by itself.

    It is for load balancers. With /health they would send no requests here while one ledger worker is down, although
    the other workers' partitions still decide.
    """
    app.router.add_get("/ready", _reporting(health.own_services, health.stopped, version))


def _reporting(
    ask: Callable[[], Awaitable[dict[str, bool]]], stopped: Callable[[], list[StoppedPart]], version: str
) -> Callable[[Request], Awaitable[Response]]:
    started_at = time.monotonic()
    start_time = timestamp_text(system_now_ms())

    async def report_services(_request: Request) -> Response:
        services = await ask()
        up = all(services.values())
        report: dict[str, object] = {
            "status": _status(up=up),
            "uptime": round(time.monotonic() - started_at, 3),
            "startTime": start_time,
            "versionNumber": version,
            "services": [{"name": name, "status": _status(up=is_up)} for name, is_up in services.items()],
        }
        if parts := stopped():
            report["stopped"] = [_stopped_part(one) for one in parts]
        return Response(
            status=_UP_STATUS if up else _DOWN_STATUS,
            body=orjson.dumps(report),
            headers={"Content-Type": CONTENT_TYPE},
        )

    return report_services


def make_metrics_middleware() -> Middleware:
    """Return the middleware that measures requests by method, route and status.

    It is the outermost middleware, so that it also sees the answers to errors.
    """
    # Cached, because Histogram.labels() takes a lock and joins strings; there are only a few dozen combinations.
    observers: dict[tuple[str, str, int], Callable[[float], None]] = {}

    def observe(request: Request, status: int, seconds: float) -> None:
        resource = request.match_info.route.resource
        method = request.method if request.method in _METHODS else _OTHER
        labels = (method, resource.canonical if resource is not None else _OTHER, status)
        observer = observers.get(labels)
        if observer is None:
            observer = observers[labels] = _SECONDS.labels(*labels).observe
        observer(seconds)

    @middleware
    async def measure(request: Request, handler: Handler) -> StreamResponse:
        began_at = time.perf_counter()
        try:
            response = await handler(request)
        except HTTPException as error:
            observe(request, error.status, time.perf_counter() - began_at)
            raise
        observe(request, response.status, time.perf_counter() - began_at)
        return response

    return measure


def _stopped_part(part: StoppedPart) -> dict[str, object]:
    shown: dict[str, object] = {"partition": part.partition, "code": part.code}
    return shown | {"topic": part.topic} if part.topic else shown


def _status(*, up: bool) -> str:
    return "OK" if up else "DOWN"
