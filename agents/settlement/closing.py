"""How a settlement window closes, from the command to CLOSED (protocol 9.2, design 7).

The coordinator is the partition that has the hub's name. The messages are in clearinghub/messages/settlement.py.

1. `close_window`, on the coordinator, by an operator's command or by the schedule: the window is set to PROCESSING, the
   next window is opened, and a `CloseWindowMessage` goes to every partition.
2. `on_close_window`, on every partition: commits from here on belong to the next window. The partition has emitted its
   last credit of the window, so it writes a marker to every partition, on topic `credit`, where it follows that credit.
3. `on_window_marker`, on every partition: a marker from each partition means that all credits of the window are here.
   The partition reports the window's nets to the coordinator.
4. `on_window_report`, on the coordinator: it stores the nets. With the last partition's report the window is CLOSED,
   or FAILED if the nets do not add up to zero. The nets of a closed window are published.
5. `on_forget_window`, on every partition: the coordinator has the nets now, so they are deleted here.

Each step is one record's transaction: whichever worker is killed, the next owner of its partition continues after the
last transaction, and no step happens twice. If a message was dead-lettered, the window remains PROCESSING. An operator
who closes it once more makes the partitions repeat what they have sent (`again`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import structlog

from agents.settlement.windows import (
    broadcast,
    find_window,
    latest_window,
    publish_nets,
    put_open_window,
    store_window,
    stored_nets,
)
from agents.turn import Turn
from clearinghub.domain.errors import Rejection
from clearinghub.domain.settlement.netting import AccountIds, Net, NettingGroup, PartyNet
from clearinghub.domain.settlement.window import Window, WindowState, add_report, begin_closing
from clearinghub.engine.record import View
from clearinghub.messages import encode
from clearinghub.messages.settlement import (
    CloseWindowMessage,
    ForgetWindowMessage,
    ReportedNet,
    WindowMarkerMessage,
    WindowReportMessage,
)
from tables.counters import next_id
from tables.nets import MARKERS, NetKey, WindowMarkers, delete_nets, markers_key, nets_of
from tables.participants import PARTICIPANTS
from tables.positions import POSITIONS, position_key
from tables.settlements import (
    CONTENTS,
    REPORTED_GROUPS,
    SETTLEMENT_WINDOWS,
    ReportedGroups,
    content_key,
    reported_groups_key,
    window_key,
)
from tables.windows import OPEN, WINDOWS, open_window

log = structlog.get_logger(__name__)

REPORTED_AT_ONCE: Final = 2_000  # nets in one record, some 200 KB


def close_window(view: View, window_id: int, reason: str, now_ms: int) -> Window | Rejection:
    """Step 1: begin to close a window; return the window that is open now."""
    closing = begin_closing(window_id, find_window(view, window_id), reason, now_ms)
    if isinstance(closing, Rejection):
        return closing
    store_window(view, closing.processing)
    if closing.opened is not None:
        put_open_window(view, closing.opened)
    broadcast(view, CloseWindowMessage(window=window_id))
    log.info("window-closing", window=window_id)
    opened = closing.opened or find_window(view, latest_window(view))
    assert opened is not None
    return opened


def on_close_window(turn: Turn, message: CloseWindowMessage, _body: bytes) -> None:
    """Step 2: leave the window, and write a marker to every partition.

    If this partition has left the window before, an operator closes it once more: markers and report are repeated, for
    the partitions that miss them.
    """
    view, window = turn.view, message.window
    if open_window(view) > window:
        key = markers_key(window)
        # A row without markers still says that this partition waits for the markers of all.
        view.put(MARKERS, key, view.get(MARKERS, key) or WindowMarkers())
        _write_markers(view, window, again=True)
        _report_if_complete(turn, window)
        return
    assert open_window(view) == window, f"window {window} is closed while {open_window(view)} is open"
    view.put(WINDOWS, OPEN, window + 1)
    _write_markers(view, window)


def on_window_marker(turn: Turn, message: WindowMarkerMessage, _body: bytes) -> None:
    """Step 3: note that all credits of the window from partition `source` are here; report if it was the last marker.

    A repeated marker counts only if the first one never came, and if this partition still has the window.
    """
    view, key = turn.view, markers_key(message.window)
    markers = view.get(MARKERS, key)
    sources = () if markers is None else markers.sources
    if message.again and (markers is None or message.source in sources):
        return
    assert message.source not in sources, f"second marker of partition {message.source} for window {message.window}"
    view.put(MARKERS, key, WindowMarkers((*sources, message.source)))
    _report_if_complete(turn, message.window)


def on_window_report(turn: Turn, message: WindowReportMessage, _body: bytes) -> None:
    """Step 4: store a partition's nets; with the last report of a window, close it or say why it cannot be closed."""
    view, window_id = turn.view, message.window
    window = find_window(view, window_id)
    assert window is not None, f"window {window_id} was never opened"
    if window.state is not WindowState.PROCESSING:
        return
    _store_reported(view, window_id, message.nets)
    if not message.is_last:
        return
    nets = {group: stored_nets(view, window_id, group).nets for group in _reported_groups(view, window_id)}
    after = add_report(window, message.partition, view.partitions, nets, lambda: next_id(view), turn.now_ms)
    if after.state is WindowState.PROCESSING:
        view.put(SETTLEMENT_WINDOWS, window_key(window_id), after)
        return
    store_window(view, after)
    if after.state is WindowState.FAILED:
        log.error("window-failed", window=window_id, reason=after.reason)
        return
    log.info("window-closed", window=window_id, transfers=sum(content.transfers for content in after.contents))
    for content in after.contents:
        assert sum(net.amount for net in nets[content.netting_group].values()) == 0, f"{content} is out of balance"
        publish_nets(view, after, content.netting_group)
    view.delete(REPORTED_GROUPS, reported_groups_key(window_id))
    broadcast(view, ForgetWindowMessage(window=window_id))


