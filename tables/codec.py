"""How rows become bytes: JSON, so that a person can read a changelog; first element the version of the shape."""

from __future__ import annotations

from typing import Any

import orjson

from clearinghub.domain.bulk.bulk import BULK_STATE_BY_LABEL, Bulk, Tally
from clearinghub.domain.errors import ErrorInformation
from clearinghub.domain.transfers.transfer import STATE_BY_LABEL, Transfer

TRANSFER_VERSION = 1
BULK_VERSION = 1
_FIRST = 20  # elements that the first rows of transfers had
_LATER = (None, 0, None)  # what those that came later were until then: bulk, interchange fee, sequence


def encode_transfer(row: Transfer) -> bytes:
    """A transfer's row as bytes."""
    error = None if row.error is None else [row.error.code, row.error.description, row.error.extensions]
    history = [[state.label, at_ms] for state, at_ms in row.history]
    return orjson.dumps(
        [
            TRANSFER_VERSION,
            row.transfer_id,
            row.payer,
            row.payee,
            row.amount,
            row.currency,
            row.condition,
            row.expires_at_ms,
            history,
            row.prepare_hash,
            row.fulfil_hash,
            row.error_hash,
            row.fulfilment,
            row.completed_timestamp,
            row.window,
            error,
            row.extensions,
            row.fulfil_extensions,
            row.kind,
            row.prepare_offset,
            row.bulk_id,
            row.interchange_fee,
            row.sequence,
        ]
    )


def decode_transfer(data: bytes) -> Transfer:
    """The transfer in a row's bytes. Raises ValueError for a shape of another version."""
    row: list[Any] = orjson.loads(data)
    if row[0] != TRANSFER_VERSION:
        raise ValueError(f"transfer row of version {row[0]!r}")
    row.extend(_LATER[len(row) - _FIRST :])
    (
        _,
        transfer_id,
        payer,
        payee,
        amount,
        currency,
        condition,
        expires_at_ms,
        history,
        prepare_hash,
        fulfil_hash,
        error_hash,
        fulfilment,
        completed,
        window,
        error,
        extensions,
        fulfil_extensions,
        kind,
        prepare_offset,
        bulk_id,
        interchange_fee,
        sequence,
    ) = row
    states = tuple((STATE_BY_LABEL[label], at_ms) for label, at_ms in history)
    return Transfer(
        transfer_id,
        payer,
        payee,
        amount,
        currency,
        condition,
        expires_at_ms,
        states[-1][0],
        states,
        prepare_hash,
        fulfil_hash,
        error_hash,
        fulfilment,
        completed,
        window,
        None if error is None else ErrorInformation(*error),
        extensions,
        fulfil_extensions,
        kind,
        prepare_offset,
        bulk_id,
        interchange_fee,
        sequence,
    )


def encode_bulk(row: Bulk) -> bytes:
    """A bulk's row as bytes."""
    tally = row.tally
    return orjson.dumps(
        [
            BULK_VERSION,
            row.bulk_id,
            row.payer,
            row.payee,
            row.expires_at_ms,
            [[state.label, at_ms] for state, at_ms in row.history],
            row.prepare_hash,
            row.fulfil_hash,
            row.error_hash,
            [tally.refused, tally.pending, tally.committed, tally.aborted, tally.expired],
            row.transfer_ids,
            [[place, error.code, error.description, error.extensions] for place, error in row.consumed_ids],
        ]
    )


def decode_bulk(data: bytes) -> Bulk:
    """The bulk in a row's bytes. Raises ValueError for a shape of another version."""
    row: list[Any] = orjson.loads(data)
    if row[0] != BULK_VERSION:
        raise ValueError(f"bulk row of version {row[0]!r}")
    (
        _,
        bulk_id,
        payer,
        payee,
        expires_at_ms,
        history,
        prepare_hash,
        fulfil_hash,
        error_hash,
        tally,
        transfer_ids,
        consumed_ids,
    ) = row
    return Bulk(
        bulk_id,
        payer,
        payee,
        expires_at_ms,
        tuple((BULK_STATE_BY_LABEL[label], at_ms) for label, at_ms in history),
        prepare_hash,
        tuple(transfer_ids),
        tuple((place, ErrorInformation(*error)) for place, *error in consumed_ids),
        Tally(*tally),
        fulfil_hash,
        error_hash,
    )
