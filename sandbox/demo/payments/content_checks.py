"""Pure checks of a payment's answers: the party of a lookup, the terms of a quote, the items of a bulk."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from clearinghub.domain.money import format_amount
from sandbox.demo.payments.deals import Deal
from sandbox.dfsp.ilp import (
    DIGEST_BYTES,
    MalformedPacketError,
    decode_base64url,
    decode_packet,
    is_fulfilled,
)
from sandbox.dfsp.requests import PaymentIntent
from sandbox.dfsp.wire import TransferOrder, ilp_address, minor_units


def party_problems(answer: Mapping[str, Any], intent: PaymentIntent, *, is_payer: bool = False) -> list[str]:
    """Return what is wrong with the answer to a lookup."""
    party = intent.payer if is_payer else intent.payee
    return [] if answer.get("party") == party.described else [f"lookup: {party.path} is {answer.get('party')}"]


def quote_problems(
    answer: Mapping[str, Any], request: Mapping[str, Any], intent: PaymentIntent, deal: Deal
) -> list[str]:
    """Return what is wrong with the terms for a quote, or for an item of a bulk quote."""
    expected = {
        "transferAmount": deal.pays_units,
        "payeeReceiveAmount": deal.gets_units,
        "payeeFspFee": deal.fee_units or None,
        "payeeFspCommission": deal.commission_units or None,
    }
    problems = [
        f"quote: {name} is {answer.get(name)}, not {_money(units, intent.currency)}"
        for name, units in expected.items()
        if answer.get(name) != _money(units, intent.currency)
    ]
    return problems + _packet_problems(answer, request, intent, deal) + _condition_problems(answer.get("condition"))


def _packet_problems(
    answer: Mapping[str, Any], request: Mapping[str, Any], intent: PaymentIntent, deal: Deal
) -> list[str]:
    try:
        payment = decode_packet(str(answer.get("ilpPacket")))
        transaction = json.loads(decode_base64url(payment.data.decode("ascii")))
    except (MalformedPacketError, ValueError) as error:
        return [f"quote: the packet cannot be read: {error}"]
    expected: dict[str, Any] = {
        "transactionId": request["transactionId"],
        "quoteId": request["quoteId"],
        "payee": request["payee"],
        "payer": intent.payer.described,
        "amount": _money(deal.pays_units, intent.currency),
        "transactionType": intent.purpose.content,
    }
    address = ilp_address(intent.payee.fsp, intent.payee.id_info)
    problems = [] if transaction == expected else [f"quote: the packet's transaction is {transaction}"]
    if (payment.amount, payment.address) != (minor_units(deal.pays_units, intent.currency), address):
        problems.append(f"quote: the packet moves {payment.amount} to {payment.address}")
    return problems


def _condition_problems(condition: object) -> list[str]:
    try:
        if len(decode_base64url(str(condition))) == DIGEST_BYTES:
            return []
    except MalformedPacketError:
        pass
    return [f"quote: {condition!r} is no condition"]


def bulk_request_problems(forwarded: Mapping[str, Any], orders: Sequence[TransferOrder]) -> list[str]:
    """Return what is wrong with the hub's POST to the payee: it must have all items, as they were sent."""
    items = {item.get("transferId"): item for item in _listed(forwarded, "individualTransfers")}
    expected = {
        order.transfer_id: (
            _money(order.amount_units, order.currency),
            order.terms.ilp_packet,
            order.terms.condition,
        )
        for order in orders
    }
    seen = {
        transfer_id: (item.get("transferAmount"), item.get("ilpPacket"), item.get("condition"))
        for transfer_id, item in items.items()
    }
    return [] if seen == expected else [f"transfer: the payee got {len(seen)} items, or others than were sent"]


def bulk_result_problems(result: Mapping[str, Any], orders: Sequence[TransferOrder], who: str) -> list[str]:
    """Return what is wrong with the results that `who` received: each item must be fulfilled."""
    items = _listed(result, "individualTransferResults")
    fulfilments = {item.get("transferId"): item.get("fulfilment") for item in items}
    problems = [] if result.get("bulkTransferState") == "COMPLETED" else [f"transfer: {who} got {result}"]
    if set(fulfilments) != {order.transfer_id for order in orders}:
        problems.append(f"transfer: {who} got results of {len(fulfilments)} items, or of others than were sent")
        return problems
    unfulfilled = [
        order.transfer_id
        for order in orders
        if not is_fulfilled(order.terms.condition, str(fulfilments[order.transfer_id]))
    ]
    return problems + [f"transfer: {who} got no fulfilment that fits item {item}" for item in unfulfilled]


def _listed(content: Mapping[str, Any], name: str) -> Iterable[Mapping[str, Any]]:
    items = content.get(name)
    return [item for item in items if isinstance(item, dict)] if isinstance(items, list) else []


def _money(amount_units: int | None, currency: str) -> dict[str, str] | None:
    return None if amount_units is None else {"currency": currency, "amount": format_amount(amount_units)}
