"""POST /participants: split a batch by partition and oracle, and gather the results (protocol 6.4).

The partition of the request id gathers. Each partition that keeps some of the parties registers these and reports the
result; each external oracle gets one request for each type of identifier. When all have answered, the sender gets one
callback with the result of every party.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Final

import structlog

from agents.parties.notify import BatchNotifier
from agents.parties.oracle_question import ask_oracle_for_batch
from agents.turn import Turn
from clearinghub.domain.errors import ErrorCode, ErrorInformation, Rejection
from clearinghub.domain.participants.participant import Oracle
from clearinghub.domain.parties.batch import Batch
from clearinghub.domain.parties.oracle import batch_result, read_batch, select_oracle
from clearinghub.domain.parties.party import PartyEntry, identifier_rejection, register
from clearinghub.messages import encode
from clearinghub.messages.parties import OracleBatchPart, PartyBatchMessage, PartyPartDoneMessage, PartyPartMessage
from tables.batches import BATCHES, batch_key, split_batch_key
from tables.parties import entries_of, put_entries

log = structlog.get_logger(__name__)

_FOREIGN_FSP: Final = Rejection(ErrorCode.PARTY_NOT_FOUND, "fspId differs from FSPIOP-Source")


@dataclass(slots=True)
class _Parts:
    """A batch that was split: the items' places by who registers them, and the errors that are known at once."""

    by_partition: defaultdict[int, list[int]] = field(default_factory=lambda: defaultdict(list))
    by_oracle: defaultdict[tuple[Oracle, str], list[int]] = field(default_factory=lambda: defaultdict(list))
    errors: dict[int, ErrorInformation] = field(default_factory=dict)

    @property
    def names(self) -> frozenset[str]:
        partitions = (f"p{number}" for number in self.by_partition)
        return frozenset((*partitions, *(_oracle_part(*place) for place in self.by_oracle)))


def on_batch(turn: Turn, message: PartyBatchMessage, _body: bytes) -> None:
    """Split a batch and send out its parts."""
    if not turn.context.is_dfsp(message.source):
        log.info("party-request-dropped", reason="unknown source", resource="participants")
        return
    parts = _split(turn, message)
    assert len(message.items) == sum(
        map(len, (*parts.by_partition.values(), *parts.by_oracle.values(), parts.errors))
    ), "every item is in one part, or refused"
    run = f"{turn.record.partition}-{turn.record.offset}"
    batch = Batch(run, message.items, message.currency, parts.names, parts.errors)
    _send_parts(turn, message, batch, parts)
    _keep(turn, batch_key(message.source, message.id), batch)


def on_part(turn: Turn, message: PartyPartMessage, _body: bytes) -> None:
    """Register the parties of a batch that this partition keeps, and report the refused ones to the gathering one."""
    errors: dict[int, ErrorInformation] = {}
    for number, item in message.items.items():
        assert item.fsp is not None, "an item without the sender's FSP is refused before"
        key = item.party.key
        before = entries_of(turn.view, key)
        after = register(before, PartyEntry(item.fsp, item.party.sub_id, message.currency))
        if isinstance(after, Rejection):
            errors[number] = ErrorInformation.of(after)
        elif after != before:
            put_entries(turn.view, key, after)
    done = PartyPartDoneMessage(
        batch=message.batch, run=message.run, part=message.part, errors=errors, trace=turn.trace
    )
    turn.view.emit_to_partition("party", message.home, message.batch, encode(done))


def on_part_done(turn: Turn, message: PartyPartDoneMessage, _body: bytes) -> None:
    """Add a partition's results to the batch."""
    batch = _current_batch(turn, message.batch, message.run)
    if batch is not None:
        _keep(turn, message.batch, batch.with_part(message.part, message.errors))


def on_batch_answer(turn: Turn, part: OracleBatchPart, status: int | None, body: bytes) -> None:
    """Add an external oracle's results to the batch."""
    batch = _current_batch(turn, part.batch, part.run)
    if batch is None:
        return
    results = read_batch(status, body)
    errors = {
        number: error
        for number in part.numbers
        if (error := batch_result(results, batch.items[number].party)) is not None
    }
    _keep(turn, part.batch, batch.with_part(part.part, errors))


def _current_batch(turn: Turn, key: str, run: str) -> Batch | None:
    """Return the batch that a result belongs to, or None if it is done or has been sent again since."""
    batch = turn.view.get(BATCHES, key)
    return batch if batch is not None and batch.run == run else None


def _split(turn: Turn, message: PartyBatchMessage) -> _Parts:
    context, parts = turn.context, _Parts()
    for number, item in enumerate(message.items):
        party = item.party
        oracle = (
            (_FOREIGN_FSP if item.fsp != message.source else None)
            or identifier_rejection(party)
            or select_oracle(context.oracles, party.id_type, message.currency, context.built_in_oracle_types)
        )
        if isinstance(oracle, Rejection):
            parts.errors[number] = ErrorInformation.of(oracle)
        elif isinstance(oracle, Oracle):
            parts.by_oracle[oracle, party.id_type].append(number)
        else:
            parts.by_partition[turn.view.partition_of("party", party.key)].append(number)
    return parts


def _send_parts(turn: Turn, message: PartyBatchMessage, batch: Batch, parts: _Parts) -> None:
    view, key = turn.view, batch_key(message.source, message.id)
    for partition, numbers in parts.by_partition.items():
        part = PartyPartMessage(
            batch=key,
            run=batch.run,
            part=f"p{partition}",
            home=view.partition,
            source=message.source,
            currency=batch.currency,
            items={number: batch.items[number] for number in numbers},
            trace=turn.trace,
        )
        view.emit_to_partition("party", partition, message.id, encode(part))
    for (oracle, id_type), numbers in parts.by_oracle.items():
        content: dict[str, object] = {
            "requestId": message.id,
            "partyList": [batch.items[number].as_json() for number in numbers],
        }
        if batch.currency is not None:
            content["currency"] = batch.currency
        oracle_part = OracleBatchPart(
            batch=key, run=batch.run, part=_oracle_part(oracle, id_type), numbers=tuple(numbers), trace=turn.trace
        )
        ask_oracle_for_batch(view, oracle, oracle_part, content, message.headers, message.id)


def _keep(turn: Turn, key: str, batch: Batch) -> None:
    """Store the batch until all results are there; then delete it and send the sender the result."""
    if not batch.is_done:
        turn.view.put(BATCHES, key, batch)
        return
    turn.view.delete(BATCHES, key)
    request_id, source = split_batch_key(key)
    BatchNotifier(turn, request_id).result(source, batch.result())


def _oracle_part(oracle: Oracle, id_type: str) -> str:
    return f"o{oracle.oracle_id}-{id_type}"
