"""The FSPIOP API as an application of aiohttp: what DFSPs send their requests to."""

from __future__ import annotations

from collections.abc import Callable

from aiohttp.typedefs import Handler, Middleware
from aiohttp.web import Application, Request, StreamResponse, middleware

from clearinghub import __version__
from clearinghub.clock import system_now_ms
from clearinghub.config import Settings
from clearinghub.ports import FrontHealth, Participants, Recorder
from clearinghub.security.identity import IdentityRule
from clearinghub.security.key_set import KeySet, key_set_of
from clearinghub.security.log_values import without_persons
from clearinghub.security.profile import profile
from web.documentation.page import add_documentation_routes
from web.fspiop.admission import AdmissionMiddlewares
from web.fspiop.bulk import BulkTransfersResource
from web.fspiop.keys import KeysResource
from web.fspiop.parties import PartiesResource
from web.fspiop.quotes import agreement_resources
from web.fspiop.routes import (
    PARTY_RESOURCES,
    add_agreement_routes,
    add_bulk_routes,
    add_party_routes,
    add_transfer_routes,
)
from web.fspiop.signatures import NO_SIGNATURES, SignatureCheck
from web.fspiop.sources import Sources
from web.fspiop.transfers import TransfersResource
from web.http.errors import SHOWN_PATH, make_error_middleware
from web.http.json_body import BODY_BYTES_MAX, BODY_TIMEOUT_S
from web.http.operations import (
    add_health_route,
    add_operations_routes,
    add_readiness_route,
    make_metrics_middleware,
)
from web.security.identity import ANY_CLIENT, make_identity_middleware
from web.security.limits import make_rate_middleware


def build_fspiop_app(  # noqa: PLR0913 - what the parts need is handed to them here
    settings: Settings,
    recorder: Recorder,
    health: FrontHealth,
    now_ms: Callable[[], int] = system_now_ms,
    signatures: SignatureCheck = NO_SIGNATURES,
    admits: Callable[[str], bool] = lambda _source: True,
    *,
    participants: Participants,
    identities: IdentityRule = ANY_CLIENT,
    keys: KeySet | None = None,
) -> Application:
    """Return the application.

    Args:
        settings: the hub's settings.
        recorder: writes what is accepted to Kafka.
        health: what `/health` and `/ready` answer.
        now_ms: the clock that completedTimestamp is compared with (protocol 3.1); all else about time is the ledger's.
        signatures: checks that the source has signed a message, after the headers and before the body is parsed.
        admits: returns whether the DFSP of that name may begin something new now.
        participants: a copy of the scheme's participants.
        identities: finds out whose request it is.
        keys: what GET /keys answers; without it, the keys of the participants' credentials.
    """
    admission = _make_admission(settings, admits)
    app = Application(
        client_max_size=settings.body_bytes_max,
        middlewares=[
            make_identity_middleware(identities),
            make_rate_middleware(profile(settings).rates),
            admission.refuse,
            make_metrics_middleware(),
            make_error_middleware(),
            _limit_bodies(settings),
            admission.take,
        ],
    )
    app[BODY_TIMEOUT_S] = settings.body_timeout_ms / 1000
    app[SHOWN_PATH] = without_persons
    sources = Sources(participants)
    add_transfer_routes(app, TransfersResource(settings, recorder, now_ms, signatures, sources))
    add_bulk_routes(app, BulkTransfersResource(settings, recorder, now_ms, signatures, sources))
    for resource in agreement_resources(settings, recorder, signatures, sources):
        add_agreement_routes(app, resource)
    add_party_routes(
        app, *(PartiesResource(name, settings, recorder, participants, signatures, sources) for name in PARTY_RESOURCES)
    )
    published = keys or key_set_of(settings, participants)
    app.router.add_get("/keys", KeysResource(published).get_keys)
    add_readiness_route(app, health, __version__)
    if settings.security == "open":
        add_operations_routes(app, health, __version__)
        add_documentation_routes(app, "fspiop")
    else:
        add_health_route(app, health, __version__)
    return app


def _limit_bodies(settings: Settings) -> Middleware:
    """Return the middleware that notes how large a request's body may be, by the resource that begins its path."""

    @middleware
    async def limit(request: Request, handler: Handler) -> StreamResponse:
        request[BODY_BYTES_MAX] = settings.body_bytes_max_of(request.path.split("/", 2)[1])
        return await handler(request)

    return limit


def _make_admission(settings: Settings, admits: Callable[[str], bool]) -> AdmissionMiddlewares:
    """Return the admission control: in maintenance nothing new is accepted, whoever sends it."""
    if settings.maintenance:
        return AdmissionMiddlewares(lambda _source: False, 1, settings.maintenance_retry_after_s)
    return AdmissionMiddlewares(admits, settings.requests_begun_max)
