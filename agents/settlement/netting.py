"""What a commit does to the books beside the transfer's own row: nets, the payee's credit, immediate settlement.

And what a partition does when a settlement window closes (design 7): it moves on to the next window, sends a marker
behind its credits to every partition, and tells the coordinator its nets once it has the markers of all.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from agents.posting import PRINCIPLE_VALUE, move_account, store_transfer
from clearinghub.domain.settlement.interchange_fee import INTERCHANGE_FEE
from clearinghub.domain.settlement.netting import GROSS, NET, Net, NettingGroup, Party, settlement_method_of
from clearinghub.domain.settlement.scheme import POSITION
from clearinghub.domain.settlement.settlement import NET_RECIPIENT, NET_SENDER
from clearinghub.domain.transfers.transfer import Step, Transfer
from clearinghub.engine.record import View
from clearinghub.messages import VERSION, encode
from clearinghub.messages.settlement import WindowMarkerMessage, WindowReportMessage, WindowUsedMessage
from clearinghub.messages.transfers import CreditMessage
from tables.nets import MARKERS, NetKey, change_net, forget_nets, markers_key, nets_of
from tables.participants import PARTICIPANTS
from tables.positions import POSITIONS, position_key
from tables.scheme import scheme_copy
from tables.windows import OPEN, USED, WINDOWS, open_window

REPORTED_AT_ONCE: Final = 2_000  # nets in one record, some 200 KB


def book_commit(view: View, hub_name: str, transfer: Transfer, trace: str | None) -> Transfer:
    """Book a committed transfer on the payer's partition; gives it in its last state.

    The payee's leg cannot be refused, so it follows by a credit (design 3), with the window and the method of
    settlement that this partition has decided on: both legs are counted alike. Under an immediate gross model both
    DFSPs' settlement accounts move with it, their positions go back, and the transfer is SETTLED (protocol 9.6).
    """
    window, amount, now_ms = transfer.window, transfer.amount, transfer.changed_at_ms
    assert window is not None
    settlement_method = settlement_method_of(scheme_copy(view).models, transfer.currency, POSITION)
    netting_group = NettingGroup(transfer.currency, POSITION, settlement_method.granularity)
    debited = Party(transfer.payer, transfer.payee if settlement_method.by_pairs else "")
    change_net(view, NetKey(window, netting_group, debited), lambda net: net.debited(amount))
    _tell_first(view, hub_name, window)
    credit = CreditMessage(
        id=transfer.transfer_id,
        participant=transfer.payee,
        currency=transfer.currency,
        account_type=POSITION,
        change=-amount,
        entry=PRINCIPLE_VALUE,
        window=window,
        counterparty=transfer.payer if settlement_method.by_pairs else "",
        settles_into=settlement_method.settlement_account_type or "",
        trace=trace,
    )
    if settlement_method.settlement_account_type is not None:
        transfer = transfer.step(Step.SETTLE, now_ms)
        settle_gross(
            view,
            transfer.transfer_id,
            transfer.payer,
            transfer.currency,
            settlement_method.settlement_account_type,
            amount,
            now_ms,
        )
    store_transfer(view, transfer)
    view.emit("credit", transfer.payee, encode(credit))
    if transfer.interchange_fee:
        _book_fee(view, transfer, window, trace)
    return transfer


def _book_fee(view: View, transfer: Transfer, window: int, trace: str | None) -> None:
    """The fee moves accounts of its own, which are settled by a model of their own (protocol 9.6)."""
    fee, currency = transfer.interchange_fee, transfer.currency
    settlement_method = settlement_method_of(scheme_copy(view).models, currency, INTERCHANGE_FEE)
    key = position_key(transfer.payer, currency, INTERCHANGE_FEE)
    move_account(view, key, fee, transfer.transfer_id, INTERCHANGE_FEE, transfer.changed_at_ms)
    party = Party(transfer.payer, transfer.payee if settlement_method.by_pairs else "")
    _count(view, NetKey(window, NettingGroup(currency, INTERCHANGE_FEE, NET), party), fee)
    credit = CreditMessage(
        id=transfer.transfer_id,
        participant=transfer.payee,
        currency=currency,
        account_type=INTERCHANGE_FEE,
        change=-fee,
        entry=INTERCHANGE_FEE,
        window=window,
        counterparty=transfer.payer if settlement_method.by_pairs else "",
        trace=trace,
    )
    view.emit("credit", transfer.payee, encode(credit))


def settle_gross(
    view: View, transfer_id: str, participant: str, currency: str, settlement_account_type: str, owed: int, now_ms: int
) -> None:
    """Take what a DFSP owes (`owed`, negative for what it is owed) from its position to its settlement account."""
    entry = NET_SENDER if owed >= 0 else NET_RECIPIENT
    move_account(view, position_key(participant, currency, POSITION), -owed, transfer_id, entry, now_ms)
    move_account(view, position_key(participant, currency, settlement_account_type), owed, transfer_id, entry, now_ms)


def count_credit(view: View, credit: CreditMessage) -> None:
    """Count a credit in the window of its commit, whatever window this partition is in by now."""
    assert credit.window is not None
    granularity = GROSS if credit.settles_into else NET
    netting_group = NettingGroup(credit.currency, credit.account_type, granularity)
    key = NetKey(credit.window, netting_group, Party(credit.participant, credit.counterparty))
    _count(view, key, credit.change)


def _count(view: View, key: NetKey, change: int) -> None:
    """A debit if the account owes more by it, else a credit: a payment of nothing is one of those at its payee too."""
    change_net(view, key, lambda net: net.debited(change) if change > 0 else net.credited(-change))


def _tell_first(view: View, hub_name: str, window: int) -> None:
    """The coordinator must know without asking whether a window is empty."""
    if view.get(WINDOWS, USED) == window:
        return
    view.put(WINDOWS, USED, window)
    used: WindowUsedMessage = {"v": VERSION, "kind": "window-used", "window": window}
    view.emit("settlement", hub_name, encode(used))


def leave_window(view: View, hub_name: str, window: int) -> None:
    """Commits from here on belong to the next window; every partition learns where this one's credits end.

    A window that is left already is told of once more, if all of it is here: the coordinator counts it anew. A record
    of the first time may have been set aside, so the markers are sent once more too, to whoever still waits for them.
    """
    if open_window(view) > window:
        key = markers_key(window)
        view.put(MARKERS, key, view.get(MARKERS, key) or [])  # also where it waits for all of them
        _send_markers(view, window, again=True)
        _report_if_whole(view, hub_name, window)
        return
    assert open_window(view) == window, f"window {window} is closed while {open_window(view)} is open"
    view.put(WINDOWS, OPEN, window + 1)
    _send_markers(view, window)


def take_marker(view: View, hub_name: str, window: int, source: int, *, again: bool = False) -> None:
    """All credits of a window that `source` has sent to this partition were applied before.

    One that is sent again counts where it is still waited for: not here before, and the window not forgotten.
    """
    waiting = view.get(MARKERS, markers_key(window))
    seen = waiting or []
    if again and (waiting is None or source in seen):
        return
    assert source not in seen, f"second marker of partition {source} for window {window}"
    view.put(MARKERS, markers_key(window), [*seen, source])
    _report_if_whole(view, hub_name, window)


def forget_window(view: View, window: int) -> None:
    """The coordinator has its nets."""
    forget_nets(view, window)


def _send_markers(view: View, window: int, *, again: bool = False) -> None:
    marker: WindowMarkerMessage = {"v": VERSION, "kind": "window-marker", "window": window, "source": view.partition}
    if again:
        marker["again"] = True
    value = encode(marker)
    for partition in range(view.partitions):
        view.emit_to_partition("credit", partition, str(window), value)


def _report_if_whole(view: View, hub_name: str, window: int) -> None:
    seen = view.get(MARKERS, markers_key(window)) or []
    if len(seen) < view.partitions:
        return
    rows = [_reported(view, key, net) for key, net in nets_of(view, window).items()]
    for chunk, is_last in _chunks(rows):
        report: WindowReportMessage = {
            "v": VERSION,
            "kind": "window-report",
            "window": window,
            "partition": view.partition,
            "nets": chunk,
            "is_last": is_last,
        }
        view.emit("settlement", hub_name, encode(report))


def _reported(view: View, key: NetKey, net: Net) -> list[Any]:
    participant = view.get(PARTICIPANTS, key.party.participant)
    account = view.get(
        POSITIONS, position_key(key.party.participant, key.netting_group.currency, key.netting_group.account_type)
    )
    assert participant is not None
    assert account is not None
    ids = [participant.participant_id, account.account_id]
    return [*key.netting_group, *key.party, *ids, net.debits, net.credits, net.debit_count, net.credit_count]


def _chunks(rows: list[list[Any]]) -> Iterator[tuple[list[list[Any]], bool]]:
    """Parts of a size that one record may have, the last one marked; one empty part if there is nothing."""
    for start in range(0, max(len(rows), 1), REPORTED_AT_ONCE):
        end = start + REPORTED_AT_ONCE
        yield rows[start:end], end >= len(rows)
