"""The role `ingress`: turns DFSPs' requests into records. Its only state are copies of compacted topics."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final, Protocol

import structlog
from aiohttp.web import Application
from prometheus_client import REGISTRY

from clearinghub import __version__
from clearinghub.config import Settings
from clearinghub.engine.partitioner import Partitioner
from clearinghub.kafka.load import LoadView
from clearinghub.kafka.processes import ProcessAnnouncer
from clearinghub.kafka.recorder import KafkaRecorder
from clearinghub.kafka.view import ParticipantsView
from clearinghub.ports import FrontHealth
from clearinghub.process import stop_event, until_stopped
from clearinghub.queries.reader import HttpLedgerReader
from clearinghub.roles.admission import Admission
from clearinghub.roles.front_health import FrontRoleHealth
from clearinghub.roles.serving import Listener
from clearinghub.security.credentials import CredentialCollector, CredentialDirectory, participant_keys_of
from clearinghub.security.identity import CertifiedClient, Credentials, ForwardedClient, IdentityRule
from clearinghub.security.key_set import key_set_of
from clearinghub.security.listener_tls import ListenerTls
from clearinghub.security.profile import profile
from clearinghub.security.signature import verifier_of
from web.fspiop.app import build_fspiop_app
from web.fspiop.signatures import signature_check
from web.http.operations import add_operations_routes, add_readiness_route
from web.http.protocol import Owners
from web.security.identity import ANY_CLIENT

log = structlog.get_logger(__name__)

FSP_ID_LENGTH_MAX: Final = 32


class _Started(Protocol):
    async def start(self) -> None: ...

    async def stop(self) -> None: ...


def make_admits(settings: Settings, admission: Admission) -> Callable[[str], bool]:
    """Return the function that says, by name, whether a DFSP may begin something new now.

    A DFSP's transfers are decided on its own partition, so the load of that partition counts.
    """
    partition_of = Partitioner({"prepare": settings.partitions})
    return lambda source: admission.admits(partition_of("prepare", source[:FSP_ID_LENGTH_MAX]))


class SecureFront:
    """The FSPIOP port as the profile has it: its TLS, and how it is found out whose a request is."""

    def __init__(self, settings: Settings, credentials: Credentials) -> None:
        """Read the files of TLS, if the profile has any.

        Raises:
            KeyFileError: a file cannot be used.
            ProfileError: the settings contradict each other.
        """
        required = profile(settings)
        self._settings = settings
        self._tls: ListenerTls | None = None
        self._owners: Owners | None = None
        self.identities: IdentityRule = ANY_CLIENT
        if required.listener is None:
            return
        header = required.identity_header
        self._tls = ListenerTls(required.listener, settings.tls_min, pinned=header is not None)
        if header is None:
            self.identities = CertifiedClient(credentials)
            self._owners = Owners(credentials.participant_of)
        else:
            self.identities = ForwardedClient(header, self._tls.has_pinned, credentials)

    def listener(self, app: Application) -> Listener:
        """Return the listener of the FSPIOP application."""
        settings = self._settings
        return Listener(app, settings.bind_host, settings.fspiop_port, tls=self._tls, owners=self._owners)


def operations_listener(settings: Settings, health: FrontHealth) -> list[Listener]:
    """Return the listener for probes and Prometheus, which have no certificate; none if the FSPIOP port serves them."""
    if settings.security == "open":
        return []
    app = Application()
    add_operations_routes(app, health, __version__)
    add_readiness_route(app, health, __version__)
    return [Listener(app, settings.bind_host, settings.ops_port)]


async def run_ingress(settings: Settings) -> None:
    """Serve FSPIOP until SIGTERM or SIGINT."""
    stop = stop_event()
    participants = ParticipantsView(settings)
    credentials = CredentialDirectory(participants)
    front = SecureFront(settings, credentials)
    keys = participant_keys_of(settings, credentials)
    signatures = signature_check(
        verifier_of(settings, keys), settings.hub_name, connection_proves=profile(settings).is_secure
    )
    recorder = KafkaRecorder(settings)
    ledger = HttpLedgerReader(settings)
    load = LoadView(settings, recorder.waiting_ms)
    announcer = ProcessAnnouncer(settings, "ingress", participants)
    REGISTRY.register(CredentialCollector(credentials))
    health = FrontRoleHealth(settings, recorder, participants, ledger)
    started: list[_Started] = [recorder, participants, announcer, ledger, load]
    for one in started:
        await one.start()
    fspiop = build_fspiop_app(
        settings,
        recorder,
        health,
        signatures=signatures,
        admits=make_admits(settings, Admission(load.waiting_ms, settings.overload_full_ms, settings.overload_none_ms)),
        participants=participants,
        identities=front.identities,
        keys=key_set_of(settings, participants, credentials, keys),
    )
    listeners = [front.listener(fspiop), *operations_listener(settings, health)]
    try:
        for listener in listeners:
            await listener.start()
        await until_stopped(stop, announcer.failed)
    finally:
        log.info("stopping")
        await asyncio.gather(*(listener.stop() for listener in listeners))
        for one in reversed(started):
            await one.stop()
