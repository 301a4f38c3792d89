"""Whether a request is about a transfer or bulk that has its id. An id alone does not say: two payers may choose it.

A request that fits a row on no partition is decided by the row that comes nearest, so that its sender is refused or the
transfer aborted as protocol 3.4 says.
"""

from __future__ import annotations

from collections.abc import Collection
from enum import Enum

from clearinghub.domain.bulk.bulk import Bulk, BulkState
from clearinghub.domain.transfers.fulfil import Action, FulfilRequest
from clearinghub.domain.transfers.ilp import fulfils
from clearinghub.domain.transfers.transfer import TRANSFER_KIND, Transfer


class Fit(Enum):
    """How well a row fits a request."""

    FITS = "fits"
    SAME_PAYEE = "same-payee"  # but another payer or condition
    SAME_ID = "same-id"  # and nothing else
    NOTHING = "nothing"  # there is no row of that id


def fit_of_fulfil(request: FulfilRequest, stored: Transfer | None) -> Fit:
    """Return how well a transfer fits its payee's answer: by payee, payer if one is named, condition if needed."""
    if stored is None:
        return Fit.NOTHING
    if stored.kind != TRANSFER_KIND or request.source.lower() != stored.payee.lower():
        return Fit.SAME_ID
    if request.destination is not None and request.destination.lower() != stored.payer.lower():
        return Fit.SAME_PAYEE
    needs_fulfilment = request.action in (Action.COMMIT, Action.RESERVE)
    return Fit.SAME_PAYEE if needs_fulfilment and not fulfils(stored.condition, request.fulfilment) else Fit.FITS


def fit_of_get(stored: Transfer | Bulk | None, requester: str) -> Fit:
    """Return how well a transfer or bulk fits a GET: the requester must be one of its parties."""
    if stored is None:
        return Fit.NOTHING
    return Fit.FITS if requester in (stored.payer, stored.payee) else Fit.SAME_ID


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
