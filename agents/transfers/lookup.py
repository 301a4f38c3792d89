"""GET /transfers/{id}, and how a request reaches the partition that knows its transfer (protocol 3.7, design 3).

A transfer or a bulk is on the partition of its payer, which a request about it need not name. So the request visits
the partitions one after the other, each handing it to the next, until one knows the answer or all were visited.
"""

from __future__ import annotations

from typing import TypeAlias

from agents.notify import TransferNotifier
from agents.turn import Turn
from clearinghub.domain.errors import ErrorInformation
from clearinghub.domain.transfers.lookup import Found, NotFound, NotParty, Silent, decide_get, transfer_body
from clearinghub.messages import encode_changed
from clearinghub.messages.bulk import BulkFulfilMessage, BulkGetMessage
from clearinghub.messages.transfers import FulfilMessage, GetMessage
from tables.transfers import TRANSFERS

RingMessage: TypeAlias = FulfilMessage | GetMessage | BulkFulfilMessage | BulkGetMessage


def on_get(turn: Turn, message: GetMessage, _body: bytes) -> None:
    """Answer with the transfer's state, or an error if no partition has it or the requester is no party to it."""
    stored = turn.view.get(TRANSFERS, message.id)
    if stored is None and pass_to_next_partition(turn, "lookup", message):
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


def pass_to_next_partition(turn: Turn, topic: str, message: RingMessage) -> bool:
    """Hand a request to the next partition; return False, having done nothing, if all partitions were visited."""
    view = turn.view
    if message.hops + 1 >= view.partitions:
        return False
    onward = encode_changed(turn.record.value, hops=message.hops + 1)
    view.emit_to_partition(topic, (view.partition + 1) % view.partitions, message.id, onward)
    return True
