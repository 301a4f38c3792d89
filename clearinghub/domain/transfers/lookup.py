"""What a DFSP is shown of a transfer: the answer to GET /transfers/{ID}, and the bodies that the hub writes itself."""

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
    """The requester is no participant: answer nothing."""


@dataclass(frozen=True, slots=True)
class NotFound:
    """No such transfer."""

    rejection: Rejection = _NOT_FOUND


@dataclass(frozen=True, slots=True)
class NotParty:
    """The transfer is between others."""

    rejection: Rejection = _NOT_PARTY


@dataclass(frozen=True, slots=True)
class Found:
    """Answer with `transfer_body`."""

    transfer: Transfer


GetOutcome: TypeAlias = Silent | NotFound | NotParty | Found


def decide_get(stored: Transfer | None, requester: str, *, requester_exists: bool) -> GetOutcome:
    """What GET /transfers/{ID} is answered (protocol 3.7)."""
    if not requester_exists:
        return Silent()
    if stored is None:
        return NotFound()
    if requester not in (stored.payer, stored.payee):
        return NotParty()
    return Found(stored)


def transfer_body(transfer: Transfer) -> dict[str, object]:
    """The body of a PUT with a transfer's state: the answer to a GET or to a repeated message (protocol 3.7).

    The extensions are the fulfil's if there was one, else the prepare's; an aborted transfer's error is added as
    extension `cause`.
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
    """The body of the hub's own PUT to the payer, after the payee answered RESERVED (protocol 3.6)."""
    return {
        "completedTimestamp": _completed_timestamp(transfer),
        "transferState": State.COMMITTED.enumeration,
        "fulfilment": transfer.fulfilment,
    } | _extension_list(transfer.fulfil_extensions, None)


def committed_patch_body(transfer: Transfer) -> dict[str, object]:
    """The body of the PATCH to a payee that answered RESERVED: committed. It knows its fulfilment (protocol 3.6)."""
    body = committed_body(transfer)
    del body["fulfilment"]
    return body


def aborted_patch_body(at_ms: int, cause: ErrorInformation | None = None) -> dict[str, object]:
    """The body of the PATCH to a payee that answered RESERVED: aborted, with the `cause` if there is one to give."""
    return {
        "completedTimestamp": timestamp_text(at_ms),
        "transferState": State.ABORTED_ERROR.enumeration,
    } | _extension_list(None, cause)


def _completed_timestamp(transfer: Transfer) -> str:
    """The payee's own, or else the time at which the hub committed."""
    if transfer.completed_timestamp is not None:
        return transfer.completed_timestamp
    assert transfer.finished_at_ms is not None
    return timestamp_text(transfer.finished_at_ms)


def _extension_list(extensions: object, cause: ErrorInformation | None) -> dict[str, object]:
    """`{"extensionList": ...}`, or nothing when there are none. The cause takes the last place if all are taken."""
    items = _items(extensions)
    if cause is not None:
        value = f"{cause.code}: {cause.description}"[:EXTENSION_VALUE_LENGTH_MAX]
        items = [*items[: EXTENSIONS_MAX - 1], {"key": "cause", "value": value}]
    return {"extensionList": {"extension": items}} if items else {}


def _items(extensions: object) -> list[object]:
    """The extensions of an extensionList as parsed JSON; other shapes, which the edge refuses, have none."""
    items = extensions.get("extension") if isinstance(extensions, dict) else None
    return items if isinstance(items, list) else []
