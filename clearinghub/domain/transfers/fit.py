"""Whether a request is about a transfer or bulk that has its id. An id alone does not say: two payers may choose it.

A request that fits a row on no partition is decided by the row that comes nearest, so that its sender is refused or the
transfer aborted as protocol 3.4 says.
"""

from __future__ import annotations

from enum import Enum
from typing import Protocol

from clearinghub.domain.transfers.fulfil import Action, FulfilRequest
from clearinghub.domain.transfers.ilp import fulfils
from clearinghub.domain.transfers.transfer import TRANSFER_KIND, Transfer


class Fit(Enum):
    """How well a row fits a request."""

    FITS = "fits"
    SAME_PAYEE = "same-payee"  # but another payer or condition
    SAME_ID = "same-id"  # and nothing else
    NOTHING = "nothing"  # there is no row of that id


class _OfTwoDfsps(Protocol):
    """A transfer or a bulk."""

    @property
    def payer(self) -> str: ...

    @property
    def payee(self) -> str: ...


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


def fit_of_get(stored: _OfTwoDfsps | None, requester: str) -> Fit:
    """Return how well a transfer or bulk fits a GET: the requester must be one of its parties."""
    if stored is None:
        return Fit.NOTHING
    return Fit.FITS if requester in (stored.payer, stored.payee) else Fit.SAME_ID
