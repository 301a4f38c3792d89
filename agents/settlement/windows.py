"""The coordinator of settlement windows, on the partition of the hub's name: opens, closes, judges (protocol 9.2).

Every step is a record of a transaction. Whatever worker is killed, the next owner of its partition goes on where the
last transaction ended, and no step is taken twice.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

import orjson
import structlog

from clearinghub.domain.errors import Rejection
from clearinghub.domain.settlement.creation import AccountIds, ContentNets
from clearinghub.domain.settlement.fields import net_fields, net_of
from clearinghub.domain.settlement.netting import Net, NettingGroup, Party
from clearinghub.domain.settlement.window import (
    FIRST_WINDOW,
    Window,
    WindowState,
    close,
    open_window,
    take_report,
)
from clearinghub.domain.time import timestamp_text
from clearinghub.engine.record import Punctuator, PunctuatorView, View
from clearinghub.messages import VERSION, encode
from clearinghub.messages.settlement import CloseWindowMessage, ForgetWindowMessage
from tables.counters import COUNTERS, next_id
from tables.settlements import CONTENTS, NETTING_GROUPS, SETTLEMENT_WINDOWS, content_key, netting_groups_key, window_key

log = structlog.get_logger(__name__)

LATEST: Final = "window"  # counter: the number of the open window
DUE: Final = "window-due"  # counter: when the schedule closes it, in milliseconds since 1970
DUE_BY: Final = "window-due-by"  # counter: the number of the schedule that says so
SCHEDULED: Final = "closed by schedule"

NextDue = Callable[[int], int]
"""The schedule's next time behind a time, both in milliseconds since 1970."""


def make_window_punctuator(coordinator: int, next_due: NextDue | None, schedule: int = 0) -> Punctuator:
    """On the coordinator's partition: open the first window, and close windows by the schedule, if there is one.

    The next time that is due is a row. So a time is used once, whoever has the partition; of times that passed while
    nobody had it, one is made up for. What another schedule made due, by its number `schedule`, is due no more.
    """

    def punctuate(view: PunctuatorView, now_ms: int) -> None:
        if view.partition != coordinator:
            return
        if view.get(COUNTERS, LATEST) is None:
            _open(view, open_window(FIRST_WINDOW, now_ms))
        if next_due is None:
            if view.get(COUNTERS, DUE) is not None:
                view.delete(COUNTERS, DUE)
            return
        due_ms = view.get(COUNTERS, DUE) if view.get(COUNTERS, DUE_BY) == schedule else None
        if due_ms is not None and now_ms >= due_ms:
            closed = close_window(view, latest_window(view), SCHEDULED, now_ms)
            if isinstance(closed, Rejection):
                log.info("window-not-closed", reason=closed.description)
        if due_ms is None or now_ms >= due_ms or due_ms > next_due(now_ms):
            view.put(COUNTERS, DUE, next_due(now_ms))
            view.put(COUNTERS, DUE_BY, schedule)

    return punctuate


def latest_window(view: View) -> int:
    """The number of the open window."""
    return view.get(COUNTERS, LATEST) or FIRST_WINDOW


def find_window(view: View, window_id: int) -> Window | None:
    """The coordinator's row of a window."""
    return view.get(SETTLEMENT_WINDOWS, window_key(window_id))


def close_window(view: View, window_id: int, reason: str, now_ms: int) -> Window | Rejection:
    """Begin to close a window; gives the one that is open now."""
    closing = close(window_id, find_window(view, window_id), reason, now_ms)
    if isinstance(closing, Rejection):
        return closing
    store_window(view, closing.closing)
    if closing.opened is not None:
        _open(view, closing.opened)
    message: CloseWindowMessage = {"v": VERSION, "kind": "close-window", "window": window_id}
    broadcast(view, encode(message))
    log.info("window-closing", window=window_id)
    opened = closing.opened or find_window(view, latest_window(view))
    assert opened is not None
    return opened


def mark_used(view: View, window_id: int) -> None:
    """A partition has its first transfer in the window."""
    window = find_window(view, window_id)
    assert window is not None, f"window {window_id} was never opened"
    if not window.used:
        view.put(SETTLEMENT_WINDOWS, window_key(window_id), replace(window, used=True))


