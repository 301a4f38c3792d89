"""Topic `settlement`, and the commands of the settlement API: who of the ledger has to do what with them."""

from __future__ import annotations

from agents.context import LedgerContext
from agents.settlement.moves import make_move
from agents.settlement.netting import forget_window, leave_window
from agents.settlement.scheme import take_scheme
from agents.settlement.settlements import take_moved
from agents.settlement.windows import collect, mark_used
from clearinghub.engine.record import Handler, Record, View
from clearinghub.messages import decode_fields
from tables.scheme import scheme_of


def make_on_settlement(context: LedgerContext) -> Handler:
    """The handler of topic `settlement`."""
    hub_name = context.hub_name

    def on_settlement(record: Record, view: View) -> None:
        line, _body = decode_fields(record.value)
        match line["kind"]:
            case "close-window":
                leave_window(view, hub_name, line["window"])
            case "window-used":
                mark_used(view, line["window"])
            case "window-report":
                collect(view, line, record.timestamp_ms)
            case "forget-window":
                forget_window(view, line["window"])
            case "settlement-move":
                make_move(context, record, view, line)
            case "settlement-moved":
                take_moved(view, hub_name, line, record.timestamp_ms)
            case "scheme":
                take_scheme(view, scheme_of(line["scheme"]))
            case unknown:
                raise ValueError(f"a message of kind {unknown}")

    return on_settlement
