"""What a commit books beside the transfer's own row: nets, the payee's credit, the fee, immediate settlement.

Each leg of a transfer is counted in a window's nets on its own account's partition. Closing the window only collects
what was counted (closing.py).
"""

from __future__ import annotations

from typing import Final

from agents.posting import PRINCIPLE_VALUE, move_account, store_transfer
from agents.turn import Turn
from clearinghub.domain.participants.scheme import POSITION
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


def book_commit(turn: Turn, transfer: Transfer) -> Transfer:
    """Book a committed transfer on the payer's partition; return it in its last state.

    The payee's leg cannot be refused, so it follows by a credit (design 3). The credit has the window and the
    settlement method of this partition, so that both legs are counted alike. Under an immediate gross model, both
    DFSPs' settlement accounts move with the transfer, their positions go back, and it is SETTLED (protocol 9.6).
    """
    view, window, amount = turn.view, transfer.window, transfer.amount
    assert window is not None
    method = settlement_method_of(scheme_copy(view).models, transfer.currency, POSITION)
    netting_group = NettingGroup(transfer.currency, POSITION, method.granularity)
    debtor = Party(transfer.payer, transfer.payee if method.by_pairs else "")
    change_net(view, NetKey(window, netting_group, debtor), lambda net: net.debited(amount))
    _announce_first_transfer(turn, window)
    if method.settlement_account_type is not None:
        transfer = transfer.step(Step.SETTLE, turn.now_ms)
        settlement_account_type = method.settlement_account_type
        settle_gross(turn, transfer.transfer_id, transfer.payer, transfer.currency, settlement_account_type, amount)
    store_transfer(view, transfer)
    _emit_credit(turn, transfer, method, POSITION, -amount, PRINCIPLE_VALUE)
    if transfer.interchange_fee:
        _book_fee(turn, transfer)
    return transfer


def settle_gross(
    turn: Turn, transfer_id: str, participant: str, currency: str, settlement_account_type: str, owed: int
) -> None:
    """Move what a DFSP owes (`owed`, negative for what it is owed) from its position to its settlement account."""
    entry = NET_SENDER if owed >= 0 else NET_RECIPIENT
    move_account(turn, position_key(participant, currency, POSITION), -owed, transfer_id, entry)
    move_account(turn, position_key(participant, currency, settlement_account_type), owed, transfer_id, entry)


def count_credit(view: View, credit: CreditMessage) -> None:
    """Count a credit in the window of its commit, whatever window is open on this partition now."""
    assert credit.window is not None
    granularity = GROSS if credit.settles_into else NET
    netting_group = NettingGroup(credit.currency, credit.account_type, granularity)
    key = NetKey(credit.window, netting_group, Party(credit.participant, credit.counterparty))
    _count(view, key, credit.change)


def _book_fee(turn: Turn, transfer: Transfer) -> None:
    """Book the fee on accounts of its own, which are settled by a model of their own (protocol 9.6)."""
    view, fee, currency, window = turn.view, transfer.interchange_fee, transfer.currency, transfer.window
    assert window is not None
    method = settlement_method_of(scheme_copy(view).models, currency, INTERCHANGE_FEE)
    key = position_key(transfer.payer, currency, INTERCHANGE_FEE)
    move_account(turn, key, fee, transfer.transfer_id, INTERCHANGE_FEE)
    party = Party(transfer.payer, transfer.payee if method.by_pairs else "")
    _count(view, NetKey(window, NettingGroup(currency, INTERCHANGE_FEE, NET), party), fee)
    netted = SettlementMethod(by_pairs=method.by_pairs)  # no model settles fees at once
    _emit_credit(turn, transfer, netted, INTERCHANGE_FEE, -fee, INTERCHANGE_FEE)


def _emit_credit(
    turn: Turn, transfer: Transfer, method: SettlementMethod, account_type: str, change: int, entry: str
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
        trace=turn.trace,
    )
    turn.view.emit("credit", transfer.payee, encode(credit))


def _count(view: View, key: NetKey, change: int) -> None:
    """Count a debit if the account owes more by `change`, else a credit; a change of 0 is a credit."""

    def counted(net: Net) -> Net:
        return net.debited(change) if change > 0 else net.credited(-change)

    change_net(view, key, counted)


def _announce_first_transfer(turn: Turn, window: int) -> None:
    """Tell the coordinator, once, that this window is not empty."""
    view = turn.view
    if view.get(WINDOWS, ANNOUNCED) == window:
        return
    view.put(WINDOWS, ANNOUNCED, window)
    view.emit(_SETTLEMENT_TOPIC, turn.hub_name, encode(WindowUsedMessage(window=window)))