def collect(view: View, line: dict[str, Any], now_ms: int) -> None:
    """Take a partition's report; the last one of a window closes it, or tells why it cannot be closed."""
    window_id = line["window"]
    window = find_window(view, window_id)
    assert window is not None, f"window {window_id} was never opened"
    if window.state is not WindowState.PROCESSING:
        return
    _merge(view, window_id, line["nets"])
    if not line["is_last"]:
        return
    nets = {
        netting_group: stored_nets(view, window_id, netting_group).nets
        for netting_group in _netting_groups(view, window_id)
    }
    after = take_report(window, line["partition"], view.partitions, nets, lambda: next_id(view), now_ms)
    if after.state is WindowState.PROCESSING:
        view.put(SETTLEMENT_WINDOWS, window_key(window_id), after)
        return
    store_window(view, after)
    if after.state is WindowState.FAILED:
        log.error("window-failed", window=window_id, reason=after.reason)
        return
    log.info("window-closed", window=window_id, transfers=sum(content.transfers for content in after.contents))
    for content in after.contents:
        _publish_nets(view, after, content.netting_group)
    view.delete(NETTING_GROUPS, netting_groups_key(window_id))
    message: ForgetWindowMessage = {"v": VERSION, "kind": "forget-window", "window": window_id}
    broadcast(view, encode(message))


def stored_nets(view: View, window_id: int, netting_group: NettingGroup) -> ContentNets:
    """What was reported of a netting_group in a window."""
    return view.get(CONTENTS, content_key(window_id, netting_group)) or ContentNets({}, {})


def store_window(view: View, window: Window) -> None:
    """Store a window and publish how it stands, topic `settlement-windows`."""
    view.put(SETTLEMENT_WINDOWS, window_key(window.window_id), window)
    _publish(
        view,
        window.window_id,
        {
            "v": VERSION,
            "kind": "window",
            "settlementWindowId": window.window_id,
            "state": window.state.value,
            "reason": window.reason,
            "createdAt": timestamp_text(window.created_at_ms),
            "changedAt": timestamp_text(window.changed_at_ms),
            "contents": [
                {
                    "id": content.content_id,
                    "currency": content.netting_group.currency,
                    "ledgerAccountType": content.netting_group.account_type,
                    "granularity": content.netting_group.granularity,
                    "state": content.state.value,
                    "transfers": content.transfers,
                    "settlementId": content.settlement_id,
                }
                for content in window.contents
            ],
        },
    )


def broadcast(view: View, value: bytes) -> None:
    """To every partition, in the order in which all broadcasts are made."""
    for partition in range(view.partitions):
        view.emit_to_partition("settlement", partition, "", value)


def _open(view: View, window: Window) -> None:
    view.put(COUNTERS, LATEST, window.window_id)
    store_window(view, window)


def _netting_groups(view: View, window_id: int) -> list[NettingGroup]:
    return [NettingGroup(*fields) for fields in view.get(NETTING_GROUPS, netting_groups_key(window_id)) or []]


def _merge(view: View, window_id: int, rows: list[list[Any]]) -> None:
    """Put reported nets beside those of the other partitions; what was reported before is replaced."""
    by_netting_group: dict[NettingGroup, tuple[dict[Party, Net], dict[str, AccountIds]]] = {}
    for currency, account_type, granularity, participant, counterparty, participant_id, account_id, *sums in rows:
        nets, accounts = by_netting_group.setdefault(NettingGroup(currency, account_type, granularity), ({}, {}))
        party, net = net_of([participant, counterparty, *sums])
        nets[party] = net
        accounts[participant] = AccountIds(participant_id, account_id)
    known = _netting_groups(view, window_id)
    new = [list(netting_group) for netting_group in by_netting_group if netting_group not in known]
    if new:
        view.put(NETTING_GROUPS, netting_groups_key(window_id), [*map(list, known), *new])
    for netting_group, (nets, accounts) in by_netting_group.items():
        stored = stored_nets(view, window_id, netting_group)
        merged = ContentNets({**stored.nets, **nets}, {**stored.accounts, **accounts})
        view.put(CONTENTS, content_key(window_id, netting_group), merged)


def _publish_nets(view: View, window: Window, netting_group: NettingGroup) -> None:
    nets = stored_nets(view, window.window_id, netting_group).nets
    names = ("participant", "counterparty", "debits", "credits", "debitCount", "creditCount")
    _publish(
        view,
        window.window_id,
        {
            "v": VERSION,
            "kind": "nets",
            "settlementWindowId": window.window_id,
            "currency": netting_group.currency,
            "ledgerAccountType": netting_group.account_type,
            "granularity": netting_group.granularity,
            "closedAt": timestamp_text(window.changed_at_ms),
            "nets": [
                {**dict(zip(names, net_fields(party, net), strict=True)), "net": net.amount}
                for party, net in sorted(nets.items())
            ],
        },
    )


def _publish(view: View, window_id: int, record: dict[str, Any]) -> None:
    view.emit_to_partition("settlement-windows", view.partition, str(window_id), orjson.dumps(record))