def on_forget_window(turn: Turn, message: ForgetWindowMessage, _body: bytes) -> None:
    """Step 5: delete this partition's nets of a closed window."""
    delete_nets(turn.view, message.window)


def _write_markers(view: View, window: int, *, again: bool = False) -> None:
    value = encode(WindowMarkerMessage(window=window, source=view.partition, again=again))
    for partition in range(view.partitions):
        view.emit_to_partition("credit", partition, str(window), value)


def _report_if_complete(turn: Turn, window: int) -> None:
    view = turn.view
    markers = view.get(MARKERS, markers_key(window)) or WindowMarkers()
    if len(markers.sources) < view.partitions:
        return
    nets = [_reported_net(view, key, net) for key, net in nets_of(view, window).items()]
    for chunk, is_last in _chunks(nets):
        report = WindowReportMessage(window=window, partition=view.partition, nets=tuple(chunk), is_last=is_last)
        view.emit("settlement", turn.hub_name, encode(report))


def _reported_net(view: View, key: NetKey, net: Net) -> ReportedNet:
    name = key.party.participant
    participant = view.get(PARTICIPANTS, name)
    account = view.get(POSITIONS, position_key(name, key.netting_group.currency, key.netting_group.account_type))
    assert participant is not None
    assert account is not None
    ids = AccountIds(participant.participant_id, account.account_id)
    return ReportedNet(key.netting_group, PartyNet(key.party, ids, net))


def _chunks(nets: Sequence[ReportedNet]) -> Iterator[tuple[Sequence[ReportedNet], bool]]:
    """Yield a report in parts that one record can hold, and whether each is the last; without nets, one empty part."""
    for start in range(0, max(len(nets), 1), REPORTED_AT_ONCE):
        end = start + REPORTED_AT_ONCE
        yield nets[start:end], end >= len(nets)


def _reported_groups(view: View, window_id: int) -> tuple[NettingGroup, ...]:
    row = view.get(REPORTED_GROUPS, reported_groups_key(window_id))
    return () if row is None else row.netting_groups


def _store_reported(view: View, window_id: int, nets: Sequence[ReportedNet]) -> None:
    """Store reported nets beside those of other partitions; a party's earlier report is replaced."""
    by_group: dict[NettingGroup, list[PartyNet]] = {}
    for one in nets:
        by_group.setdefault(one.netting_group, []).append(one.party_net)
    known = _reported_groups(view, window_id)
    new = tuple(group for group in by_group if group not in known)
    if new:
        view.put(REPORTED_GROUPS, reported_groups_key(window_id), ReportedGroups((*known, *new)))
    for group, parties in by_group.items():
        view.put(CONTENTS, content_key(window_id, group), stored_nets(view, window_id, group).merged(parties))
