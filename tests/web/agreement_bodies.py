"""Good messages before a transfer: one for each method of each resource (protocol 1.6)."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from tests.web.fspiop_client import ERROR

ID = "b51ec534-ee48-4575-b6a9-ead2955b8069"
OTHER_ID = "01ARZ3NDEKTSV4RRFFQ69G5FAV"
EXPIRATION = "2023-11-15T00:13:20.000Z"
USD = {"currency": "USD", "amount": "100"}
PAYER = {
    "partyIdInfo": {"partyIdType": "MSISDN", "partyIdentifier": "1", "fspId": "payerfsp"},
    "personalInfo": {
        "complexName": {"firstName": "Zo\u00eb", "lastName": "\u1012\u1031\u102b\u103a O'Neil"},
        "dateOfBirth": "1984-02-29",
    },
}
PAYEE = {"partyIdInfo": {"partyIdType": "EMAIL", "partyIdentifier": "a@b", "fspId": "payeefsp"}, "name": "Shop"}
TYPE = {"scenario": "TRANSFER", "initiator": "PAYER", "initiatorType": "CONSUMER"}
QUOTE = {
    "quoteId": ID,
    "transactionId": OTHER_ID,
    "payee": PAYEE,
    "payer": PAYER,
    "amountType": "SEND",
    "amount": USD,
    "transactionType": TYPE,
    "expiration": EXPIRATION,
}
QUOTE_ANSWER = {
    "transferAmount": USD,
    "payeeReceiveAmount": USD,
    "expiration": EXPIRATION,
    "ilpPacket": "AYIBgQAAAAAAAASwNGxldmVsb25lLmRmc3AxLm1lci45",
    "condition": "f5sqb7tBTWPd5Y8BDFdMm9BJR_MNI4isf8p8n4D5pHA",
}
INDIVIDUAL = {name: QUOTE[name] for name in ("quoteId", "transactionId", "payee", "amountType", "amount")}
BULK_QUOTE = {
    "bulkQuoteId": ID,
    "payer": PAYER,
    "individualQuotes": [{**INDIVIDUAL, "transactionType": TYPE}],
}
BULK_ANSWER = {"individualQuoteResults": [{"quoteId": ID, "transferAmount": USD}], "expiration": EXPIRATION}
TRANSACTION_REQUEST = {
    "transactionRequestId": ID,
    "payee": PAYEE,
    "payer": PAYER["partyIdInfo"],
    "amount": USD,
    "transactionType": {**TYPE, "initiator": "PAYEE", "refundInfo": {"originalTransactionId": ID}},
    "geoCode": {"latitude": "+45.4215", "longitude": "+75.6972"},
    "authenticationType": "OTP",
}
AUTHORIZATION = {
    "authenticationInfo": {"authentication": "OTP", "authenticationValue": "123456"},
    "responseType": "ENTERED",
}
QUERY = "?authenticationType=OTP&retriesLeft=2&amount=102&currency=USD"


class Sent(NamedTuple):
    """A good request; `path` is without the query."""

    method: str
    path: str
    body: Any = None
    query: str = ""

    @property
    def resource(self) -> str:
        return self.path.split("/")[1]

    @property
    def answering(self) -> bool:
        """Whether it is a callback: PUT."""
        return self.method == "PUT"

    @property
    def raw(self) -> bytes | None:
        return None if self.body is None else json.dumps(self.body).encode()

    @property
    def url(self) -> str:
        return self.path + self.query

    @property
    def headers(self) -> dict[str, str | None]:
        """The headers that differ from those of /transfers."""
        media = f"application/vnd.interoperability.{self.resource}+json;version=1.1"
        source, destination = ("payeefsp", "payerfsp") if self.answering else ("payerfsp", "payeefsp")
        headers: dict[str, str | None] = {
            "Content-Type": media,
            "FSPIOP-Source": source,
            "FSPIOP-Destination": destination,
        }
        return headers if self.answering else {"Accept": media, **headers}


def _resource(name: str, answer: Any, request: Any = None, query: str = "") -> list[Sent]:
    posted = [] if request is None else [Sent("POST", f"/{name}", request)]
    return [
        *posted,
        Sent("GET", f"/{name}/{ID}", query=query),
        Sent("PUT", f"/{name}/{ID}", answer),
        Sent("PUT", f"/{name}/{ID}/error", ERROR),
    ]


SENT = [
    *_resource("quotes", QUOTE_ANSWER, QUOTE),
    *_resource("bulkQuotes", BULK_ANSWER, BULK_QUOTE),
    *_resource("transactionRequests", {"transactionRequestState": "RECEIVED"}, TRANSACTION_REQUEST),
    *_resource("transactions", {"transactionState": "COMPLETED", "code": "Ab12"}),
    *_resource("authorizations", AUTHORIZATION, query=QUERY),
]
"""All methods of protocol 1.6 that are used before a transfer."""
