"""What a DFSP sees of a bulk: the answer to GET /bulkTransfers/{ID} and the final PUT (protocol 8.2 to 8.4)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, TypeAlias

from msgspec.structs import replace

from clearinghub.domain.bulk.bulk import Bulk
from clearinghub.domain.errors import ErrorCode, ErrorInformation, Rejection
from clearinghub.domain.time import timestamp_text
from clearinghub.domain.transfers.transfer import Transfer

_NOT_FOUND: Final = Rejection(
    ErrorCode.BULK_TRANSFER_ID_NOT_FOUND, "Provided Bulk Transfer ID was not found on the server."
)
_NOT_PARTY: Final = Rejection(ErrorCode.CLIENT_ERROR)


@dataclass(frozen=True, slots=True)
class Silent:
    """The requester is no participant: send nothing."""


@dataclass(frozen=True, slots=True)
class Rejected:
    """There is no such bulk, or the requester is neither its payer nor its payee."""

    rejection: Rejection


@dataclass(frozen=True, slots=True)
class Found:
    """Send the requester the bulk's state, by `bulk_body`."""

    bulk: Bulk


BulkGetOutcome: TypeAlias = Silent | Rejected | Found


def decide_bulk_get(stored: Bulk | None, requester: str, *, requester_exists: bool) -> BulkGetOutcome:
    """Return how GET /bulkTransfers/{ID} is answered."""
    if not requester_exists:
        return Silent()
    if stored is None:
        return Rejected(_NOT_FOUND)
    if requester not in (stored.payer, stored.payee):
        return Rejected(_NOT_PARTY)
    return Found(stored)


@dataclass(frozen=True, slots=True)
class ItemView:
    """One item as DFSPs see it; `was_sent`: the payee was sent it, and may see it."""

    result: dict[str, object]
    was_sent: bool


def item_view(item: Transfer) -> ItemView:
    """Return an item with its fulfilment or its error, or with neither while it is pending."""
    was_sent = item.was_reserved
    result: dict[str, object] = {"transferId": item.transfer_id}
    if item.error is not None:
        # A refusal's extensions are the payer's own; a thousand copies would outgrow any message.
        error = item.error if was_sent else replace(item.error, extensions=None)
        return ItemView(result | error.as_json(), was_sent)
    if item.fulfilment is not None:
        result["fulfilment"] = item.fulfilment
    if item.fulfil_extensions is not None:
        result["extensionList"] = item.fulfil_extensions
    return ItemView(result, was_sent)


def consumed_id_view(transfer_id: str, error: ErrorInformation) -> ItemView:
    """Return an item whose id was consumed by an earlier transfer."""
    return ItemView({"transferId": transfer_id} | error.as_json(), was_sent=False)


def bulk_body(bulk: Bulk, items: Iterable[ItemView], *, for_payee: bool) -> dict[str, object]:
    """Return the body of a PUT with the bulk's state and items; the payee sees only those items that it was sent."""
    body: dict[str, object] = {}
    finished_at_ms = bulk.finished_at_ms
    if finished_at_ms is not None:
        body["completedTimestamp"] = timestamp_text(finished_at_ms)
    body["bulkTransferState"] = bulk.state.enumeration
    if bulk.transfer_ids:
        body["individualTransferResults"] = [item.result for item in items if item.was_sent or not for_payee]
    return body
