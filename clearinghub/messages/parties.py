"""The records of topics `party` and `oracle`."""

from __future__ import annotations

from enum import Enum
from typing import Literal, TypeAlias

import msgspec

from clearinghub.domain.errors import ErrorInformation
from clearinghub.domain.parties.party import BatchItem, PartyId
from clearinghub.messages.codec import Message

PartyMethod: TypeAlias = Literal["GET", "POST", "PUT", "DELETE"]


class PartyMessage(Message, frozen=True, kw_only=True, tag="party"):
    """A request of /parties or /participants about one party, on topic `party`, keyed by type/identifier.

    The body follows the header only if the request is forwarded: what the hub decides itself is in these fields.
    `path` is as received, since the sender's signature covers it; for PUT .../error it lacks the ending `/error`.
    `fsp` is the body's fspId.
    """

    resource: Literal["parties", "participants"]
    method: PartyMethod
    is_error: bool  # PUT .../error
    path: str
    source: str
    destination: str | None
    party: PartyId
    headers: dict[str, str]
    currency: str | None = None
    fsp: str | None = None


class PartyBatchMessage(Message, frozen=True, kw_only=True, tag="party-batch"):
    """POST /participants, on topic `party`, keyed by the request id; the partition of that key gathers the results."""

    id: str  # requestId
    source: str
    currency: str | None
    items: tuple[BatchItem, ...]
    headers: dict[str, str]


class PartyPartMessage(Message, frozen=True, kw_only=True, tag="party-part"):
    """The parties of a batch that one partition keeps, on topic `party` of that partition.

    `batch` is the key of the batch's row, `run` the attempt at it: a batch that is sent again has another run.
    `home` is the partition that gathers the results. `items` are by their place in the batch.
    """

    batch: str
    run: str
    part: str
    home: int
    source: str
    currency: str | None
    items: dict[int, BatchItem]


class PartyPartDoneMessage(Message, frozen=True, kw_only=True, tag="party-part-done"):
    """The results of a part, on topic `party` of the gathering partition: the error of each item that was refused."""

    batch: str
    run: str
    part: str
    errors: dict[int, ErrorInformation]


class PartyImportItem(msgspec.Struct, frozen=True, array_like=True):
    """A party of an import, with the FSP that has it."""

    party: PartyId
    currency: str | None
    fsp: str


class PartyImportMessage(Message, frozen=True, kw_only=True, tag="party-import"):
    """Parties of an operator's file, all of one partition, on topic `party`; the answer goes to topic `reply`."""

    correlation_id: str
    reply_to: str
    items: tuple[PartyImportItem, ...]


class PartyImportResult(msgspec.Struct, frozen=True):
    """How many parties were added, and which were refused: each by its number in the message, with the reason."""

    added: int
    refused: tuple[tuple[int, str], ...]


class OracleStep(Enum):
    """The purpose of a question to an oracle, which tells the ledger what to do with the answer."""

    LOOKUP = "lookup"  # which FSPs have the party
    OWNER = "owner"  # which FSPs have the party, before one of them removes it
    CHANGE = "change"  # register, update or remove one party
    BATCH = "batch"  # register many parties


class OracleBatchPart(Message, frozen=True, kw_only=True, tag="oracle-batch-part"):
    """The part of a batch that an oracle registers; `numbers` are the items' places in the batch."""

    batch: str
    run: str
    part: str
    numbers: tuple[int, ...]


class OracleMessage(Message, frozen=True, kw_only=True, tag="oracle"):
    """A question to an external oracle, on topic `oracle` of the asking partition; the HTTP body follows the header.

    `request` is the request that has led to the question. It comes back with the answer, so nobody has to keep it
    in the meantime. `reply_key` is the key of the answer on topic `party`, on the asking partition.
    """

    oracle: int
    step: OracleStep
    method: PartyMethod
    url: str
    headers: dict[str, str]
    reply_key: str
    request: PartyMessage | OracleBatchPart


class OracleAnswerMessage(Message, frozen=True, kw_only=True, tag="oracle-answer"):
    """An oracle's answer, on topic `party`; its HTTP body follows. `status` is None if no answer came in time."""

    step: OracleStep
    status: int | None
    request: PartyMessage | OracleBatchPart


AnyPartyMessage: TypeAlias = (
    PartyMessage
    | PartyBatchMessage
    | PartyPartMessage
    | PartyPartDoneMessage
    | PartyImportMessage
    | OracleMessage
    | OracleAnswerMessage
)
