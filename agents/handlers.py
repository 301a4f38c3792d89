"""The index from topic to handler: what the ledger reads, and which function decides which message.

The order is the order in which a round takes its inputs: work in flight before new work.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, NamedTuple

from agents.bulk.fulfil import on_bulk_fulfil, on_bulk_get, on_bulk_timeout
from agents.bulk.prepare import on_bulk_prepare
from agents.claims import on_claims
from agents.commands import on_command
from agents.context import LedgerContext
from agents.features import unknown_message
from agents.parties.batch import on_batch, on_part, on_part_done
from agents.parties.party import on_oracle_answer, on_party
from agents.parties.party_import import on_import
from agents.quotes.agreement import on_agreement
from agents.settlement.closing import (
    on_close_window,
    on_forget_window,
    on_publish_window,
    on_report_window,
    on_window_marker,
    on_window_report,
)
from agents.settlement.creation import on_make_settlement
from agents.settlement.moves import on_move
from agents.settlement.progress import on_abort_accounts, on_moved
from agents.settlement.scheme import on_scheme
from agents.settlement.windows import on_window_used
from agents.transfers.credit import on_credit
from agents.transfers.fulfil import on_fulfil
from agents.transfers.lookup import on_get
from agents.transfers.prepare import on_prepare
from agents.transfers.timeout import on_timeout
from agents.turn import Turn
from clearinghub.engine.config import Input
from clearinghub.engine.record import Handler, Record, View
from clearinghub.messages import MalformedMessageError, Message, UnknownMessageError, decode
from clearinghub.messages.bulk import BulkFulfilMessage, BulkGetMessage, BulkPrepareMessage, BulkTimeoutMessage
from clearinghub.messages.commands import CommandMessage
from clearinghub.messages.parties import (
    OracleAnswerMessage,
    PartyBatchMessage,
    PartyImportMessage,
    PartyMessage,
    PartyPartDoneMessage,
    PartyPartMessage,
)
from clearinghub.messages.quotes import AgreementMessage
from clearinghub.messages.settlement import (
    AbortAccountsMessage,
    CloseWindowMessage,
    ForgetWindowMessage,
    MakeSettlementMessage,
    MovedMessage,
    MoveMessage,
    PublishWindowMessage,
    ReportWindowMessage,
    SchemeMessage,
    WindowMarkerMessage,
    WindowReportMessage,
    WindowUsedMessage,
)
from clearinghub.messages.transfers import (
    ClaimsMessage,
    CreditMessage,
    FulfilMessage,
    GetMessage,
    PrepareMessage,
    TimeoutMessage,
)

# Decides one kind of message. A generator lets others work between its steps (see `Handler` in engine/record.py).
Decide = Callable[[Turn, Any, bytes], Iterator[None] | None]


class UnexpectedMessageError(Exception):
    """A message on a topic that does not carry its kind: a bug, or a foreign writer."""


class InputTopic(NamedTuple):
    """A topic that the ledger reads, and the handler of each kind of message on it; see `Input` for `is_heavy`.

    Messages that the ledger writes itself are `vital`: without them money would be missing on one side, or stay
    reserved, and no DFSP would repeat them. They are never dead-lettered (ADR 25). On a topic that carries no others, a
    record that cannot be read is vital too: a newer release may have written it.

    A reminder is decided `after` all that could have ended its transfer in time (ADR 27). Reminders of bulks are on the
    topic of the bulks' fulfils, so the order of that topic has the same effect.
    """

    name: str
    handlers: Mapping[type[Message], Decide]
    is_heavy: bool = False
    vital: frozenset[type[Message]] = frozenset()
    after: tuple[str, ...] = ()

    def may_be_dead_lettered(self, record: Record) -> bool:
        """Return whether a record whose handler raised may become a dead letter, so that the next one is decided."""
        if self.vital == self.handlers.keys():
            return False
        try:
            message, _body = decode(record.value)
        except MalformedMessageError:
            return True
        return type(message) not in self.vital


INPUT_TOPICS: Final = (
    InputTopic(
        "credit",
        {CreditMessage: on_credit, WindowMarkerMessage: on_window_marker},
        vital=frozenset((CreditMessage, WindowMarkerMessage)),
    ),
    InputTopic(
        "settlement",
        {
            CloseWindowMessage: on_close_window,
            WindowUsedMessage: on_window_used,
            WindowReportMessage: on_window_report,
            ReportWindowMessage: on_report_window,
            PublishWindowMessage: on_publish_window,
            ForgetWindowMessage: on_forget_window,
            MakeSettlementMessage: on_make_settlement,
            AbortAccountsMessage: on_abort_accounts,
            MoveMessage: on_move,
            MovedMessage: on_moved,
            SchemeMessage: on_scheme,
        },
        vital=frozenset(
            (
                CloseWindowMessage,
                WindowUsedMessage,
                WindowReportMessage,
                ReportWindowMessage,
                PublishWindowMessage,
                ForgetWindowMessage,
                MakeSettlementMessage,
                AbortAccountsMessage,
                MoveMessage,
                MovedMessage,
                SchemeMessage,
            )
        ),
    ),
    InputTopic("fulfil", {FulfilMessage: on_fulfil}),
    InputTopic("timeout", {TimeoutMessage: on_timeout}, vital=frozenset((TimeoutMessage,)), after=("fulfil", "lookup")),
    InputTopic("command", {CommandMessage: on_command}),
    InputTopic("lookup", {GetMessage: on_get, FulfilMessage: on_fulfil, ClaimsMessage: on_claims}),
    InputTopic(
        "bulk-fulfil",
        {BulkFulfilMessage: on_bulk_fulfil, BulkGetMessage: on_bulk_get, BulkTimeoutMessage: on_bulk_timeout},
        is_heavy=True,
        vital=frozenset((BulkTimeoutMessage,)),
    ),
    InputTopic("prepare", {PrepareMessage: on_prepare}),
    InputTopic("bulk-prepare", {BulkPrepareMessage: on_bulk_prepare}, is_heavy=True),
    InputTopic("agreement", {AgreementMessage: on_agreement}),
    InputTopic(
        "party",
        {
            PartyMessage: on_party,
            PartyBatchMessage: on_batch,
            PartyPartMessage: on_part,
            PartyPartDoneMessage: on_part_done,
            PartyImportMessage: on_import,
            OracleAnswerMessage: on_oracle_answer,
        },
    ),
)


def make_handler(topic: InputTopic, context: LedgerContext) -> Handler:
    """Return the engine's handler of one topic."""
    handlers = topic.handlers

    def handle(record: Record, view: View) -> Iterator[None] | None:
        try:
            message, body = decode(record.value)
        except UnknownMessageError as error:
            raise unknown_message(record, error) from error
        decide = handlers.get(type(message))
        if decide is None:
            raise UnexpectedMessageError(f"{type(message).__name__} on topic {topic.name}")
        return decide(Turn(record, view, context, message.trace, record.timestamp_ms), message, body)

    return handle


def ledger_inputs(context: LedgerContext) -> tuple[Input, ...]:
    """Return the engine's inputs in the order in which a round takes them."""
    return tuple(
        Input(topic.name, make_handler(topic, context), topic.is_heavy, topic.may_be_dead_lettered, topic.after)
        for topic in INPUT_TOPICS
    )
