"""One transfer decided and stored, by itself or as a line of a bulk: who is told of it is the caller's business."""

from __future__ import annotations

from collections.abc import Callable

from agents.alarms import Alarms
from agents.context import LedgerContext
from agents.posting import PRINCIPLE_VALUE, release_payer, store_position, store_transfer
from agents.settlement.fees import interchange_fee
from agents.settlement.netting import book_commit
from clearinghub.domain.participants.position import Position
from clearinghub.domain.transfers import fulfil, prepare
from clearinghub.domain.transfers.timeout import Expired, decide_timeout
from clearinghub.domain.transfers.transfer import Transfer
from clearinghub.engine.record import Record, View
from tables.participants import PARTICIPANTS
from tables.positions import POSITIONS, position_key
from tables.transfers import TRANSFERS
from tables.windows import open_window


def apply_prepare(
    record: Record,
    view: View,
    context: LedgerContext,
    request: prepare.PrepareRequest,
    trace: str | None,
    packet: Callable[[], object],
) -> prepare.PrepareOutcome:
    """Decide a prepare; a new transfer is stored, and what it reserves is held. `packet` gives its ILP packet."""
    payer = payer_eligibility(view, request.payer, request.currency)
    outcome = prepare.decide_prepare(
        request,
        view.get(TRANSFERS, request.transfer_id),
        payer,
        payee_eligibility(context, request.payee, request.currency),
        prepare.PreparePolicy(on_us_transfers=context.on_us_transfers),
        record.timestamp_ms,
    )
    if isinstance(outcome, prepare.Reserved):
        store_position(view, outcome.position, request.amount, request.transfer_id, PRINCIPLE_VALUE)
        _raise_alarm(record, view, context, payer.position, outcome.position, request.transfer_id, trace)
        fee = interchange_fee(context, outcome.transfer, packet, record.timestamp_ms)
        store_transfer(view, outcome.transfer._replace(prepare_offset=record.offset, interchange_fee=fee))
    elif isinstance(outcome, prepare.Refused):
        store_transfer(view, outcome.transfer._replace(prepare_offset=record.offset))
    return outcome


def apply_fulfil(
    view: View,
    hub_name: str,
    request: fulfil.FulfilRequest,
    stored: Transfer | None,
    now_ms: int,
    trace: str | None,
) -> fulfil.FulfilOutcome:
    """Decide the payee's answer; what has moved is stored, booked or released. A commit is given as it was booked."""
    outcome = fulfil.decide_fulfil(request, stored, open_window(view), now_ms)
    match outcome:
        case fulfil.Committed(transfer, reserve):
            return fulfil.Committed(book_commit(view, hub_name, transfer, trace), reserve)
        case fulfil.Aborted(transfer) | fulfil.AbortedInvalid(transfer):
            store_transfer(view, transfer)
            release_payer(view, transfer, now_ms)
        case fulfil.Refused(transfer=used_up) | fulfil.Ignored(used_up):
            if used_up is not None:
                view.put(TRANSFERS, request.transfer_id, used_up)
    return outcome


def apply_timeout(view: View, transfer_id: str, now_ms: int) -> Expired | None:
    """Expire a transfer, if it is due and still open."""
    outcome = decide_timeout(view.get(TRANSFERS, transfer_id), now_ms)
    if not isinstance(outcome, Expired):
        return None
    store_transfer(view, outcome.transfer)
    if outcome.was_reserved:
        release_payer(view, outcome.transfer, now_ms)
    return outcome


def payer_eligibility(view: View, name: str, currency: str) -> prepare.PayerEligibility:
    """The payer as its own partition knows it, ordered with everything else that concerns it."""
    participant = view.get(PARTICIPANTS, name)
    return prepare.PayerEligibility(
        exists=participant is not None,
        active=participant is not None and participant.active,
        position=view.get(POSITIONS, position_key(name, currency, "POSITION")),
        settlement=view.get(POSITIONS, position_key(name, currency, "SETTLEMENT")),
    )


def payee_eligibility(context: LedgerContext, name: str, currency: str) -> prepare.PayeeEligibility:
    """The payee from this process's copy of the participants: its own partition may be anywhere."""
    participant = context.participants.get(name)
    account = None if participant is None else participant.account(currency, "POSITION")
    return prepare.PayeeEligibility(
        exists=participant is not None,
        active=participant is not None and participant.active,
        account_exists=account is not None,
        account_active=account is not None and account.active,
    )


def _raise_alarm(
    record: Record,
    view: View,
    context: LedgerContext,
    before: Position | None,
    after: Position,
    transfer_id: str,
    trace: str | None,
) -> None:
    if after.alarm_percent:
        assert before is not None
        Alarms(record, view, context.hub_name, trace).position_raised(before, after, transfer_id)
