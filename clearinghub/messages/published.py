"""The records for analysts on topics `transfers` and `positions`, whose format does not change with the hub's code.

docs/topics/ has their schemas. A value is one JSON object without a body. Amounts are integers of 1/10,000 of the
currency unit.
"""

from __future__ import annotations

import msgspec

from clearinghub.messages.codec import VERSION

_ENCODER = msgspec.json.Encoder()


class TransferRecord(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The final state of a transfer or of funds, on topic `transfers`, on the payer's partition.

    `sequence` counts the records of a partition from 1 without a gap. The times are ISO 8601 texts.
    """

    v: int = VERSION
    sequence: int
    transfer_id: str
    kind: str
    payer: str
    payee: str
    amount: int
    currency: str
    state: str
    window: int | None
    interchange_fee: int
    error_code: str | None
    error_description: str | None
    prepared_at: str
    finished_at: str


class PositionRecord(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A change of an account, on topic `positions`, keyed by the participant; `value` is the balance after it.

    `change_number` counts the changes of the account from 1 without a gap. `at_ms` is in milliseconds since 1970.
    """

    v: int = VERSION
    participant: str
    account_id: int
    account_type: str
    currency: str
    change: int
    value: int
    reserved: int
    change_number: int
    transfer_id: str
    entry_type: str
    at_ms: int


def encode_published(record: TransferRecord | PositionRecord) -> bytes:
    """Return the record's value as JSON."""
    return _ENCODER.encode(record)
