"""How a settlement window closes, from the command to CLOSED (protocol 9.2, design 7).

The coordinator is the partition that has the hub's name. The messages are in clearinghub/messages/settlement.py.

1. `close_window`, on the coordinator, by an operator's command or by the schedule: the window is set to PROCESSING, the
   next window is opened, and a `CloseWindowMessage` goes to every partition.
2. `on_close_window`, on every partition: commits from here on belong to the next window. The partition has emitted its
   last credit of the window, so it writes a marker to every partition, on topic `credit`, where it follows that credit.
3. `on_window_marker`, on every partition: a marker from each partition means that all credits of the window are here.
   The partition reports the window's nets to the coordinator.
4. `on_window_report`, on the coordinator: it stores the nets, an entry each. If the partition has more, they are
   requested (`on_report_window`). With the last partition's last report it is known whether the nets add up to zero;
   if they do not, the window is FAILED.
5. `on_publish_window`, on the coordinator: the nets are published, some with each record; with the last of them the
   window is CLOSED.
6. `on_forget_window`, on every partition: the coordinator has the nets now, so they are deleted here.

No step reads or writes more than a bounded number of nets (`settlement_entries_at_once`); one that has more to do
continues with a record of its own. Each step is one record's transaction: whichever worker is killed, the next owner
of its partition continues after the last transaction, and no step happens twice. If a message was dead-lettered, the
window remains PROCESSING. An operator who closes it once more makes the partitions repeat what they have sent
(`again`), and the coordinator request what it misses.
"""

from __future__ import annotations

from itertools import groupby

import structlog
from msgspec.structs import replace

from agents.settlement.windows import (
    broadcast,
    find_window,
    latest_window,
    publish_nets,
    put_open_window,
    send_to_itself,
    store_window,
)
from agents.turn import Turn
from clearinghub.domain.errors import Rejection
from clearinghub.domain.settlement.netting import AccountIds, ContentSums, Party, PartyNet
from clearinghub.domain.settlement.window import (
    Window,
    WindowState,
    add_report,
    begin_closing,
    close,
    fail,
    fault_of,
)
from clearinghub.engine.record import View
from clearinghub.messages import encode
from clearinghub.messages.settlement import (
    CloseWindowMessage,
    ForgetWindowMessage,
    PublishWindowMessage,
    ReportedNet,
    ReportWindowMessage,
    WindowMarkerMessage,
    WindowReportMessage,
)
from tables.counters import next_id
from tables.nets import MARKERS, NETS, WindowMarkers, markers_key, net_key_of, net_keys
from tables.participants import PARTICIPANTS
from tables.positions import POSITIONS, position_key
from tables.settlements import (
    ENTRIES,
    PUBLICATIONS,
    REPORTS,
    SETTLEMENT_WINDOWS,
    SUMS,
    Publication,
    ReportProgress,
    StoredEntry,
    entries_prefix,
    entry_key,
    entry_place,
    publication_key,
    report_key,
    stored_sums,
    sums_key,
    window_key,
)
from tables.windows import OPEN, WINDOWS, open_window

log = structlog.get_logger(__name__)


def close_window(view: View, window_id: int, reason: str, now_ms: int) -> Window | Rejection:
    """Step 1: begin to close a window; return the window that is open now."""
    closing = begin_closing(window_id, find_window(view, window_id), reason, now_ms)
    if isinstance(closing, Rejection):
        return closing
    store_window(view, closing.processing)
    publication = view.get(PUBLICATIONS, publication_key(window_id))
    if publication is not None:  # its record may have been lost
        send_to_itself(view, PublishWindowMessage(window=window_id, after=publication.published_to))
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
    """Step 4: store some of a partition's nets; request the next ones, or complete the window with the last."""
    view, window_id, partition = turn.view, message.window, message.partition
    window = find_window(view, window_id)
    assert window is not None, f"window {window_id} was never opened"
    if window.state is not WindowState.PROCESSING or partition in window.reported:
        return
    key = report_key(window_id, partition)
    progress = view.get(REPORTS, key) or ReportProgress()
    if message.after != progress.reported_to:
        if not message.after:  # the partition begins once more, and has lost its place
            _request_report(view, window_id, partition, progress.reported_to)
        return
    for one in message.nets:
        _store_entry(view, window_id, one)
    if not message.is_last:
        view.put(REPORTS, key, ReportProgress(message.to))
        _request_report(view, window_id, partition, message.to)
        return
    view.delete(REPORTS, key)
    window = add_report(window, partition, view.partitions)
    view.put(SETTLEMENT_WINDOWS, window_key(window_id), window)
    if len(window.reported) == view.partitions:
        _complete(turn, window)


def on_report_window(turn: Turn, message: ReportWindowMessage, _body: bytes) -> None:
    """Step 4, on a partition: report the nets that follow those which the coordinator has."""
    _report(turn, message.window, message.after)


def on_publish_window(turn: Turn, message: PublishWindowMessage, _body: bytes) -> None:
    """Step 5: publish the next nets of a window, and close it after the last."""
    publication = turn.view.get(PUBLICATIONS, publication_key(message.window))
    if publication is not None and publication.published_to == message.after:
        _publish_some(turn, message.window, publication)


