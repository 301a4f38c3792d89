"""Headers, ids, times and bodies of transfers and bulks as a DFSP writes them (protocol 1.1, 1.4, 1.6, 8)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any, Final
from uuid import uuid4

from clearinghub.domain.money import UNITS_PER_CURRENCY_UNIT, format_amount
from clearinghub.tools.client.money import shown_amount
from sandbox.dfsp.behaviour import EXTENSION_KEY, Behaviour
from sandbox.dfsp.ilp import Payment, condition_of, encode_base64url, encode_packet, fulfilment_of

MEDIA_TYPE: Final = "application/vnd.interoperability.{}+json;version={}"
CONTENT_TYPE: Final = MEDIA_TYPE.format("transfers", "1.1")
ACCEPT: Final = MEDIA_TYPE.format("transfers", "1")
MINOR_UNITS: Final = {"USD": 100, "EUR": 100}  # per currency unit; other currencies of the sandbox have four decimals
LIFETIME_S: Final = 60


@dataclass(frozen=True, slots=True)
class Terms:
    """The result of a quote: the ILP packet and the condition that locks the transfer."""

    ilp_packet: str
    condition: str


@dataclass(frozen=True, slots=True)
class TransferOrder:
    """A transfer that a payer's DFSP is about to send.

    `expiration` is a DateTime as in the message; `behaviour` is what the payee's DFSP will do with it.
    """

    transfer_id: str
    payer: str
    payee: str
    amount_units: int
    currency: str
    terms: Terms
    expiration: str
    behaviour: Behaviour = Behaviour.COMMIT

    @property
    def shown_amount(self) -> str:
        """The amount for people, like `1,000.5 USD`."""
        return f"{shown_amount(self.amount_units)} {self.currency}"

    def body(self) -> bytes:
        """Return the body of POST /transfers, the same bytes each time."""
        return json.dumps(
            {
                "transferId": self.transfer_id,
                "payerFsp": self.payer,
                "payeeFsp": self.payee,
                "amount": {"currency": self.currency, "amount": format_amount(self.amount_units)},
                "ilpPacket": self.terms.ilp_packet,
                "condition": self.terms.condition,
                "expiration": self.expiration,
                "extensionList": {"extension": [{"key": EXTENSION_KEY, "value": self.behaviour.value}]},
            },
            separators=(",", ":"),
        ).encode()


def agree_terms(
    payer: str, payee: str, amount_units: int, currency: str, payee_secret: bytes, transaction_id: str
) -> Terms:
    """Return the packet and condition with which the payee's DFSP would answer a quote (protocol 10.2)."""
    transaction: dict[str, Any] = {
        "transactionId": transaction_id,
        "quoteId": transaction_id,
        "payee": {"partyIdInfo": _party("447700900123", payee)},
        "payer": {"partyIdInfo": _party("447700900456", payer)},
        "amount": {"amount": format_amount(amount_units), "currency": currency},
        "transactionType": {"scenario": "TRANSFER", "initiator": "PAYER", "initiatorType": "CONSUMER"},
    }
    return terms_of(transaction, payee, amount_units, currency, payee_secret)


def terms_of(
    transaction: Mapping[str, Any], payee: str, amount_units: int, currency: str, payee_secret: bytes
) -> Terms:
    """Return a packet with this Transaction (protocol 1.5), and its condition, which only this payee can fulfil."""
    packet = encode_packet(
        Payment(
            amount=minor_units(amount_units, currency),
            address=ilp_address(payee, transaction["payee"]["partyIdInfo"]),
            data=encode_base64url(json.dumps(transaction, separators=(",", ":")).encode()).encode("ascii"),
        )
    )
    return Terms(packet, condition_of(fulfilment_of(packet, payee_secret)))


def minor_units(amount_units: int, currency: str) -> int:
    """Return an amount in the currency's smallest unit, as packets have it, rounded down."""
    return amount_units * MINOR_UNITS.get(currency, UNITS_PER_CURRENCY_UNIT) // UNITS_PER_CURRENCY_UNIT


