"""Topic `settlement`, and the commands of the settlement API: who of the ledger has to do what with them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from agents.context import LedgerContext
from agents.posting import emit_reply
from agents.settlement.moves import make_move
from agents.settlement.netting import forget_window, leave_window
from agents.settlement.settlements import abort_settlement, create_settlement, put_settlement, take_moved
from agents.settlement.windows import broadcast, close_window, collect, mark_used
from clearinghub.domain.errors import Rejection
from clearinghub.domain.participants.participant import Participant
from clearinghub.domain.settlement.fields import window_fields
from clearinghub.engine.record import Handler, Punctuator, PunctuatorView, Record, View
from clearinghub.messages import VERSION, decode_fields, encode
from clearinghub.messages.settlement import SchemeMessage
from tables.counters import COUNTERS
from tables.participants import PARTICIPANTS
from tables.scheme import KEY, SCHEME, SchemeCopy, scheme_copy, scheme_fields, scheme_of

TOLD: Final = "scheme"  # counter: the version of the hub's row that every partition was told of last

_Answer = dict[str, Any] | Rejection | None
"""None where the answer follows later."""


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


def on_settlement_command(record: Record, view: View, line: dict[str, Any]) -> None:
    """A command of the settlement API, on the partition of the hub's name; answered now or when it is carried out."""
    args = line["args"]
    waiting = {"correlation_id": line["correlation_id"], "reply_to": line["reply_to"]}
    answer = SETTLEMENT_COMMANDS[line["name"]](view, args, waiting, record.timestamp_ms)
    if answer is not None:
        emit_reply(view, **waiting, answer=answer)


def _close_window(view: View, args: dict[str, Any], _waiting: dict[str, str], now_ms: int) -> _Answer:
    opened = close_window(view, args["window"], args["reason"], now_ms)
    return opened if isinstance(opened, Rejection) else {"window": window_fields(opened)}


def _create(view: View, args: dict[str, Any], _waiting: dict[str, str], now_ms: int) -> _Answer:
    return create_settlement(view, args["hub_name"], args, now_ms)


SETTLEMENT_COMMANDS: Final[Mapping[str, Callable[[View, dict[str, Any], dict[str, str], int], _Answer]]] = {
    "close-window": _close_window,
    "create-settlement": _create,
    "put-settlement": put_settlement,
    "abort-settlement": abort_settlement,
}


def publish_scheme(view: View, hub: Participant) -> None:
    """Tell every partition how the scheme settles from now on; called where the hub's row has changed."""
    copy = SchemeCopy(hub.version, hub.models)
    message: SchemeMessage = {"v": VERSION, "kind": "scheme", "scheme": scheme_fields(copy)}
    broadcast(view, encode(message))
    view.put(COUNTERS, TOLD, hub.version)


def make_scheme_punctuator(coordinator: int, hub_name: str) -> Punctuator:
    """On the coordinator's partition: tell of models that are older than the partitions' copies of them, once."""

    def punctuate(view: PunctuatorView, _now_ms: int) -> None:
        if view.partition != coordinator or view.get(COUNTERS, TOLD) is not None:
            return
        hub = view.get(PARTICIPANTS, hub_name)
        if hub is not None and hub.models:
            publish_scheme(view, hub)

    return punctuate


def take_scheme(view: View, copy: SchemeCopy) -> None:
    """Settle by that from the next commit on."""
    if copy.hub_version >= scheme_copy(view).hub_version:
        view.put(SCHEME, KEY, copy)