def on_forget_window(turn: Turn, message: ForgetWindowMessage, _body: bytes) -> None:
    """Step 6: delete this partition's nets of a closed window."""
    view, at_once = turn.view, turn.context.settlement_entries_at_once
    keys = net_keys(view, message.window, message.after, at_once)
    for key in keys:
        view.delete(NETS, key)
    if len(keys) == at_once:
        send_to_itself(view, ForgetWindowMessage(window=message.window, after=keys[-1]))
    else:
        view.delete(MARKERS, markers_key(message.window))


def _complete(turn: Turn, window: Window) -> None:
    """Begin to publish the nets of a window that has all its reports, or say why it cannot be closed."""
    view, now_ms = turn.view, turn.now_ms
    fault = fault_of(stored_sums(view, window.window_id))
    if fault is not None:
        log.error("window-failed", window=window.window_id, reason=fault)
        store_window(view, fail(window, fault, now_ms))
        return
    publication = Publication(now_ms)
    view.put(PUBLICATIONS, publication_key(window.window_id), publication)
    _publish_some(turn, window.window_id, publication)


def _publish_some(turn: Turn, window_id: int, publication: Publication) -> None:
    view, at_once = turn.view, turn.context.settlement_entries_at_once
    keys = view.keys(ENTRIES, entries_prefix(window_id), publication.published_to, at_once)
    for netting_group, of_group in groupby(keys, lambda key: entry_place(key)[0]):
        entries = [(entry_place(key)[1], _entry(view, key).net) for key in of_group]
        publish_nets(view, window_id, netting_group, entries, publication.complete_at_ms)
    if len(keys) == at_once:
        view.put(PUBLICATIONS, publication_key(window_id), replace(publication, published_to=keys[-1]))
        send_to_itself(view, PublishWindowMessage(window=window_id, after=keys[-1]))
        return
    view.delete(PUBLICATIONS, publication_key(window_id))
    window = find_window(view, window_id)
    assert window is not None
    sums = stored_sums(view, window_id)
    assert all(one.net.amount == 0 for one in sums.values()), f"window {window_id} is out of balance"
    closed = close(window, sums, lambda: next_id(view), publication.complete_at_ms)
    store_window(view, closed)
    log.info("window-closed", window=window_id, transfers=sum(content.transfers for content in closed.contents))
    broadcast(view, ForgetWindowMessage(window=window_id))


def _entry(view: View, key: str) -> StoredEntry:
    entry = view.get(ENTRIES, key)
    assert entry is not None
    return entry


def _store_entry(view: View, window_id: int, reported: ReportedNet) -> None:
    """Store a reported net, and what it changes of the sums; a party's earlier report is replaced."""
    group, one = reported.netting_group, reported.party_net
    party, net = one.party, one.net
    key = entry_key(window_id, group, party)
    before = view.get(ENTRIES, key)
    opposite = None
    if party.counterparty:
        opposite = view.get(ENTRIES, entry_key(window_id, group, Party(party.counterparty, party.participant)))
    sums = view.get(SUMS, sums_key(window_id, group)) or ContentSums()
    changed = sums.with_entry(
        party, None if before is None else before.net, net, None if opposite is None else opposite.net
    )
    view.put(SUMS, sums_key(window_id, group), changed)
    view.put(ENTRIES, key, StoredEntry(one.account, net))


def _request_report(view: View, window_id: int, partition: int, after: str) -> None:
    value = encode(ReportWindowMessage(window=window_id, after=after))
    view.emit_to_partition("settlement", partition, "", value)


def _write_markers(view: View, window: int, *, again: bool = False) -> None:
    value = encode(WindowMarkerMessage(window=window, source=view.partition, again=again))
    for partition in range(view.partitions):
        view.emit_to_partition("credit", partition, str(window), value)


def _report_if_complete(turn: Turn, window: int) -> None:
    view = turn.view
    markers = view.get(MARKERS, markers_key(window)) or WindowMarkers()
    if len(markers.sources) < view.partitions:
        return
    _report(turn, window, "")


def _report(turn: Turn, window: int, after: str) -> None:
    """Report the partition's nets of a window after the key `after`, as many as one record takes."""
    view, at_once = turn.view, turn.context.settlement_entries_at_once
    keys = net_keys(view, window, after, at_once + 1)
    is_last, keys = len(keys) <= at_once, keys[:at_once]
    report = WindowReportMessage(
        window=window,
        partition=view.partition,
        nets=tuple(_reported_net(view, key) for key in keys),
        is_last=is_last,
        after=after,
        to=keys[-1] if keys else after,
    )
    view.emit("settlement", turn.hub_name, encode(report))


def _reported_net(view: View, row_key: str) -> ReportedNet:
    key, row = net_key_of(row_key), view.get(NETS, row_key)
    assert row is not None
    name = key.party.participant
    participant = view.get(PARTICIPANTS, name)
    account = view.get(POSITIONS, position_key(name, key.netting_group.currency, key.netting_group.account_type))
    assert participant is not None
    assert account is not None
    ids = AccountIds(participant.participant_id, account.account_id)
    return ReportedNet(key.netting_group, PartyNet(key.party, ids, row.net))
