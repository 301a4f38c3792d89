"""What a commit books beside the transfer's own row: nets, the payee's credit, the fee, immediate settlement.

Each leg of a transfer is counted in a window's nets on its own account's partition. Closing the window only collects
what was counted (closing.py).
"""

from __future__ import annotations

from typing import Final

from agents.posting import PRINCIPLE_VALUE, move_account, store_transfer
from clearinghub.domain.settlement.interchange_fee import INTERCHANGE_FEE
from clearinghub.domain.settlement.netting import (
    GROSS,
    NET,
    Net,
    NettingGroup,
    Party,
    SettlementMethod,
    settlement_method_of,
)
from clearinghub.domain.settlement.scheme import POSITION
from clearinghub.domain.settlement.settlement import NET_RECIPIENT, NET_SENDER
from clearinghub.domain.transfers.transfer import Step, Transfer
from clearinghub.engine.record import View
from clearinghub.messages import encode
from clearinghub.messages.settlement import WindowUsedMessage
from clearinghub.messages.transfers import CreditMessage
from tables.nets import NetKey, change_net
from tables.positions import position_key
from tables.scheme import scheme_copy
from tables.windows import ANNOUNCED, WINDOWS

_SETTLEMENT_TOPIC: Final = "settlement"


def book_commit(view: View, hub_name: str, transfer: Transfer, trace: str | None) -> Transfer:
    """Book a committed transfer on the payer's partition; return it in its last state.

    The payee's leg cannot be refused, so it follows by a credit (design 3). The credit has the window and the
    settlement method of this partition, so that both legs are counted alike. Under an immediate gross model, both
    DFSPs' settlement accounts move with the transfer, their positions go back, and it is SETTLED (protocol 9.6).
    """
    window, amount = transfer.window, transfer.amount
    assert window is not None
    method = settlement_method_of(scheme_copy(view).models, transfer.currency, POSITION)
    netting_group = NettingGroup(transfer.currency, POSITION, method.granularity)
    debtor = Party(transfer.payer, transfer.payee if method.by_pairs else "")
    change_net(view, NetKey(window, netting_group, debtor), lambda net: net.debited(amount))
    _announce_first_transfer(view, hub_name, window)
    if method.settlement_account_type is not None:
        transfer = transfer.step(Step.SETTLE, transfer.changed_at_ms)
        settle_gross(
            view,
            transfer.transfer_id,
            transfer.payer,
            transfer.currency,
            method.settlement_account_type,
            amount,
            transfer.changed_at_ms,
        )
    store_transfer(view, transfer)
    _emit_credit(view, transfer, method, POSITION, -amount, PRINCIPLE_VALUE, trace)
    if transfer.interchange_fee:
        _book_fee(view, transfer, trace)
    return transfer


def settle_gross(
    view: View, transfer_id: str, participant: str, currency: str, settlement_account_type: str, owed: int, now_ms: int
) -> None:
    """Move what a DFSP owes (`owed`, negative for what it is owed) from its position to its settlement account."""
    entry = NET_SENDER if owed >= 0 else NET_RECIPIENT
    move_account(view, position_key(participant, currency, POSITION), -owed, transfer_id, entry, now_ms)
    move_account(view, position_key(participant, currency, settlement_account_type), owed, transfer_id, entry, now_ms)


def count_credit(view: View, credit: CreditMessage) -> None:
    """Count a credit in the window of its commit, whatever window is open on this partition now."""
    assert credit.window is not None
    granularity = GROSS if credit.settles_into else NET
    netting_group = NettingGroup(credit.currency, credit.account_type, granularity)
    key = NetKey(credit.window, netting_group, Party(credit.participant, credit.counterparty))
    _count(view, key, credit.change)


def _book_fee(view: View, transfer: Transfer, trace: str | None) -> None:
    """Book the fee on accounts of its own, which are settled by a model of their own (protocol 9.6)."""
    fee, currency, window = transfer.interchange_fee, transfer.currency, transfer.window
    assert window is not None
    method = settlement_method_of(scheme_copy(view).models, currency, INTERCHANGE_FEE)
    key = position_key(transfer.payer, currency, INTERCHANGE_FEE)
    move_account(view, key, fee, transfer.transfer_id, INTERCHANGE_FEE, transfer.changed_at_ms)
    party = Party(transfer.payer, transfer.payee if method.by_pairs else "")
    _count(view, NetKey(window, NettingGroup(currency, INTERCHANGE_FEE, NET), party), fee)
    netted = SettlementMethod(by_pairs=method.by_pairs)  # no model settles fees at once
    _emit_credit(view, transfer, netted, INTERCHANGE_FEE, -fee, INTERCHANGE_FEE, trace)


def _emit_credit(
    view: View,
    transfer: Transfer,
    method: SettlementMethod,
    account_type: str,
    change: int,
    entry: str,
    trace: str | None,
) -> None:
    credit = CreditMessage(
        id=transfer.transfer_id,
        participant=transfer.payee,
        currency=transfer.currency,
        account_type=account_type,
        change=change,
        entry=entry,
        window=transfer.window,
        counterparty=transfer.payer if method.by_pairs else "",
        settles_into=method.settlement_account_type or "",
        trace=trace,
    )
    view.emit("credit", transfer.payee, encode(credit))


def _count(view: View, key: NetKey, change: int) -> None:
    """Count a debit if the account owes more by `change`, else a credit; a change of 0 is a credit."""

    def counted(net: Net) -> Net:
        return net.debited(change) if change > 0 else net.credited(-change)

    change_net(view, key, counted)


def _announce_first_transfer(view: View, hub_name: str, window: int) -> None:
    """Tell the coordinator, once, that this window is not empty."""
    if view.get(WINDOWS, ANNOUNCED) == window:
        return
    view.put(WINDOWS, ANNOUNCED, window)
    view.emit(_SETTLEMENT_TOPIC, hub_name, encode(WindowUsedMessage(window=window)))
