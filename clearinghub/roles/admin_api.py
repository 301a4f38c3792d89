"""The role `admin-api`: the operators' HTTP API, of administration and settlement, in a process of its own.

Of the processes that take requests, only this one writes commands: one that DFSPs reach cannot move funds or limits.
"""

from __future__ import annotations

from typing import Protocol

import structlog
from aiohttp.web import Application

from clearinghub.config import Settings
from clearinghub.domain.participants.participant import ParticipantDirectory
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
from clearinghub.security.listener_tls import ListenerTls
from clearinghub.security.operators import OperatorDirectory, first_operators
from clearinghub.security.profile import profile
from web.admin.access import Authenticate, by_certificate
from web.admin.app import build_admin_app
from web.http.protocol import Owners

log = structlog.get_logger(__name__)


class _Started(Protocol):
    async def start(self) -> None: ...

    async def stop(self) -> None: ...


class OperatorsFront:
    """The operators' port as the profile has it: its TLS, and how it is found out who sends a request."""

    def __init__(self, settings: Settings, participants: ParticipantDirectory) -> None:
        """Read the files of TLS, and the first operators' certificates, if the profile has any.

        Raises:
            KeyFileError: a file cannot be used.
            ProfileError: the settings contradict each other.
        """
        required = profile(settings)
        self._settings = settings
        self._tls: ListenerTls | None = None
        self._owners: Owners | None = None
        self.authenticate: Authenticate | None = None
        if required.admin_listener is None:
            return
        assert required.secure_dir is not None
        operators = OperatorDirectory(participants, settings.hub_name, first_operators(required.secure_dir))
        # Probes and Prometheus have no certificate: they get what is public, and nothing else.
        self._tls = ListenerTls(required.admin_listener, requires_client=False)
        self._owners = Owners(operators.name_of)
        self.authenticate = by_certificate(operators)

    def listener(self, app: Application) -> Listener:
        """Return the listener of the operators' application."""
        settings = self._settings
        return Listener(app, settings.bind_host, settings.admin_port, tls=self._tls, owners=self._owners)


async def run_admin_api(settings: Settings) -> None:
    """Serve the admin and the settlement API until SIGTERM or SIGINT."""
    stop = stop_event()
    recorder = KafkaRecorder(settings)
    participants = ParticipantsView(settings)
    front = OperatorsFront(settings, participants)
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
        authenticate=front.authenticate,
    )
    listener = front.listener(app)
    try:
        await listener.start()
        await until_stopped(stop, announcer.failed)
    finally:
        log.info("stopping")
        await listener.stop()
        for one in reversed(started):
            await one.stop()
