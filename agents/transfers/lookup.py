"""GET /transfers/{id}, and how a request reaches the partition that knows its transfer (protocol 3.7, design 3).

A transfer or a bulk is on the partition of its payer, which a request about it need not name. So the request visits
the partitions one after the other, each handing it to the next, until one knows the answer or all were visited. An id
alone does not say that a transfer is meant, for two payers may have chosen it: so the rest must fit too.
"""

from __future__ import annotations

from typing import TypeAlias

from agents.notify import TransferNotifier
from agents.turn import Turn
from clearinghub.domain.errors import ErrorInformation
from clearinghub.domain.transfers.fit import Fit, fit_of_get
from clearinghub.domain.transfers.lookup import Found, NotFound, NotParty, Silent, decide_get, transfer_body
from clearinghub.messages import encode_changed
from clearinghub.messages.bulk import BulkFulfilMessage, BulkGetMessage
from clearinghub.messages.transfers import FulfilMessage, GetMessage
from tables.transfers import TRANSFERS

RingMessage: TypeAlias = FulfilMessage | GetMessage | BulkFulfilMessage | BulkGetMessage


def on_get(turn: Turn, message: GetMessage, _body: bytes) -> None:
    """Answer with the transfer's state, or an error if no partition has it or the requester is no party to it."""
    stored = turn.view.get(TRANSFERS, message.id)
    if is_passed_on(turn, "lookup", message, fit_of_get(stored, message.source)):
        return
    requester = message.source
    notifier = TransferNotifier(turn, message.id)
    requester_exists = turn.context.participants.get(requester) is not None
    match decide_get(stored, requester, requester_exists=requester_exists):
        case Found(transfer):
            notifier.put(requester, transfer_body(transfer))
        case NotFound(rejection) | NotParty(rejection):
            notifier.error(requester, ErrorInformation.of(rejection))
        case Silent():
            pass


def is_passed_on(turn: Turn, topic: str, message: RingMessage, fit: Fit) -> bool:
    """Hand a request on to another partition, unless it is to be decided on this one; return whether it was.

    It goes on to the next partition until a row fits it. After all of them it goes back to the row that came nearest.
    """
    view = turn.view
    here, is_over = view.partition, message.hops >= view.partitions
    if fit is Fit.FITS or is_over:
        return False
    same_payee, same_id = message.same_payee_at, message.same_id_at
    if fit is Fit.SAME_PAYEE and same_payee is None:
        same_payee = here
    elif fit is Fit.SAME_ID and same_id is None:
        same_id = here
    hops, target = message.hops + 1, (here + 1) % view.partitions
    if hops == view.partitions:
        nearest = same_id if same_payee is None else same_payee
        if nearest is None or nearest == here:
            return False
        target = nearest
    onward = encode_changed(turn.record.value, hops=hops, same_payee_at=same_payee, same_id_at=same_id)
    view.emit_to_partition(topic, target, message.id, onward)
    return True
