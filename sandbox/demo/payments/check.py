"""What must be in the answers of a payment: the party, the terms and their packet, the lines of a bulk. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from clearinghub.domain.money import format_amount
from sandbox.demo.payments.kinds import Deal
from sandbox.ilp import (
    DIGEST_BYTES,
    MalformedPacketError,
    decode_base64url,
    decode_packet,
    is_fulfilled,
)
from sandbox.requests import Wish
from sandbox.wire import TransferOrder, ilp_address, minor_units


def party_problems(answer: Mapping[str, Any], wish: Wish, *, is_payer: bool = False) -> list[str]:
    """What a lookup told wrong."""
    party = wish.payer if is_payer else wish.payee
    return [] if answer.get("party") == party.described else [f"lookup: told {answer.get('party')} of {party.path}"]


def quote_problems(answer: Mapping[str, Any], request: Mapping[str, Any], wish: Wish, deal: Deal) -> list[str]:
    """What is wrong with the terms for a quote, or for a line of a bulk quote."""
    expected = {
        "transferAmount": deal.pays_units,
        "payeeReceiveAmount": deal.gets_units,
        "payeeFspFee": deal.fee_units or None,
        "payeeFspCommission": deal.commission_units or None,
    }
    problems = [
        f"quote: {name} is {answer.get(name)}, not {_money(units, wish.currency)}"
        for name, units in expected.items()
        if answer.get(name) != _money(units, wish.currency)
    ]
    return problems + _packet_problems(answer, request, wish, deal) + _condition_problems(answer.get("condition"))


def _packet_problems(answer: Mapping[str, Any], request: Mapping[str, Any], wish: Wish, deal: Deal) -> list[str]:
    try:
        payment = decode_packet(str(answer.get("ilpPacket")))
        transaction = json.loads(decode_base64url(payment.data.decode("ascii")))
    except (MalformedPacketError, ValueError) as error:
        return [f"quote: the packet cannot be read: {error}"]
    expected: dict[str, Any] = {
        "transactionId": request["transactionId"],
        "quoteId": request["quoteId"],
        "payee": request["payee"],
        "payer": wish.payer.described,
        "amount": _money(deal.pays_units, wish.currency),
        "transactionType": wish.purpose.content,
    }
    address = ilp_address(wish.payee.fsp, wish.payee.id_info)
    problems = [] if transaction == expected else [f"quote: the packet's transaction is {transaction}"]
    if (payment.amount, payment.address) != (minor_units(deal.pays_units, wish.currency), address):
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
    """What is wrong with the POST that the hub wrote to the payee: all lines must be in it, as they were sent."""
    lines = {line.get("transferId"): line for line in _listed(forwarded, "individualTransfers")}
    expected = {
        order.transfer_id: (
            _money(order.amount_units, order.currency),
            order.terms.ilp_packet,
            order.terms.condition,
        )
        for order in orders
    }
    seen = {
        transfer_id: (line.get("transferAmount"), line.get("ilpPacket"), line.get("condition"))
        for transfer_id, line in lines.items()
    }
    return [] if seen == expected else [f"transfer: the payee was sent {len(seen)} lines, or others than were sent"]


def bulk_result_problems(told: Mapping[str, Any], orders: Sequence[TransferOrder], who: str) -> list[str]:
    """What is wrong with the results that one side was told: each line must be fulfilled."""
    fulfilments = {one.get("transferId"): one.get("fulfilment") for one in _listed(told, "individualTransferResults")}
    problems = [] if told.get("bulkTransferState") == "COMPLETED" else [f"transfer: {who} was told {told}"]
    if set(fulfilments) != {order.transfer_id for order in orders}:
        problems.append(f"transfer: {who} was told of {len(fulfilments)} lines, or of others than were sent")
        return problems
    unfulfilled = [
        order.transfer_id
        for order in orders
        if not is_fulfilled(order.terms.condition, str(fulfilments[order.transfer_id]))
    ]
    return problems + [f"transfer: {who} was told no fulfilment that fits of line {line}" for line in unfulfilled]


def _listed(content: Mapping[str, Any], name: str) -> Iterable[Mapping[str, Any]]:
    lines = content.get(name)
    return [line for line in lines if isinstance(line, dict)] if isinstance(lines, list) else []


def _money(amount_units: int | None, currency: str) -> dict[str, str] | None:
    return None if amount_units is None else {"currency": currency, "amount": format_amount(amount_units)}
