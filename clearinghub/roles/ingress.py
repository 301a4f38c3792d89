"""The role `ingress`: turns DFSPs' requests into records. Its only state are copies of compacted topics."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol

import structlog
from prometheus_client import REGISTRY

from clearinghub.config import Settings
from clearinghub.engine.partitioner import Partitioner
from clearinghub.kafka.load import LoadView
from clearinghub.kafka.processes import ProcessAnnouncer
from clearinghub.kafka.recorder import KafkaRecorder
from clearinghub.kafka.view import ParticipantsView
from clearinghub.process import stop_event, until_stopped
from clearinghub.queries.reader import HttpLedgerReader
from clearinghub.roles.admission import Admission
from clearinghub.roles.front_health import FrontRoleHealth
from clearinghub.roles.serving import Listener
from clearinghub.security.credentials import CredentialCollector, CredentialDirectory, participant_keys_of
from clearinghub.security.key_set import key_set_of
from clearinghub.security.signature import verifier_of
from web.fspiop.app import build_fspiop_app
from web.fspiop.signatures import signature_check

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


async def run_ingress(settings: Settings) -> None:
    """Serve FSPIOP until SIGTERM or SIGINT."""
    stop = stop_event()
    participants = ParticipantsView(settings)
    credentials = CredentialDirectory(participants)
    keys = participant_keys_of(settings, credentials)
    signatures = signature_check(verifier_of(settings, keys), settings.hub_name)
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
        keys=key_set_of(settings, participants, credentials, keys),
    )
    listener = Listener(fspiop, settings.bind_host, settings.fspiop_port)
    try:
        await listener.start()
        await until_stopped(stop, announcer.failed)
    finally:
        log.info("stopping")
        await listener.stop()
        for one in reversed(started):
            await one.stop()
