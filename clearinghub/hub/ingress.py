"""The role `ingress`: HTTP in, records out; stateless but for its copies of compacted topics."""

from __future__ import annotations

import asyncio
from typing import Protocol

import structlog

from clearinghub.config import Settings
from clearinghub.hub.serving import Listener
from clearinghub.jws.from_settings import verifier_of
from clearinghub.kafka.commands import KafkaCommandClient
from clearinghub.kafka.ledger_reader import HttpLedgerReader
from clearinghub.kafka.prepares import KafkaPacketReader
from clearinghub.kafka.recorder import KafkaRecorder
from clearinghub.kafka.statements import KafkaStatementReader
from clearinghub.kafka.view import ParticipantsView
from clearinghub.signals import stop_event, until_stopped
from web.admin.app import build_admin_app
from web.fspiop.app import build_fspiop_app
from web.fspiop.signatures import signature_check

log = structlog.get_logger(__name__)


class _Started(Protocol):
    async def start(self) -> None: ...

    async def stop(self) -> None: ...


class IngressHealth:
    """UP when requests can be recorded, and the ledger answers for every partition."""

    def __init__(
        self, settings: Settings, recorder: KafkaRecorder, participants: ParticipantsView, ledger: HttpLedgerReader
    ) -> None:
        self._partitions = settings.partitions
        self._recorder = recorder
        self._participants = participants
        self._ledger = ledger

    async def services(self) -> dict[str, bool]:
        """`broker` takes records; `datastore` is the ledger as seen from here."""
        datastore = self._participants.is_caught_up and await self._ledger.answers_for_all(self._partitions)
        return {"datastore": datastore, "broker": await self._recorder.is_up()}


async def run_ingress(settings: Settings) -> None:
    """Take requests until told to stop."""
    stop = stop_event()
    signatures = signature_check(verifier_of(settings), settings.hub_name)
    recorder = KafkaRecorder(settings)
    participants = ParticipantsView(settings)
    ledger = HttpLedgerReader(settings)
    commands = KafkaCommandClient(settings, recorder)
    health = IngressHealth(settings, recorder, participants, ledger)
    started: list[_Started] = [recorder, participants, ledger, commands]
    for one in started:
        await one.start()
    listeners = [
        Listener(
            build_fspiop_app(settings, recorder, health, signatures=signatures, participants=participants),
            settings.bind_host,
            settings.fspiop_port,
        ),
        Listener(
            build_admin_app(
                settings,
                commands,
                participants,
                ledger,
                KafkaPacketReader(settings, ledger),
                KafkaStatementReader(settings),
                health,
            ),
            settings.bind_host,
            settings.admin_port,
        ),
    ]
    try:
        for listener in listeners:
            await listener.start()
        await until_stopped(stop, asyncio.Event())
    finally:
        log.info("stopping")
        await asyncio.gather(*(listener.stop() for listener in listeners))
        for one in reversed(started):
            await one.stop()
