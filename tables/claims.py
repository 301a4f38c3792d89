"""Table `claims`: who has used an id that a client chose, beside the rows of transfers and bulks (ADR 31).

- `funds/{transfer id}`, on the participant's partition: funds in or out that have left table `transfers`, for ever.
- `transfer/{id}` and `bulk/{id}`, on the id's home partition: the first payer who has used it on any partition.
"""

from __future__ import annotations

from typing import Final
from zlib import crc32

from clearinghub.domain.transfers.claim import Claim
from clearinghub.domain.transfers.transfer import TRANSFER_KIND, Transfer
from clearinghub.engine.record import TableSpec, View, row_table

UNTIL: Final = b"until:"


def until(time_ms: int) -> bytes:
    """Return the place of a time, in milliseconds since 1970, in the order of ends."""
    return UNTIL + b"%015d" % time_ms


def entries(key: str, row: Claim) -> tuple[tuple[bytes, bool], ...]:
    """Return the index entry of a claim: it is found by its end, if it has one."""
    return () if row.until_ms is None else ((until(row.until_ms) + key.encode(), True),)


CLAIMS: Final[TableSpec[Claim]] = row_table("claims", Claim, entries)


def funds_key(transfer_id: str) -> str:
    """Return the row key of funds that are over."""
    return f"funds/{transfer_id}"


def claim_key(space: str, client_id: str) -> str:
    """Return the row key of an id; `space` is `transfer` or `bulk`, for the same id may be used once in each."""
    return f"{space}/{client_id}"


def home_of(client_id: str, partitions: int) -> int:
    """Return the partition that knows who has used an id, whoever it was."""
    return crc32(client_id.encode()) % partitions


def keep_funds(view: View, transfer: Transfer) -> None:
    """Keep what must be known of funds for ever, before their row is deleted; do nothing for other transfers."""
    if transfer.kind == TRANSFER_KIND:
        return
    past = Claim(transfer.payer, None, transfer.kind, transfer.prepare_hash, transfer.state.value)
    view.put(CLAIMS, funds_key(transfer.transfer_id), past)
