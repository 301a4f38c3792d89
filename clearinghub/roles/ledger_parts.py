"""What every ledger is made of, whatever carries its records: Kafka in the role, memory in tests.

Nothing here reaches a broker.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final, NamedTuple

from agents.answers import make_answer_punctuator
from agents.claims import make_claims_punctuator
from agents.context import LedgerContext
from agents.dead_letter import make_on_poison_record
from agents.handlers import ledger_inputs
from agents.participants.credential_ends import make_credential_punctuator
from agents.quotes.agreement import make_quote_punctuator
from agents.settlement.retention import make_settlement_retention_punctuator
from agents.settlement.schedule import make_window_punctuator
from agents.settlement.scheme import make_scheme_punctuator
from agents.transfers.retention import make_bulk_retention_punctuator, make_retention_punctuator
from agents.transfers.timeout import make_bulk_due_punctuator, make_due_punctuator
from clearinghub.config import Settings
from clearinghub.engine.config import Input
from clearinghub.engine.partitioner import Partitioner
from clearinghub.engine.record import Handler, Punctuator, TableSpec
from clearinghub.ports import Archive
from clearinghub.roles.metrics import ALARMS, show_states
from clearinghub.roles.schedule import next_due_of, number_of
from tables.batches import BATCHES
from tables.bulks import BULKS
from tables.claims import CLAIMS
from tables.counters import COUNTERS
from tables.nets import NETS
from tables.participants import PARTICIPANTS
from tables.parties import PARTIES
from tables.positions import POSITIONS
from tables.questions import QUESTIONS
from tables.quotes import QUOTES
from tables.settlements import SETTLEMENTS
from tables.transfers import TRANSFERS
from tables.windows import WINDOWS

TABLES: Final = (
    TRANSFERS,
    BULKS,
    POSITIONS,
    PARTICIPANTS,
    COUNTERS,
    WINDOWS,
    NETS,
    SETTLEMENTS,
    QUOTES,
    PARTIES,
    BATCHES,
    CLAIMS,
    QUESTIONS,
)


class LedgerParts(NamedTuple):
    """The tables of a ledger and the code that changes them.

    `inputs` are in the order in which a round takes them. `on_poison_record` answers the sender of a record whose
    handler raised.
    """

    inputs: tuple[Input, ...]
    tables: tuple[TableSpec[Any], ...]
    punctuators: tuple[Punctuator, ...]
    on_poison_record: Handler


def ledger_parts(settings: Settings, context: LedgerContext, archive: Archive | None = None) -> LedgerParts:
    """Return the parts of the ledger that the settings describe.

    With an `archive`, finished transfers stay in their table until the archive has them.
    """
    coordinator = coordinator_of(settings)
    return LedgerParts(
        inputs=ledger_inputs(replace(context, count_alarm=lambda event: ALARMS.labels(event).inc())),
        tables=TABLES,
        punctuators=(
            make_due_punctuator(context.reminders),
            make_bulk_due_punctuator(context.reminders),
            make_retention_punctuator(settings.transfer_retention_s * 1000, archive),
            make_bulk_retention_punctuator(settings.transfer_retention_s * 1000, archive),
            make_claims_punctuator(settings.transfer_retention_s * 1000),
            make_answer_punctuator(context),
            make_quote_punctuator(settings.quote_retention_s * 1000),
            make_credential_punctuator(settings.hub_name),
            make_scheme_punctuator(coordinator, settings.hub_name),
            make_window_punctuator(coordinator, next_due_of(settings), number_of(settings)),
            make_settlement_retention_punctuator(coordinator, settings.settlement_retention_s * 1000, show_states),
        ),
        on_poison_record=make_on_poison_record(context),
    )


def coordinator_of(settings: Settings) -> int:
    """Return the partition of the hub's name, which coordinates settlement."""
    return Partitioner({"command": settings.partitions})("command", settings.hub_name)
