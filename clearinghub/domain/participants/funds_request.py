"""A request to record funds, as the admin API accepts it and the ledger decides on it."""

from __future__ import annotations

import msgspec


class FundsRequest(msgspec.Struct, frozen=True):
    """Money that came into the scheme's bank account or is to leave it, in 1/10,000 units; `hash` is the body's."""

    transfer_id: str
    account_id: int
    amount: int
    currency: str
    hash: str
    external_reference: str
    extensions: object = None
