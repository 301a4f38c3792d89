"""The record of topic `agreement`: what two DFSPs agree on before a transfer."""

from __future__ import annotations

from clearinghub.domain.quotes.agreement import Action
from clearinghub.messages.codec import Message

__all__ = ["Action", "AgreementMessage"]


class AgreementMessage(Message, frozen=True, kw_only=True, tag="agreement"):
    """A message of one DFSP to another, keyed by the id of what it is about; its body follows the header.

    It is of /quotes, /bulkQuotes, /transactionRequests, /transactions or /authorizations. Fields that a message does
    not have are None or empty; the domain's `Message` (domain/quotes/agreement.py) says which of them the hub reads.
    `path` is the service path, with the query if there is one. `expires_at_ms` is in milliseconds since 1970.
    """

    resource: str
    action: Action
    id: str
    source: str
    destination: str
    path: str
    headers: dict[str, str]  # names in lower case
    currency: str | None = None
    supported_currencies: tuple[str, ...] = ()
    payer_fsp: str | None = None
    payee_fsp: str | None = None
    expires_at_ms: int | None = None
    hash: str | None = None
