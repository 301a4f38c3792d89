"""A hub with bulks, and hypothesis's histories of what DFSPs send about them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, TypeAlias

import orjson
from hypothesis import strategies as st

from clearinghub.config import Settings
from clearinghub.domain.bulk.bulk import Bulk
from clearinghub.domain.money import format_amount
from clearinghub.domain.participants.participant import Account, Participant
from clearinghub.domain.transfers.transfer import Transfer
from clearinghub.messages import encode
from clearinghub.messages.bulk import (
    BulkFulfilMessage,
    BulkItem,
    BulkPrepareBody,
    BulkPrepareMessage,
    Money,
    encode_body,
)
from clearinghub.messages.transfers import PrepareMessage
from tables.bulks import BULKS
from tables.positions import POSITIONS, position_key
from tables.transfers import TRANSFERS
from tests.fakes import Emitted, MemoryView
from tests.in_memory_hub import InMemoryHub
from tests.unit.domain.samples import CONDITION, FULFILMENT, OTHER_FULFILMENT

BULK_IDS: Final = ("b0", "b1")
LINE_IDS: Final = tuple(f"t{number}" for number in range(12))
SENDERS: Final = ("payer", "payee", "mallory")
START_MS: Final = 1_700_000_000_000
ROOM: Final = 100
SETTINGS: Final = Settings(partitions=1, transfer_retention_s=60)
# Thirty messages take up to ten minutes: some bulks expire on the way, some leave the table.
EXPIRES_AFTER_MS: Final = (8_000, 16_000, 40_000)
ELAPSED_MS: Final = (0, 2_000, 2_000, 4_000, 20_000)


@dataclass(frozen=True, slots=True)
class Post:
    """POST /bulkTransfers; `lines` are ids with amounts."""

    bulk_id: str
    source: str
    lines: tuple[tuple[str, int], ...]
    expires_at_ms: int


@dataclass(frozen=True, slots=True)
class Single:
    """POST /transfers under an id that an item may have."""

    transfer_id: str
    amount: int


@dataclass(frozen=True, slots=True)
class Put:
    """PUT /bulkTransfers/{ID}: an item is fulfilled (True), wrongly fulfilled (False), or failed (None)."""

    bulk_id: str
    source: str
    destination: str | None
    lines: tuple[tuple[str, bool | None], ...]


@dataclass(frozen=True, slots=True)
class PutError:
    """PUT /bulkTransfers/{ID}/error: the payee aborts the whole bulk."""

    bulk_id: str
    source: str
    code: str


@dataclass(frozen=True, slots=True)
class Punctuator:
    """The punctuators run, and what they write is decided."""


Message: TypeAlias = Post | Single | Put | PutError | Punctuator
History: TypeAlias = list[tuple[Message, int]]

_mostly = st.integers(0, 9).map(lambda number: number < 9)
_bulk_ids = st.sampled_from(BULK_IDS)
_line_ids = st.sampled_from(LINE_IDS)
_results = st.sampled_from((True, True, True, True, False, None))
_posts = st.builds(
    Post,
    _bulk_ids,
    st.sampled_from(("payer",) * 9 + ("mallory",)),
    st.lists(st.tuples(_line_ids, st.sampled_from((0, 1, 10, 10, 10, 40, 101))), min_size=1, max_size=5).map(tuple),
    st.sampled_from(EXPIRES_AFTER_MS),
)
_puts = st.builds(
    Put,
    _bulk_ids,
    st.sampled_from(("payee",) * 9 + SENDERS),
    st.sampled_from(("payer", "Hub", None) * 3 + ("mallory",)),
    st.lists(st.tuples(_line_ids, _results), max_size=7).map(tuple),
)
_messages = st.one_of(
    _posts,
    _posts,
    _puts,
    _puts,
    _puts,
    st.builds(PutError, _bulk_ids, st.sampled_from(("payee",) * 9 + SENDERS), st.sampled_from(("5100", "9999"))),
    st.builds(Single, _line_ids, st.sampled_from((1, 10))),
    st.just(Punctuator()),
    st.just(Punctuator()),
)


@st.composite
def histories(draw: st.DrawFn) -> History:
    """Up to 30 messages in the order in which the partition reads them; some are sent again."""
    now_ms = START_MS
    sent: History = []
    for _ in range(draw(st.integers(1, 30))):
        now_ms += draw(st.sampled_from(ELAPSED_MS))
        message = draw(_messages)
        if sent and not draw(_mostly):
            message = draw(st.sampled_from(sent))[0]
        elif isinstance(message, Post):
            message = replace(message, expires_at_ms=now_ms + message.expires_at_ms)
        elif isinstance(message, Put) and draw(_mostly):
            message = _about_its_lines(draw, message, sent)
        elif isinstance(message, PutError) and draw(_mostly):  # the payee aborts what it has answered in part
            answered = [one.bulk_id for one, _at_ms in sent if isinstance(one, Put)]
            message = replace(message, bulk_id=answered[-1]) if answered else message
        sent.append((message, now_ms))
    return sent


def _about_its_lines(draw: st.DrawFn, put: Put, sent: History) -> Put:
    """The answer as one to lines that its bulk has, some of them: by chance it would seldom be."""
    posts = [one for one, _at_ms in sent if isinstance(one, Post) and one.bulk_id == put.bulk_id]
    if not posts:
        return put
    answered = [transfer_id for transfer_id, _amount in posts[0].lines if draw(st.integers(0, 3))]
    return replace(put, lines=tuple((transfer_id, draw(_results)) for transfer_id in answered))


class BulkWorld:
    """A hub with one payer, whose cap and funds are `ROOM`, and one payee; both on the only partition."""

    def __init__(self) -> None:
        self.hub = InMemoryHub(SETTINGS)
        self.hub.tick_ms = 0  # the histories have times of their own
        accounts = (Account(1, "USD", "POSITION", True, 0), Account(2, "USD", "SETTLEMENT", True, 0))
        for number, name in enumerate(("payer", "payee")):
            participant = Participant(number, name, active=True, created_at_ms=0, accounts=accounts)
            self.hub.enroll(participant, net_debit_cap=ROOM, funds=ROOM)
        self.hub.hold_back("credit", "settlement")  # what follows elsewhere has properties of its own

    @property
    def view(self) -> MemoryView:
        return self.hub.views[0]

    @property
    def notifications(self) -> list[Emitted]:
        """All callbacks that were owed."""
        return self.hub.written["notification"]

    @property
    def credits(self) -> list[dict[str, Any]]:
        """All credits that were written to the payee's partition."""
        return [one.header for one in self.hub.waiting_on("credit")]

    @property
    def position(self) -> int:
        """The value of the payer's POSITION account: what it owes."""
        row = self.view.get(POSITIONS, position_key("payer", "USD", "POSITION"))
        assert row is not None
        return row.value

    def bulks(self) -> dict[str, Bulk]:
        return self.view.rows(BULKS)

    def transfers(self) -> dict[str, Transfer]:
        """All transfers, items of bulks or not."""
        return self.view.rows(TRANSFERS)

    def apply(self, message: Message, now_ms: int) -> None:
        """Let the hub decide a message, or run its punctuators."""
        self.hub.now_ms = now_ms
        if isinstance(message, Punctuator):
            self.hub.punctuate()
        else:
            topic, value = record_of(message)
            self.hub.write(topic, message.source if isinstance(message, Post) else "payer", value, partition=0)


