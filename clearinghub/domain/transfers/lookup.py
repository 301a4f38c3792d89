"""What a DFSP sees of a transfer: the answer to GET /transfers/{ID}, and the bodies that the hub itself writes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, TypeAlias

from clearinghub.domain.errors import ErrorCode, ErrorInformation, Rejection
from clearinghub.domain.time import timestamp_text
from clearinghub.domain.transfers.transfer import State, Transfer

EXTENSIONS_MAX: Final = 16  # API Definition v1.1, ExtensionList
EXTENSION_VALUE_LENGTH_MAX: Final = 128  # API Definition v1.1, ExtensionValue

_NOT_FOUND: Final = Rejection(ErrorCode.TRANSFER_ID_NOT_FOUND, "Provided Transfer ID was not found on the server.")
_NOT_PARTY: Final = Rejection(ErrorCode.CLIENT_ERROR)


@dataclass(frozen=True, slots=True)
class Silent:
    """The requester is no participant: send nothing."""


@dataclass(frozen=True, slots=True)
class NotFound:
    """There is no transfer with that id."""

    rejection: Rejection = _NOT_FOUND


@dataclass(frozen=True, slots=True)
class NotParty:
    """The requester is neither payer nor payee."""

    rejection: Rejection = _NOT_PARTY


@dataclass(frozen=True, slots=True)
class Found:
    """Send the requester the transfer's state, by `transfer_body`."""

    transfer: Transfer


GetOutcome: TypeAlias = Silent | NotFound | NotParty | Found


def decide_get(stored: Transfer | None, requester: str, *, requester_exists: bool) -> GetOutcome:
    """Return how GET /transfers/{ID} is answered (protocol 3.7)."""
    if not requester_exists:
        return Silent()
    if stored is None:
        return NotFound()
    if requester not in (stored.payer, stored.payee):
        return NotParty()
    return Found(stored)


def transfer_body(transfer: Transfer) -> dict[str, object]:
    """Return the body of a PUT that answers a GET or a repeated message with the transfer's state (protocol 3.7).

    The extensions are the fulfil's if there was one, else the prepare's. The error of an aborted transfer is added as
    the extension `cause`.
    """
    body: dict[str, object] = {}
    finished_at_ms = transfer.finished_at_ms
    if finished_at_ms is not None:
        body["completedTimestamp"] = timestamp_text(finished_at_ms)
    body["transferState"] = transfer.state.enumeration
    if transfer.fulfilment is not None:
        body["fulfilment"] = transfer.fulfilment
    extensions = transfer.extensions if transfer.fulfilment is None else transfer.fulfil_extensions
    return body | _extension_list(extensions, transfer.error)


def committed_body(transfer: Transfer) -> dict[str, object]:
    """Return the body of the hub's own PUT to the payer, after the payee has answered RESERVED (protocol 3.6)."""
    return {
        "completedTimestamp": _completed_timestamp(transfer),
        "transferState": State.COMMITTED.enumeration,
        "fulfilment": transfer.fulfilment,
    } | _extension_list(transfer.fulfil_extensions, None)


def committed_patch_body(transfer: Transfer) -> dict[str, object]:
    """Return the body of the PATCH that tells a payee its RESERVED transfer is committed (protocol 3.6).

    It is the payer's body without the fulfilment, which the payee knows.
    """
    body = committed_body(transfer)
    del body["fulfilment"]
    return body


def aborted_patch_body(at_ms: int, cause: ErrorInformation | None = None) -> dict[str, object]:
    """Return the body of the PATCH that tells a payee its RESERVED transfer is aborted, with the error if there is one.

    `at_ms` is when it was aborted.
    """
    return {
        "completedTimestamp": timestamp_text(at_ms),
        "transferState": State.ABORTED_ERROR.enumeration,
    } | _extension_list(None, cause)


def _completed_timestamp(transfer: Transfer) -> str:
    """Return the payee's completedTimestamp, or else the time at which the hub committed."""
    if transfer.completed_timestamp is not None:
        return transfer.completed_timestamp
    assert transfer.finished_at_ms is not None
    return timestamp_text(transfer.finished_at_ms)


def _extension_list(extensions: object, cause: ErrorInformation | None) -> dict[str, object]:
    """Return `{"extensionList": ...}`, or {} if there are no extensions; the cause replaces the last of a full list."""
    items = _items(extensions)
    if cause is not None:
        value = f"{cause.code}: {cause.description}"[:EXTENSION_VALUE_LENGTH_MAX]
        items = [*items[: EXTENSIONS_MAX - 1], {"key": "cause", "value": value}]
    return {"extensionList": {"extension": items}} if items else {}


def _items(extensions: object) -> list[object]:
    """Return the extensions of an extensionList; JSON of another form, which the edge refuses, has none."""
    items = extensions.get("extension") if isinstance(extensions, dict) else None
    return items if isinstance(items, list) else []