def ilp_address(fsp: str, party: Mapping[str, str]) -> str:
    """Return a party's ILP address: `g.payeewallet.msisdn.447700900123`, the sub-id as last part (protocol 10.2)."""
    parts = (party["partyIdType"], party["partyIdentifier"], party.get("partySubIdOrType"))
    return ".".join(("g", fsp, *(part.lower() for part in parts if part is not None)))


def new_transfer_id() -> str:
    """Return a new id in FSPIOP 1.1's form: a lower-case UUID."""
    return str(uuid4())


def request_headers(source: str, destination: str | None = None, resource: str = "transfers") -> dict[str, str]:
    """Return the headers of POST and GET, with Accept: the version for the callback."""
    return {"Accept": MEDIA_TYPE.format(resource, "1"), **callback_headers(source, destination, resource)}


def callback_headers(source: str, destination: str | None = None, resource: str = "transfers") -> dict[str, str]:
    """Return the headers of PUT, which must not have Accept (protocol 1.1)."""
    headers = {"Content-Type": MEDIA_TYPE.format(resource, "1.1"), "Date": http_date(), "FSPIOP-Source": source}
    if destination is not None:
        headers["FSPIOP-Destination"] = destination
    return headers


def fulfil_body(fulfilment: str, state: str) -> bytes:
    """Return the body of PUT /transfers/{id}; `state` is COMMITTED or RESERVED."""
    return _encode({"fulfilment": fulfilment, "completedTimestamp": timestamp(), "transferState": state})


def error_body(code: str, description: str) -> bytes:
    """Return the body of any PUT /{resource}/{id}/error."""
    return _encode({"errorInformation": {"errorCode": code, "errorDescription": description}})


def bulk_body(bulk_id: str, orders: Sequence[TransferOrder], bulk_quote_id: str | None = None) -> bytes:
    """Return the body of POST /bulkTransfers with these transfers as items; all are between the same two DFSPs.

    `bulk_quote_id` is the bulk quote with which they were agreed on; without one, a new id is used.
    """
    first = orders[0]
    items = [
        {
            "transferId": order.transfer_id,
            "transferAmount": {"currency": order.currency, "amount": format_amount(order.amount_units)},
            "ilpPacket": order.terms.ilp_packet,
            "condition": order.terms.condition,
            "extensionList": {"extension": [{"key": EXTENSION_KEY, "value": order.behaviour.value}]},
        }
        for order in orders
    ]
    return _encode(
        {
            "bulkTransferId": bulk_id,
            "bulkQuoteId": bulk_quote_id or new_transfer_id(),
            "payerFsp": first.payer,
            "payeeFsp": first.payee,
            "individualTransfers": items,
            "expiration": first.expiration,
        }
    )


def fulfil_bulk_body(results: Sequence[dict[str, Any]]) -> bytes:
    """Return the body of PUT /bulkTransfers/{id} with a result for each item."""
    return _encode(
        {
            "bulkTransferState": "COMPLETED",
            "completedTimestamp": timestamp(),
            "individualTransferResults": list(results),
        }
    )


def http_date() -> str:
    """Return the current time as a Date header."""
    return format_datetime(datetime.now(UTC), usegmt=True)


def timestamp(from_now_s: int = 0) -> str:
    """Return the time in `from_now_s` seconds as FSPIOP's DateTime: UTC, with exactly three digits of milliseconds."""
    moment = datetime.now(UTC) + timedelta(seconds=from_now_s)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"


def _party(identifier: str, fsp: str) -> dict[str, str]:
    return {"partyIdType": "MSISDN", "partyIdentifier": identifier, "fspId": fsp}


def _encode(content: dict[str, Any]) -> bytes:
    return json.dumps(content, separators=(",", ":")).encode()
