"""The records of transfers: `prepare`, `fulfil`, `timeout`, `lookup`, `credit`."""

from __future__ import annotations

from clearinghub.messages.codec import Message


class TimeoutMessage(Message, frozen=True, kw_only=True, tag="timeout"):
    """A transfer that is due, on topic `timeout`, keyed by the payer; written by the ledger's own punctuator."""

    id: str
