"""POST /transfers at the payer's partition: decide, hold its position, forward to the payee (fspiop 3.2, 3.3)."""

from __future__ import annotations

from dataclasses import replace

import structlog

from agents.alarms import Alarms
from agents.fees import interchange_fee
from agents.notifier import TransferNotifier
from agents.shell import PRINCIPLE_VALUE, LedgerContext, store_position, store_transfer
from clearinghub.domain.lookup import transfer_body
from clearinghub.domain.prepare import (
    Ignored,
    Modified,
    PayeeStanding,
    PayerStanding,
    PreparePolicy,
    PrepareRequest,
    Refused,
    Resent,
    Reserved,
    decide_prepare,
)
from clearinghub.domain.rejections import ErrorInformation
from clearinghub.engine.record import Handler, Record, View
from clearinghub.messages import decode
from tables.participants import PARTICIPANTS
from tables.positions import POSITIONS, position_key
from tables.transfers import TRANSFERS

log = structlog.get_logger(__name__)


def make_on_prepare(context: LedgerContext) -> Handler:
    """The handler of topic `prepare`."""
    policy = PreparePolicy(on_us_transfers=context.on_us_transfers)

    def on_prepare(record: Record, view: View) -> None:
        line, body = decode(record.value)
        request = PrepareRequest(
            line["id"], line["source"], line["payer"], line["payee"], line["amount"], line["currency"],
            line["condition"], line["expires_at_ms"], line["hash"], line["extensions"],
        )  # fmt: skip
        payer = payer_standing(view, request.payer, request.currency)
        outcome = decide_prepare(
            request,
            view.get(TRANSFERS, request.transfer_id),
            payer,
            payee_standing(context, request.payee, request.currency),
            policy,
            record.timestamp_ms,
        )
        log.debug("prepare-decided", transfer=line["id"], outcome=type(outcome).__name__, trace=line["trace"])
        notifier = TransferNotifier(record, view, request.transfer_id, line["trace"], context.hub_name)
        match outcome:
            case Reserved(transfer, position):
                store_position(view, position, request.amount, request.transfer_id, PRINCIPLE_VALUE)
                fee = interchange_fee(context, transfer, body, record.timestamp_ms)
                store_transfer(view, replace(transfer, prepare_offset=record.offset, interchange_fee=fee))
                notifier.forward_prepare(request.payee, request.source, line["headers"], body)
                if position.alarm_percent:
                    assert payer.position is not None
                    alarms = Alarms(record, view, context.hub_name, line["trace"])
                    alarms.position_raised(payer.position, position, request.transfer_id)
            case Refused(transfer, rejection):
                store_transfer(view, replace(transfer, prepare_offset=record.offset))
                notifier.error(request.source, ErrorInformation.of(rejection, request.extensions))
            case Modified(rejection):
                notifier.error(request.source, ErrorInformation.of(rejection))
            case Resent(transfer):
                # Never to whoever repeats the payer's words: the body has the fulfilment (fspiop 3.2).
                notifier.put(transfer.payer, transfer_body(transfer))
            case Ignored():
                pass

    return on_prepare


def payer_standing(view: View, name: str, currency: str) -> PayerStanding:
    """The payer as its own partition knows it, ordered with everything else that concerns it."""
    participant = view.get(PARTICIPANTS, name)
    return PayerStanding(
        exists=participant is not None,
        active=participant is not None and participant.active,
        position=view.get(POSITIONS, position_key(name, currency, "POSITION")),
        settlement=view.get(POSITIONS, position_key(name, currency, "SETTLEMENT")),
    )


def payee_standing(context: LedgerContext, name: str, currency: str) -> PayeeStanding:
    """The payee from this process's copy of the participants: its own partition may be anywhere."""
    participant = context.participants.get(name)
    account = None if participant is None else participant.account(currency, "POSITION")
    return PayeeStanding(
        exists=participant is not None,
        active=participant is not None and participant.active,
        account_exists=account is not None,
        account_active=account is not None and account.active,
    )
