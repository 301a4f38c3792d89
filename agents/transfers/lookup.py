"""GET /transfers/{id}: show a transfer to one of its two DFSPs, from whichever partition has it (protocol 3.7)."""

from __future__ import annotations

from agents.notify import TransferNotifier
from agents.ring import pass_to_next_partition
from agents.turn import Turn
from clearinghub.domain.errors import ErrorInformation
from clearinghub.domain.transfers.lookup import Found, NotFound, NotParty, Silent, decide_get, transfer_body
from clearinghub.messages.transfers import GetMessage
from tables.transfers import TRANSFERS


def on_get(turn: Turn, message: GetMessage, body: bytes) -> None:
    """Answer with the transfer's state, or an error if no partition has it or the requester is no party to it."""
    stored = turn.view.get(TRANSFERS, message.id)
    if stored is None and pass_to_next_partition(turn, "lookup", message, body):
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
