"""FSPIOP messages as a DFSP writes them: headers and bodies of the transfer resource (protocol 1.1, 1.4, 1.6)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any, Final
from uuid import uuid4

from clearinghub.domain.money import UNITS_PER_CURRENCY_UNIT, format_amount
from clearinghub.tools.client.money import shown_amount
from sandbox.behaviour import EXTENSION_KEY, Behaviour
from sandbox.ilp import Payment, condition_of, encode_base64url, encode_packet, fulfilment_of

MEDIA_TYPE: Final = "application/vnd.interoperability.{}+json;version={}"
CONTENT_TYPE: Final = MEDIA_TYPE.format("transfers", "1.1")
ACCEPT: Final = MEDIA_TYPE.format("transfers", "1")
MINOR_UNITS: Final = {"USD": 100, "EUR": 100}  # per currency unit; other currencies here count to four decimals
LIFETIME_S: Final = 60


@dataclass(frozen=True, slots=True)
class Terms:
    """What payer and payee agreed on with the quote: the packet and the condition that locks the transfer."""

    ilp_packet: str
    condition: str


@dataclass(frozen=True, slots=True)
class TransferOrder:
    """A transfer that a payer DFSP is about to send. `expiration` is the wire's text; `behaviour` is for the payee."""

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
        """The body of POST /transfers."""
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
    """The packet and condition that the payee DFSP would give in its answer to a quote (protocol 10.2)."""
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
    """The packet that holds a Transaction (protocol 1.5), and the condition that only this payee can fulfil."""
    packet = encode_packet(
        Payment(
            amount=minor_units(amount_units, currency),
            address=ilp_address(payee, transaction["payee"]["partyIdInfo"]),
            data=encode_base64url(json.dumps(transaction, separators=(",", ":")).encode()).encode("ascii"),
        )
    )
    return Terms(packet, condition_of(fulfilment_of(packet, payee_secret)))


def minor_units(amount_units: int, currency: str) -> int:
    """An amount as packets have it, in the currency's smallest unit; what is finer is left out."""
    return amount_units * MINOR_UNITS.get(currency, UNITS_PER_CURRENCY_UNIT) // UNITS_PER_CURRENCY_UNIT


def ilp_address(fsp: str, party: Mapping[str, str]) -> str:
    """Where a packet goes: `g.payeewallet.msisdn.447700900123`, with a PartyIdInfo's sub-id behind (protocol 10.2)."""
    parts = (party["partyIdType"], party["partyIdentifier"], party.get("partySubIdOrType"))
    return ".".join(("g", fsp, *(part.lower() for part in parts if part is not None)))


def new_transfer_id() -> str:
    """A fresh id in the form that FSPIOP 1.1 wants: a lower-case UUID."""
    return str(uuid4())


def request_headers(source: str, destination: str | None = None, resource: str = "transfers") -> dict[str, str]:
    """Headers of POST and GET: with Accept, the version wanted for the callback."""
    return {"Accept": MEDIA_TYPE.format(resource, "1"), **callback_headers(source, destination, resource)}


def callback_headers(source: str, destination: str | None = None, resource: str = "transfers") -> dict[str, str]:
    """Headers of PUT, which must not carry Accept (protocol 1.1)."""
    headers = {"Content-Type": MEDIA_TYPE.format(resource, "1.1"), "Date": http_date(), "FSPIOP-Source": source}
    if destination is not None:
        headers["FSPIOP-Destination"] = destination
    return headers


def fulfil_body(fulfilment: str, state: str) -> bytes:
    """The body of PUT /transfers/{id}; `state` is COMMITTED or RESERVED."""
    return _encode({"fulfilment": fulfilment, "completedTimestamp": timestamp(), "transferState": state})


def error_body(code: str, description: str) -> bytes:
    """The body of PUT /transfers/{id}/error."""
    return _encode({"errorInformation": {"errorCode": code, "errorDescription": description}})


def http_date() -> str:
    """Now, as the Date header has it."""
    return format_datetime(datetime.now(UTC), usegmt=True)


def timestamp(from_now_s: int = 0) -> str:
    """A time `from_now_s` seconds from now in FSPIOP's DateTime: UTC, with exactly three digits of milliseconds."""
    moment = datetime.now(UTC) + timedelta(seconds=from_now_s)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"


def _party(identifier: str, fsp: str) -> dict[str, str]:
    return {"partyIdType": "MSISDN", "partyIdentifier": identifier, "fspId": fsp}


def _encode(content: dict[str, Any]) -> bytes:
    return json.dumps(content, separators=(",", ":")).encode()
