"""GET /transfers/{id}, and fulfils that did not find their transfer: both walk the ring of partitions (design 3)."""

from __future__ import annotations

from agents.context import LedgerContext
from agents.notify import TransferNotifier
from clearinghub.domain.errors import ErrorInformation
from clearinghub.domain.transfers.lookup import Found, NotFound, NotParty, Silent, decide_get, transfer_body
from clearinghub.engine.record import Handler, Record, View
from clearinghub.messages import decode_fields, encode
from tables.transfers import TRANSFERS


def make_on_lookup(context: LedgerContext, on_fulfil: Handler) -> Handler:
    """The handler of topic `lookup`; `on_fulfil` is the one of topic `fulfil`."""

    def on_lookup(record: Record, view: View) -> None:
        line, _body = decode_fields(record.value)
        if line["kind"] == "fulfil":
            on_fulfil(record, view)
            return
        stored = view.get(TRANSFERS, line["id"])
        if stored is None and line["hops"] + 1 < view.partitions:
            onward = encode({**line, "hops": line["hops"] + 1})
            view.emit_to_partition("lookup", (view.partition + 1) % view.partitions, line["id"], onward)
            return
        requester = line["source"]
        notifier = TransferNotifier(record, view, line["id"], line["trace"], context.hub_name)
        match decide_get(stored, requester, requester_exists=context.participants.get(requester) is not None):
            case Found(transfer):
                notifier.put(requester, transfer_body(transfer))
            case NotFound(rejection) | NotParty(rejection):
                notifier.error(requester, ErrorInformation.of(rejection))
            case Silent():
                pass

    return on_lookup
