"""Errors as values: the FSPIOP error catalogue, and a rejection with one of its codes.

Codes, texts and HTTP statuses follow the FSPIOP API Definition v1.1, section 7.6, with the statuses that Mojaloop's
services answer. A business refusal is a `Rejection` that is returned; an exception always means a bug or broken I/O.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from typing import Final

import msgspec

DESCRIPTION_LENGTH_MAX: Final = 128  # API Definition v1.1, ErrorDescription


class ErrorCode(Enum):
    """The FSPIOP errors: the code, the text, and the HTTP status of a synchronous answer."""

    COMMUNICATION_ERROR = ("1000", "Communication error", 503)
    DESTINATION_COMMUNICATION_ERROR = ("1001", "Destination communication error", 503)
    SERVER_ERROR = ("2000", "Generic server error", 500)
    INTERNAL_SERVER_ERROR = ("2001", "Internal server error", 500)
    NOT_IMPLEMENTED = ("2002", "Not implemented", 501)
    SERVICE_UNAVAILABLE = ("2003", "Service currently unavailable", 503)
    SERVER_TIMED_OUT = ("2004", "Server timed out", 504)
    SERVER_BUSY = ("2005", "Server busy", 503)
    CLIENT_ERROR = ("3000", "Generic client error", 400)
    UNACCEPTABLE_VERSION = ("3001", "Unacceptable version requested", 406)
    UNKNOWN_URI = ("3002", "Unknown URI", 404)
    ADD_PARTY_INFO_ERROR = ("3003", "Add Party information error", 400)
    DELETE_PARTY_INFO_ERROR = ("3040", "Delete Party information error", 400)
    VALIDATION_ERROR = ("3100", "Generic validation error", 400)
    MALFORMED_SYNTAX = ("3101", "Malformed syntax", 400)
    MISSING_ELEMENT = ("3102", "Missing mandatory element", 400)
    TOO_MANY_ELEMENTS = ("3103", "Too many elements", 400)
    TOO_LARGE_PAYLOAD = ("3104", "Too large payload", 400)
    INVALID_SIGNATURE = ("3105", "Invalid signature", 400)
    MODIFIED_REQUEST = ("3106", "Modified request", 400)
    MISSING_EXTENSION = ("3107", "Missing mandatory extension parameter", 400)
    ID_NOT_FOUND = ("3200", "Generic ID not found", 400)
    DESTINATION_FSP_ERROR = ("3201", "Destination FSP Error", 400)
    PAYER_FSP_ID_NOT_FOUND = ("3202", "Payer FSP ID not found", 400)
    PAYEE_FSP_ID_NOT_FOUND = ("3203", "Payee FSP ID not found", 400)
    PARTY_NOT_FOUND = ("3204", "Party not found", 400)
    QUOTE_ID_NOT_FOUND = ("3205", "Quote ID not found", 400)
    TRANSACTION_REQUEST_ID_NOT_FOUND = ("3206", "Transaction request ID not found", 400)
    TRANSACTION_ID_NOT_FOUND = ("3207", "Transaction ID not found", 400)
    TRANSFER_ID_NOT_FOUND = ("3208", "Transfer ID not found", 400)
    BULK_QUOTE_ID_NOT_FOUND = ("3209", "Bulk quote ID not found", 400)
    BULK_TRANSFER_ID_NOT_FOUND = ("3210", "Bulk transfer ID not found", 400)
    EXPIRED_ERROR = ("3300", "Generic expired error", 400)
    TRANSACTION_REQUEST_EXPIRED = ("3301", "Transaction request expired", 400)
    QUOTE_EXPIRED = ("3302", "Quote expired", 400)
    TRANSFER_EXPIRED = ("3303", "Transfer expired", 400)
    PAYER_ERROR = ("4000", "Generic Payer error", 400)
    PAYER_INSUFFICIENT_LIQUIDITY = ("4001", "Payer FSP insufficient liquidity", 400)
    PAYER_REJECTION = ("4100", "Generic Payer rejection", 400)
    PAYER_LIMIT_ERROR = ("4200", "Payer limit error", 400)
    PAYER_PERMISSION_ERROR = ("4300", "Payer permission error", 400)
    PAYER_BLOCKED = ("4400", "Generic Payer blocked error", 400)
    PAYEE_ERROR = ("5000", "Generic Payee error", 400)
    PAYEE_INSUFFICIENT_LIQUIDITY = ("5001", "Payee FSP insufficient liquidity", 400)
    PAYEE_REJECTION = ("5100", "Generic Payee rejection", 400)
    PAYEE_LIMIT_ERROR = ("5200", "Payee limit error", 400)
    PAYEE_PERMISSION_ERROR = ("5300", "Payee permission error", 400)
    PAYEE_BLOCKED = ("5400", "Generic Payee blocked error", 400)
    SETTLEMENT_ERROR = ("6000", "Generic Settlement Error", 400)

    def __init__(self, code: str, text: str, http_status: int) -> None:
        self.code = code
        self.text = text
        self.http_status = http_status


@dataclass(frozen=True, slots=True)
class Rejection:
    """A refusal with its FSPIOP error; `detail` is the specific message that follows the error's text, or None."""

    error: ErrorCode
    detail: str | None = None
    http_status: int | None = None  # only if it is not the usual one of the error

    @property
    def code(self) -> str:
        """The four digits that are sent."""
        return self.error.code

    @property
    def description(self) -> str:
        """`<text> - <detail>`, or the text alone; cut to 128 characters (protocol 2.1)."""
        text = self.error.text if self.detail is None else f"{self.error.text} - {self.detail}"
        return text[:DESCRIPTION_LENGTH_MAX]

    @property
    def status(self) -> int:
        """The HTTP status if the refusal is answered at once."""
        return self.http_status if self.http_status is not None else self.error.http_status


class ErrorInformation(
    msgspec.Struct,
    frozen=True,
    omit_defaults=True,
    rename={"code": "errorCode", "description": "errorDescription", "extensions": "extensionList"},
):
    """An FSPIOP errorInformation, stored as it is on the wire; `extensions` is the extensionList as parsed JSON."""

    code: str
    description: str
    extensions: object = None

    @classmethod
    def of(cls, rejection: Rejection, extensions: object = None) -> ErrorInformation:
        """Return the errorInformation of a rejection."""
        return cls(rejection.code, rejection.description, extensions)

    def as_json(self) -> dict[str, object]:
        """Return the ErrorInformationObject of the API Definition, to be encoded as JSON."""
        inner: dict[str, object] = {"errorCode": self.code, "errorDescription": self.description}
        if self.extensions is not None:
            inner["extensionList"] = self.extensions
        return {"errorInformation": inner}


_KNOWN_CODES: Final = frozenset(member.code for member in ErrorCode)
_SCHEME_CODE: Final = re.compile(r"(10|20|3[0-4]|4[0-4]|5[0-4]|60|7[0-3])[0-9]{2}")


def is_defined_error_code(code: str) -> bool:
    """Return whether a code is in the specification, or in one of the groups that schemes may use (protocol 2.2)."""
    return code in _KNOWN_CODES or _SCHEME_CODE.fullmatch(code) is not None
