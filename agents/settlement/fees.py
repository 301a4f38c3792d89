"""The interchange fee of a transfer, decided when it is reserved (protocol 9.6)."""

from __future__ import annotations

from collections.abc import Callable

import orjson

from agents.context import LedgerContext
from clearinghub.domain.settlement.interchange_fee import INTERCHANGE_FEE, Charged, fee_of
from clearinghub.domain.transfers.ilp import transaction_of
from clearinghub.domain.transfers.transfer import Transfer


def interchange_fee(context: LedgerContext, transfer: Transfer, packet: Callable[[], object], now_ms: int) -> int:
    """Return what the payer's DFSP will owe the payee's; 0 if no rule matches or either has no account for fees.

    `packet` returns the transfer's ILP packet and is called only if a rule needs it.
    """
    rules = [rule for rule in context.fee_rules if rule.currency == transfer.currency]
    if not rules or not _have_accounts(context, transfer):
        return 0
    transaction = _transaction(packet()) if any(rule.transaction for rule in rules) else None
    charged = Charged(transfer.payer, transfer.payee, transfer.currency, transfer.amount, transaction)
    return fee_of(rules, charged, now_ms)


def _have_accounts(context: LedgerContext, transfer: Transfer) -> bool:
    both = (context.participants.get(name) for name in (transfer.payer, transfer.payee))
    return all(one is not None and one.account(transfer.currency, INTERCHANGE_FEE) is not None for one in both)


def ilp_packet(body: bytes) -> object:
    """Return the ILP packet in the body of POST /transfers, or None."""
    try:
        return orjson.loads(body)["ilpPacket"]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return None


def _transaction(packet: object) -> dict[str, object] | None:
    """Return the transaction in a packet; None for a packet that cannot be read, which does not stop the transfer."""
    return transaction_of(packet) if isinstance(packet, str) else None