def record_of(message: Message) -> tuple[str, bytes]:
    """The topic and the value that the ingress would write."""
    digest = repr(message)
    match message:
        case Post(bulk_id, source, lines, expires_at_ms):
            prepare = BulkPrepareMessage(
                id=bulk_id,
                source=source,
                destination="payee",
                payer="payer",
                payee="payee",
                expires_at_ms=expires_at_ms,
                hash=digest,
                amounts=tuple(amount for _id, amount in lines),
                hashes=tuple(f"{one} {expires_at_ms}" for one in lines),
            )
            return "bulk-prepare", encode(prepare, encode_body(prepare_body(bulk_id, lines)))
        case Single(transfer_id, amount):
            single = PrepareMessage(
                id=transfer_id,
                source="payer",
                payer="payer",
                payee="payee",
                amount=amount,
                currency="USD",
                condition=CONDITION,
                expires_at_ms=START_MS + 10**6,
                hash=digest,
                headers={},
            )
            return "prepare", encode(single)
        case Put(bulk_id, source, destination, lines):
            fulfil = BulkFulfilMessage(id=bulk_id, action="fulfil", source=source, destination=destination, hash=digest)
            body = {"individualTransferResults": [_result(*one) for one in lines]}
            return "bulk-fulfil", encode(fulfil, orjson.dumps(body))
        case PutError(bulk_id, source, code):
            abort = BulkFulfilMessage(id=bulk_id, action="abort", source=source, hash=digest)
            error = {"errorInformation": {"errorCode": code, "errorDescription": "the payee's words"}}
            return "bulk-fulfil", encode(abort, orjson.dumps(error))
    raise AssertionError(message)


def prepare_body(bulk_id: str, lines: Iterable[tuple[str, int]], packets: Mapping[str, str] = {}) -> BulkPrepareBody:
    """The body of POST /bulkTransfers for ids with amounts; `packets` are ILP packets by id."""
    items = (
        BulkItem(
            transfer_id=transfer_id,
            transfer_amount=Money(currency="USD", amount=format_amount(amount)),
            ilp_packet=packets.get(transfer_id, "nonsense"),
            condition=CONDITION,
        )
        for transfer_id, amount in lines
    )
    return BulkPrepareBody(
        bulk_transfer_id=bulk_id,
        bulk_quote_id="q",
        payer_fsp="payer",
        payee_fsp="payee",
        individual_transfers=tuple(items),
        expiration="2030-01-01T00:00:00.000Z",
    )


def _result(transfer_id: str, is_right: bool | None) -> dict[str, Any]:
    if is_right is None:
        error = {"errorCode": "5103", "errorDescription": "closed"}
        return {"transferId": transfer_id, "errorInformation": error}
    return {"transferId": transfer_id, "fulfilment": FULFILMENT if is_right else OTHER_FULFILMENT}
