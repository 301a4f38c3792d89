"""The records of topics `party` and `oracle`, in the form that clearinghub/messages/__init__.py describes."""

from __future__ import annotations

from typing import Any, TypedDict


class PartyMessage(TypedDict):
    """A request of /parties or /participants about one party, on topic `party`, keyed by type/identifier.

    Of what is forwarded the body follows the line; of what the hub decides itself the line has all that counts.
    """

    v: int
    kind: str  # "party"
    resource: str  # "parties" or "participants"
    method: str  # "GET", "POST", "PUT" or "DELETE"
    is_error: bool  # PUT .../error
    path: str  # as it came: it is under the sender's signature
    source: str
    destination: str | None
    id_type: str
    identifier: str
    sub_id: str | None
    currency: str | None
    fsp: str | None  # fspId of the body
    headers: dict[str, str]
    trace: str | None


class PartyBatchMessage(TypedDict):
    """POST /participants, on topic `party`, keyed by the request id, whose partition gathers the results."""

    v: int
    kind: str  # "party-batch"
    id: str  # requestId
    source: str
    currency: str | None
    items: list[list[str | None]]  # type, identifier, sub-id, fspId
    headers: dict[str, str]
    trace: str | None


class PartyPartMessage(TypedDict):
    """The parties of a batch that one partition has, on topic `party` of that partition."""

    v: int
    kind: str  # "party-part"
    batch: str  # the row of table `batches`
    run: str  # tells a batch that was sent again from the first
    part: str
    home: int  # the partition that gathers
    source: str
    currency: str | None
    items: list[list[Any]]  # number in the batch, type, identifier, sub-id, fspId


class PartyPartDoneMessage(TypedDict):
    """What came of a part, on topic `party` of the gathering partition; of items that are done nothing is said."""

    v: int
    kind: str  # "party-part-done"
    batch: str
    run: str
    part: str
    errors: list[list[Any]]  # number in the batch, code, description


class PartyImportMessage(TypedDict):
    """Parties from an operator's file, all of one partition, on topic `party`; the answer goes to topic `reply`."""

    v: int
    kind: str  # "party-import"
    correlation_id: str
    reply_to: str
    items: list[list[str | None]]  # type, identifier, sub-id, currency, fspId


class OracleMessage(TypedDict):
    """A question to an external oracle, on topic `oracle`, on the asking partition; the request's body follows.

    `asked` is what the hub was asked: it comes back with the answer, so that nobody has to keep it meanwhile.
    """

    v: int
    kind: str  # "oracle"
    oracle: int
    step: str  # "lookup", "owner", "change" or "batch"
    method: str
    url: str
    headers: dict[str, str]
    reply_key: str  # key of the answer on topic `party`: the asking partition's
    asked: dict[str, Any]


class OracleAnswerMessage(TypedDict):
    """An oracle's answer, on topic `party`, keyed as asked for; the answer's body follows."""

    v: int
    kind: str  # "oracle-answer"
    step: str
    status: int | None  # None: no answer in time
    asked: dict[str, Any]
