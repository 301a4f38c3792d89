"""POST /transfers on the payer's partition: reserve the payer's position, forward to the payee (protocol 3.2, 3.3)."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import structlog
from msgspec.structs import replace

from agents.alarms import raise_breach_alarm
from agents.context import LedgerContext
from agents.notify import TransferNotifier
from agents.posting import PRINCIPLE_VALUE, store_position, store_transfer
from agents.settlement.fees import ilp_packet, interchange_fee
from agents.turn import Turn
from clearinghub.domain.errors import ErrorInformation
from clearinghub.domain.transfers.lookup import transfer_body
from clearinghub.domain.transfers.prepare import (
    Ignored,
    Modified,
    PayeeEligibility,
    PayerEligibility,
    PrepareOutcome,
    PreparePolicy,
    PrepareRequest,
    Refused,
    Resent,
    Reserved,
    decide_prepare,
)
from clearinghub.engine.record import View
from clearinghub.messages.transfers import PrepareMessage
from tables.participants import PARTICIPANTS
from tables.positions import POSITIONS, position_key
from tables.transfers import TRANSFERS

log = structlog.get_logger(__name__)


def on_prepare(turn: Turn, message: PrepareMessage, body: bytes) -> None:
    """Decide a prepare and notify the payee, or else the payer."""
    request = PrepareRequest(
        message.id,
        message.source,
        message.payer,
        message.payee,
        message.amount,
        message.currency,
        message.condition,
        message.expires_at_ms,
        message.hash,
        message.extensions,
    )
    outcome = apply_prepare(turn, request, partial(ilp_packet, body))
    log.debug("prepare-decided", transfer=message.id, outcome=type(outcome).__name__, trace=turn.trace)
    notifier = TransferNotifier(turn, message.id)
    match outcome:
        case Reserved():
            notifier.forward_prepare(message.payee, message.source, message.headers, body)
        case Refused(_, rejection):
            notifier.error(message.source, ErrorInformation.of(rejection, message.extensions))
        case Modified(rejection):
            notifier.error(message.source, ErrorInformation.of(rejection))
        case Resent(transfer):
            # To the payer, whoever has sent the repetition: the body holds the fulfilment (protocol 3.2).
            notifier.put(transfer.payer, transfer_body(transfer))
        case Ignored():
            pass


def apply_prepare(turn: Turn, request: PrepareRequest, read_packet: Callable[[], object]) -> PrepareOutcome:
    """Decide a prepare, or an item of a bulk; store the transfer and reserve its amount. Notifies no DFSP.

    `read_packet` returns the ILP packet; it is called only if an interchange fee depends on the packet.
    """
    view, context = turn.view, turn.context
    payer = payer_eligibility(view, request.payer, request.currency)
    outcome = decide_prepare(
        request,
        view.get(TRANSFERS, request.transfer_id),
        payer,
        payee_eligibility(context, request.payee, request.currency),
        PreparePolicy(on_us_transfers=context.on_us_transfers),
        turn.now_ms,
    )
    offset = turn.record.offset
    if isinstance(outcome, Reserved):
        assert payer.position is not None
        store_position(view, outcome.position, request.amount, request.transfer_id, PRINCIPLE_VALUE)
        raise_breach_alarm(turn, payer.position, outcome.position, request.transfer_id)
        fee = interchange_fee(context, outcome.transfer, read_packet, turn.now_ms)
        trace = turn.trace if request.bulk_id is None else None  # the bulk's row has that of its items
        store_transfer(view, replace(outcome.transfer, prepare_offset=offset, interchange_fee=fee, trace=trace))
    elif isinstance(outcome, Refused):
        store_transfer(view, replace(outcome.transfer, prepare_offset=offset))
    return outcome


def payer_eligibility(view: View, name: str, currency: str) -> PayerEligibility:
    """Return what the payer's own partition knows of the payer; no other worker can change it meanwhile."""
    participant = view.get(PARTICIPANTS, name)
    return PayerEligibility(
        exists=participant is not None,
        active=participant is not None and participant.active,
        position=view.get(POSITIONS, position_key(name, currency, "POSITION")),
        settlement=view.get(POSITIONS, position_key(name, currency, "SETTLEMENT")),
    )


def payee_eligibility(context: LedgerContext, name: str, currency: str) -> PayeeEligibility:
    """Return what this process's copy of the participants knows of the payee, whose own partition may be anywhere."""
    participant = context.participants.get(name)
    account = None if participant is None else participant.account(currency, "POSITION")
    return PayeeEligibility(
        exists=participant is not None,
        active=participant is not None and participant.active,
        account_exists=account is not None,
        account_active=account is not None and account.active,
    )
