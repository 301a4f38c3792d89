"""Whether a payee's answer is about a bulk that has its id, as domain/transfers/fit.py says it of transfers."""

from __future__ import annotations

from collections.abc import Collection

from clearinghub.domain.bulk.bulk import Bulk, BulkState
from clearinghub.domain.transfers.fit import Fit


def fit_of_bulk_fulfil(
    source: str, destination: str | None, answered_ids: Collection[str], stored: Bulk | None, hub_name: str
) -> Fit:
    """Return how well a bulk fits its payee's answer: by payee, payer if it is named, and the items that are answered.

    An id that was refused here may be a bulk elsewhere: its payer may have named another payer first.
    """
    if stored is None or stored.state is BulkState.INVALID:
        return Fit.NOTHING
    if source != stored.payee:
        return Fit.SAME_ID
    has_items = not answered_ids or not set(answered_ids).isdisjoint(stored.transfer_ids)
    return Fit.FITS if destination in (None, stored.payer, hub_name) and has_items else Fit.SAME_PAYEE
