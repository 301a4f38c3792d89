"""Table `claims`: who has used an id that a client chose. It outlives the rows of transfers, or is elsewhere.

- `funds/{transfer id}`, on the participant's partition: funds in or out that have left table `transfers`, for ever.
"""

from __future__ import annotations

from typing import Final

from clearinghub.domain.transfers.funds import PastFunds
from clearinghub.domain.transfers.transfer import TRANSFER_KIND, Transfer
from clearinghub.engine.record import TableSpec, View, row_table

CLAIMS: Final[TableSpec[PastFunds]] = row_table("claims", PastFunds)


def funds_key(transfer_id: str) -> str:
    """Return the row key of funds that are over."""
    return f"funds/{transfer_id}"


def keep_funds(view: View, transfer: Transfer) -> None:
    """Keep what must be known of funds for ever, before their row is deleted; do nothing for other transfers."""
    if transfer.kind == TRANSFER_KIND:
        return
    past = PastFunds(transfer.payer, transfer.kind, transfer.prepare_hash, transfer.state.value)
    view.put(CLAIMS, funds_key(transfer.transfer_id), past)
