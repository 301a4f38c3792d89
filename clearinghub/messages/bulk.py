"""The records of bulk transfers, on topics `bulk-prepare` and `bulk-fulfil`, and the bodies that follow their headers.

A body is the request after its check, without what the API does not know: the hub sends none of it on unchanged, for
each DFSP sees other items (protocol 8.1). Units are those of clearinghub/messages/transfers.py.
"""

from __future__ import annotations

from typing import Final, Literal, TypeAlias

import msgspec

from clearinghub.domain.bulk.fulfil import ItemResult
from clearinghub.domain.errors import ErrorInformation
from clearinghub.messages.codec import Message


class BulkPrepareMessage(Message, frozen=True, kw_only=True, tag="bulk-prepare"):
    """POST /bulkTransfers as the ingress accepted it, on topic `bulk-prepare`, keyed by the payer.

    `amounts` and `hashes` are those of the items, in their order; a hash is the one that POST /transfers of that item
    alone would have. The body is a `BulkPrepareBody`.
    """

    id: str
    source: str
    destination: str | None = None
    payer: str
    payee: str
    expires_at_ms: int
    hash: str
    amounts: tuple[int, ...]
    hashes: tuple[str, ...]


class BulkFulfilMessage(Message, frozen=True, kw_only=True, tag="bulk-fulfil"):
    """PUT /bulkTransfers/{id} or its /error, on topic `bulk-fulfil`, keyed by FSPIOP-Destination, else by the source.

    `completed` is the completedTimestamp as it came, `completed_ms` the same as a number, or None if the ledger must
    not judge it. `hops` counts the partitions visited before (design 3). The body is a `BulkFulfilBody`.
    """

    id: str
    action: Literal["fulfil", "abort"]  # "abort" is PUT /bulkTransfers/{id}/error
    source: str
    destination: str | None = None
    completed: str | None = None
    completed_ms: int | None = None
    hash: str
    hops: int = 0
    same_payee_at: int | None = None
    same_id_at: int | None = None


class BulkGetMessage(Message, frozen=True, kw_only=True, tag="bulk-get"):
    """GET /bulkTransfers/{id}, on topic `bulk-fulfil`, keyed by the requester."""

    id: str
    source: str
    hops: int = 0
    same_payee_at: int | None = None
    same_id_at: int | None = None


class BulkTimeoutMessage(Message, frozen=True, kw_only=True, tag="bulk-timeout"):
    """A bulk that is due, on topic `bulk-fulfil`, on the payer's partition; written by the ledger's own punctuator."""

    id: str


BulkMessage: TypeAlias = BulkPrepareMessage | BulkFulfilMessage | BulkGetMessage | BulkTimeoutMessage


class _Body(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """Part of a body: names as in the API; a field that did not come is not written either."""


class Money(_Body, frozen=True, kw_only=True):
    """An amount as the API's text, with its currency."""

    currency: str
    amount: str


class BulkItem(_Body, frozen=True, kw_only=True):
    """One transfer of a bulk, as the payer's DFSP requests it."""

    transfer_id: str
    transfer_amount: Money
    ilp_packet: str
    condition: str
    extension_list: object = None


class BulkPrepareBody(_Body, frozen=True, kw_only=True):
    """The body of POST /bulkTransfers: the payer's, and with the reserved items alone the one for the payee."""

    bulk_transfer_id: str
    bulk_quote_id: str
    payer_fsp: str
    payee_fsp: str
    individual_transfers: tuple[BulkItem, ...]
    expiration: str
    extension_list: object = None


class BulkFulfilBody(_Body, frozen=True, kw_only=True):
    """What the ledger reads of PUT /bulkTransfers/{id}: the items' results; or of its /error: the error."""

    individual_transfer_results: tuple[ItemResult, ...] = ()
    error_information: ErrorInformation | None = None


_ENCODER: Final = msgspec.json.Encoder()
_PREPARE_BODY: Final = msgspec.json.Decoder(BulkPrepareBody)
_FULFIL_BODY: Final = msgspec.json.Decoder(BulkFulfilBody)


def decode_prepare_body(body: bytes) -> BulkPrepareBody:
    """Return the body of a BulkPrepareMessage. Raises msgspec.MsgspecError for any other bytes."""
    return _PREPARE_BODY.decode(body)


def decode_fulfil_body(body: bytes) -> BulkFulfilBody:
    """Return the body of a BulkFulfilMessage. Raises msgspec.MsgspecError for any other bytes."""
    return _FULFIL_BODY.decode(body)


def encode_body(body: BulkPrepareBody) -> bytes:
    """Return the JSON of a POST /bulkTransfers."""
    return _ENCODER.encode(body)
