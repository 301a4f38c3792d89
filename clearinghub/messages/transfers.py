"""The records of single transfers, on topics `prepare`, `fulfil`, `lookup`, `timeout` and `credit`.

Amounts are integers of 1/10,000 of the currency unit, times are milliseconds since 1970. `hash` is the SHA-256 of the
request's body, which distinguishes a repeated request from a changed one. `headers` are those to forward to the other
DFSP, names in lower case. `extensions` is the extensionList as parsed JSON, or None.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

from clearinghub.messages.codec import Message


class PrepareMessage(Message, frozen=True, kw_only=True, tag="prepare"):
    """POST /transfers as the ingress accepted it, on topic `prepare`, keyed by the payer; with the original body."""

    id: str
    source: str  # FSPIOP-Source
    payer: str
    payee: str
    amount: int
    currency: str
    condition: str
    expires_at_ms: int
    hash: str
    extensions: object = None
    headers: dict[str, str]


FulfilAction: TypeAlias = Literal["commit", "reserve", "reject", "abort"]  # the last is PUT /transfers/{id}/error


class FulfilMessage(Message, frozen=True, kw_only=True, tag="fulfil"):
    """PUT /transfers/{id} or its /error, on topic `fulfil`, keyed by FSPIOP-Destination, else by the source.

    The original body follows. `completed` is the completedTimestamp as it came. A record that reaches a partition where
    no transfer fits it goes on to the next partition, on topic `lookup`; `hops` counts those visited before. It notes
    the first partition with a transfer of that id and payee, and the first with one of that id alone: after all of them
    the nearest decides.
    """

    id: str
    action: FulfilAction
    source: str
    destination: str | None = None
    fulfilment: str | None = None
    completed: str | None = None
    error_code: str | None = None
    error_description: str | None = None
    hash: str
    extensions: object = None
    headers: dict[str, str]
    hops: int = 0
    same_payee_at: int | None = None
    same_id_at: int | None = None


class GetMessage(Message, frozen=True, kw_only=True, tag="get"):
    """GET /transfers/{id}, on topic `lookup`, keyed by the requester; visits partitions as a fulfil does (design 3)."""

    id: str
    source: str
    hops: int = 0
    same_payee_at: int | None = None
    same_id_at: int | None = None


class CreditMessage(Message, frozen=True, kw_only=True, tag="credit"):
    """A movement of one account that cannot be refused, on topic `credit`, keyed by the participant.

    `change` is signed. `id` is the transfer that caused the movement, `entry` its ledger entry type, for example
    PRINCIPLE_VALUE. With a `window` the movement counts in that settlement window: against `counterparty` alone where
    nets are kept by pairs of DFSPs. With `settles_into` it is settled at once, into the account of that type.
    """

    id: str
    participant: str
    currency: str
    account_type: str
    change: int
    entry: str
    window: int | None = None
    counterparty: str = ""
    settles_into: str = ""


class TimeoutMessage(Message, frozen=True, kw_only=True, tag="timeout"):
    """A transfer that is due, on topic `timeout`, keyed by the payer; written by the ledger's own punctuator."""

    id: str


class ClaimedId(msgspec.Struct, frozen=True, array_like=True):
    """An id that a client chose: whose it is, what for, and until when; see `Claim` and table `claims`."""

    id: str
    space: str
    payer: str
    until_ms: int | None
    kind: str


class ClaimsMessage(Message, frozen=True, kw_only=True, tag="claims"):
    """Ids that were used on a partition, on topic `lookup` of their home; written by the ledger's own punctuator."""

    claimed: tuple[ClaimedId, ...]


TransferMessage: TypeAlias = (
    PrepareMessage | FulfilMessage | GetMessage | CreditMessage | TimeoutMessage | ClaimsMessage
)
