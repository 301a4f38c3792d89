"""The coordinator's rows of settlement windows, and the topic to which each change is published.

The coordinator is the partition of the hub's name. How a window closes is in closing.py.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import msgspec
from msgspec.structs import replace

from agents.turn import Turn
from clearinghub.domain.settlement.netting import Net, NettingGroup, Party
from clearinghub.domain.settlement.window import FIRST_WINDOW, Content, Window
from clearinghub.domain.time import timestamp_text
from clearinghub.engine.record import View
from clearinghub.messages import VERSION, Message, encode
from clearinghub.messages.settlement import WindowUsedMessage
from tables.counters import COUNTERS
from tables.settlements import SETTLEMENT_WINDOWS, window_key

LATEST: Final = "window"  # counter: the number of the open window


def latest_window(view: View) -> int:
    """Return the number of the open window."""
    return view.get(COUNTERS, LATEST) or FIRST_WINDOW


def find_window(view: View, window_id: int) -> Window | None:
    """Return the coordinator's row of a window, or None."""
    return view.get(SETTLEMENT_WINDOWS, window_key(window_id))


def put_open_window(view: View, window: Window) -> None:
    """Store a window that is opened now; from here on it is the latest."""
    view.put(COUNTERS, LATEST, window.window_id)
    store_window(view, window)


def on_window_used(turn: Turn, message: WindowUsedMessage, _body: bytes) -> None:
    """Note that a window has a transfer: an empty window is not closed."""
    window = find_window(turn.view, message.window)
    assert window is not None, f"window {message.window} was never opened"
    if not window.used:
        turn.view.put(SETTLEMENT_WINDOWS, window_key(message.window), replace(window, used=True))


def store_window(view: View, window: Window) -> None:
    """Store a window and publish its current state, topic `settlement-windows`."""
    view.put(SETTLEMENT_WINDOWS, window_key(window.window_id), window)
    record = {
        "v": VERSION,
        "kind": "window",
        "settlementWindowId": window.window_id,
        "state": window.state.value,
        "reason": window.reason,
        "createdAt": timestamp_text(window.created_at_ms),
        "changedAt": timestamp_text(window.changed_at_ms),
        "contents": [_content_fields(content) for content in window.contents],
    }
    _publish(view, window.window_id, record)


def publish_nets(
    view: View, window_id: int, netting_group: NettingGroup, entries: Iterable[tuple[Party, Net]], closed_at_ms: int
) -> None:
    """Publish some of the nets of one content of a window that is about to be closed, topic `settlement-windows`."""
    record = {
        "v": VERSION,
        "kind": "nets",
        "settlementWindowId": window_id,
        "currency": netting_group.currency,
        "ledgerAccountType": netting_group.account_type,
        "granularity": netting_group.granularity,
        "closedAt": timestamp_text(closed_at_ms),
        "nets": [
            {
                "participant": party.participant,
                "counterparty": party.counterparty,
                "debits": net.debits,
                "credits": net.credits,
                "debitCount": net.debit_count,
                "creditCount": net.credit_count,
                "net": net.amount,
            }
            for party, net in entries
        ],
    }
    _publish(view, window_id, record)


def send_to_itself(view: View, message: Message) -> None:
    """Continue by a record to this partition: what is left is done with it, in a transaction of its own."""
    view.emit_to_partition("settlement", view.partition, "", encode(message))


def broadcast(view: View, message: Message) -> None:
    """Send a message to every partition; all partitions receive all broadcasts in the same order."""
    value = encode(message)
    for partition in range(view.partitions):
        view.emit_to_partition("settlement", partition, "", value)


def _content_fields(content: Content) -> dict[str, object]:
    return {
        "id": content.content_id,
        "currency": content.netting_group.currency,
        "ledgerAccountType": content.netting_group.account_type,
        "granularity": content.netting_group.granularity,
        "state": content.state.value,
        "transfers": content.transfers,
        "settlementId": content.settlement_id,
    }


def _publish(view: View, window_id: int, record: dict[str, object]) -> None:
    view.emit_to_partition("settlement-windows", view.partition, str(window_id), msgspec.json.encode(record))
