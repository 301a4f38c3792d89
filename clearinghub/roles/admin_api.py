"""The role `admin-api`: the operators' HTTP API, of administration and settlement, in a process of its own.

Of the processes that take requests, only this one writes commands: one that DFSPs reach cannot move funds or limits.
"""

from __future__ import annotations

from typing import Protocol

import structlog

from clearinghub.config import Settings
from clearinghub.kafka.commands import KafkaCommandClient
from clearinghub.kafka.processes import ProcessAnnouncer, ProcessesView
from clearinghub.kafka.recorder import KafkaRecorder
from clearinghub.kafka.statements import KafkaStatementReader
from clearinghub.kafka.view import ParticipantsView
from clearinghub.kafka.window_transfers import KafkaWindowTransfers
from clearinghub.process import stop_event, until_stopped
from clearinghub.queries.packets import KafkaPacketReader
from clearinghub.queries.reader import HttpLedgerReader
from clearinghub.roles.front_health import FrontRoleHealth
from clearinghub.roles.serving import Listener
from web.admin.app import build_admin_app

log = structlog.get_logger(__name__)


class _Started(Protocol):
    async def start(self) -> None: ...

    async def stop(self) -> None: ...


async def run_admin_api(settings: Settings) -> None:
    """Serve the admin and the settlement API until SIGTERM or SIGINT."""
    stop = stop_event()
    recorder = KafkaRecorder(settings)
    participants = ParticipantsView(settings)
    ledger = HttpLedgerReader(settings)
    commands = KafkaCommandClient(settings, recorder)
    processes = ProcessesView(settings)
    announcer = ProcessAnnouncer(settings, "admin-api", participants)
    started: list[_Started] = [recorder, participants, announcer, processes, ledger, commands]
    for one in started:
        await one.start()
    app = build_admin_app(
        settings,
        commands,
        participants,
        ledger,
        KafkaPacketReader(settings, ledger),
        KafkaStatementReader(settings),
        ledger,
        FrontRoleHealth(settings, recorder, participants, ledger),
        window_transfers=KafkaWindowTransfers(settings),
        processes=processes,
        partitions=ledger,
    )
    listener = Listener(app, settings.bind_host, settings.admin_port)
    try:
        await listener.start()
        await until_stopped(stop, announcer.failed)
    finally:
        log.info("stopping")
        await listener.stop()
        for one in reversed(started):
            await one.stop()
