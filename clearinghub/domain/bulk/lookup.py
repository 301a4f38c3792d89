"""What a DFSP is shown of a bulk: the answer to GET /bulkTransfers/{ID} and the final PUT (protocol 8.2 to 8.4)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, TypeAlias

import msgspec

from clearinghub.domain.bulk.bulk import Bulk
from clearinghub.domain.errors import ErrorCode, ErrorInformation, Rejection
from clearinghub.domain.time import timestamp_text
from clearinghub.domain.transfers.transfer import State, Transfer

_NOT_FOUND: Final = Rejection(
    ErrorCode.BULK_TRANSFER_ID_NOT_FOUND, "Provided Bulk Transfer ID was not found on the server."
)
_NOT_PARTY: Final = Rejection(ErrorCode.CLIENT_ERROR)


@dataclass(frozen=True, slots=True)
class Silent:
    """The requester is no participant: answer nothing."""


@dataclass(frozen=True, slots=True)
class Rejected:
    """There is no such bulk, or it is between others."""

    rejection: Rejection


@dataclass(frozen=True, slots=True)
class Found:
    """Answer with `bulk_body`."""

    bulk: Bulk


BulkGetOutcome: TypeAlias = Silent | Rejected | Found


def decide_bulk_get(stored: Bulk | None, requester: str, *, requester_exists: bool) -> BulkGetOutcome:
    """What GET /bulkTransfers/{ID} is answered."""
    if not requester_exists:
        return Silent()
    if stored is None:
        return Rejected(_NOT_FOUND)
    if requester not in (stored.payer, stored.payee):
        return Rejected(_NOT_PARTY)
    return Found(stored)


@dataclass(frozen=True, slots=True)
class ItemView:
    """One line as it is shown; `was_sent`: the payee knows of it."""

    result: dict[str, object]
    was_sent: bool


def item_view(line: Transfer) -> ItemView:
    """How a transfer of the bulk stands: its fulfilment, or its error, or neither while it is pending."""
    was_sent = was_accepted(line)
    result: dict[str, object] = {"transferId": line.transfer_id}
    if line.error is not None:
        # A refusal's extensions are the payer's own; with a thousand lines they would outgrow any message.
        error = line.error if was_sent else msgspec.structs.replace(line.error, extensions=None)
        return ItemView(result | error.as_json(), was_sent)
    if line.fulfilment is not None:
        result["fulfilment"] = line.fulfilment
    if line.fulfil_extensions is not None:
        result["extensionList"] = line.fulfil_extensions
    return ItemView(result, was_sent)


def consumed_id_view(transfer_id: str, error: ErrorInformation) -> ItemView:
    """A line whose id was taken already."""
    return ItemView({"transferId": transfer_id} | error.as_json(), was_sent=False)


def was_accepted(line: Transfer) -> bool:
    """Whether the payee was sent the line."""
    return any(state is State.RESERVED for state, _at_ms in line.history)


def bulk_body(bulk: Bulk, lines: Iterable[ItemView], *, for_payee: bool) -> dict[str, object]:
    """The body of a PUT that tells where a bulk stands. The payee is shown the lines that it was sent, no others."""
    body: dict[str, object] = {}
    finished_at_ms = bulk.finished_at_ms
    if finished_at_ms is not None:
        body["completedTimestamp"] = timestamp_text(finished_at_ms)
    body["bulkTransferState"] = bulk.state.enumeration
    if bulk.transfer_ids:
        body["individualTransferResults"] = [line.result for line in lines if line.was_sent or not for_payee]
    return body
