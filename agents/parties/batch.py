"""POST /participants: a batch is taken apart by partition and oracle, and its results are gathered (protocol 6.4).

The request id's partition gathers. Each partition that has some of the parties registers its own and says what came of
it; an external oracle is asked once for each type. When all have answered, the sender hears of every party.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import structlog

from agents.context import LedgerContext
from agents.parties.notify import BatchNotifier
from agents.parties.oracle_question import ask_oracle_for_batch
from agents.turn import Turn
from clearinghub.domain.errors import ErrorCode, ErrorInformation, Rejection
from clearinghub.domain.participants.participant import Oracle
from clearinghub.domain.parties.batch import Batch, BatchItem, batch_items
from clearinghub.domain.parties.oracle import batch_result, read_batch, select_oracle
from clearinghub.domain.parties.party import PartyEntry, PartyId, identifier_rejection, register
from clearinghub.engine.record import Handler, Record, View
from clearinghub.messages import VERSION, decode_fields, encode
from clearinghub.messages.parties import PartyPartDoneMessage, PartyPartMessage
from tables.batches import BATCHES, batch_key
from tables.parties import PARTIES

log = structlog.get_logger(__name__)

BATCH_STEP: Final = "batch"
_FOREIGN_FSP: Final = Rejection(ErrorCode.PARTY_NOT_FOUND, "fspId differs from FSPIOP-Source")


@dataclass(slots=True)
class _Parts:
    """A batch taken apart: numbers of items by who registers them, and what can be refused at once."""

    by_partition: defaultdict[int, list[int]] = field(default_factory=lambda: defaultdict(list))
    by_oracle: defaultdict[tuple[Oracle, str], list[int]] = field(default_factory=lambda: defaultdict(list))
    errors: dict[int, ErrorInformation] = field(default_factory=dict)

    @property
    def names(self) -> frozenset[str]:
        partitions = (f"p{number}" for number in self.by_partition)
        return frozenset((*partitions, *(_oracle_part(*place) for place in self.by_oracle)))


def make_batch_handlers(context: LedgerContext) -> Mapping[str, Handler]:
    """The handlers of a batch's records, by kind, and of its oracles' answers, by step."""

    def on_batch(record: Record, view: View) -> None:
        line, _body = decode_fields(record.value)
        if not context.is_dfsp(line["source"]):
            log.info("party-request-dropped", reason="unknown source", resource="participants")
            return
        items = batch_items(line["items"])
        parts = _take_apart(context, view, line["source"], line["currency"], items)
        run = f"{record.partition}-{record.offset}"
        batch = Batch(run, items, line["currency"], parts.names, parts.errors, line["trace"])
        _send_parts(view, line, batch, parts)
        _keep(record, view, batch_key(line["source"], line["id"]), batch, context)

    def on_part_done(record: Record, view: View) -> None:
        line, _body = decode_fields(record.value)
        errors = {number: ErrorInformation(code, description) for number, code, description in line["errors"]}
        _gather(record, view, line, errors, context)

    def on_oracle_answer(record: Record, view: View) -> None:
        line, body = decode_fields(record.value)
        asked = line["asked"]
        batch = view.get(BATCHES, asked["batch"])
        if batch is None or batch.run != asked["run"]:
            return
        results = read_batch(line["status"], body)
        errors = {
            number: error
            for number in asked["numbers"]
            if (error := batch_result(results, batch.items[number].party)) is not None
        }
        _gather(record, view, asked, errors, context)

    return {
        "party-batch": on_batch,
        "party-part": on_part,
        "party-part-done": on_part_done,
        BATCH_STEP: on_oracle_answer,
    }


def on_part(record: Record, view: View) -> None:
    """Register what this partition has of a batch."""
    line, _body = decode_fields(record.value)
    errors: list[list[Any]] = []
    for number, id_type, identifier, sub_id, fsp in line["items"]:
        key = PartyId(id_type, identifier).key
        before = view.get(PARTIES, key) or ()
        after = register(before, PartyEntry(fsp, sub_id, line["currency"]))
        if isinstance(after, Rejection):
            errors.append([number, after.code, after.description])
        elif after != before:
            view.put(PARTIES, key, after)
    done: PartyPartDoneMessage = {
        "v": VERSION,
        "kind": "party-part-done",
        "batch": line["batch"],
        "run": line["run"],
        "part": line["part"],
        "errors": errors,
    }
    view.emit_to_partition("party", line["home"], line["batch"], encode(done))


def _take_apart(
    context: LedgerContext, view: View, source: str, currency: str | None, items: tuple[BatchItem, ...]
) -> _Parts:
    parts = _Parts()
    for number, item in enumerate(items):
        party = item.party
        oracle = (
            (_FOREIGN_FSP if item.fsp != source else None)
            or identifier_rejection(party)
            or select_oracle(context.oracles, party.id_type, currency, context.built_in_oracle_types)
        )
        if isinstance(oracle, Rejection):
            parts.errors[number] = ErrorInformation.of(oracle)
        elif isinstance(oracle, Oracle):
            parts.by_oracle[oracle, party.id_type].append(number)
        else:
            parts.by_partition[view.partition_of("party", party.key)].append(number)
    return parts


def _send_parts(view: View, line: Mapping[str, Any], batch: Batch, parts: _Parts) -> None:
    key = batch_key(line["source"], line["id"])
    for partition, numbers in parts.by_partition.items():
        listed = ((number, batch.items[number]) for number in numbers)
        part: PartyPartMessage = {
            "v": VERSION,
            "kind": "party-part",
            "batch": key,
            "run": batch.run,
            "part": f"p{partition}",
            "home": view.partition,
            "source": line["source"],
            "currency": batch.currency,
            "items": [
                [number, one.party.id_type, one.party.identifier, one.party.sub_id, one.fsp] for number, one in listed
            ],
        }
        view.emit_to_partition("party", partition, line["id"], encode(part))
    for (oracle, id_type), numbers in parts.by_oracle.items():
        request = {"requestId": line["id"], "partyList": [batch.items[number].as_json() for number in numbers]}
        if batch.currency is not None:
            request["currency"] = batch.currency
        asked = {
            "kind": "party-part",
            "batch": key,
            "run": batch.run,
            "part": _oracle_part(oracle, id_type),
            "numbers": numbers,
            "headers": line["headers"],
            "resource": "participants",
        }
        ask_oracle_for_batch(view, oracle, BATCH_STEP, request, line["id"], asked)


def _gather(
    record: Record, view: View, done: Mapping[str, Any], errors: Mapping[int, ErrorInformation], context: LedgerContext
) -> None:
    """Note that a part is done, unless the batch has been sent again since."""
    batch = view.get(BATCHES, done["batch"])
    if batch is not None and batch.run == done["run"]:
        _keep(record, view, done["batch"], batch.with_part(done["part"], errors), context)


def _keep(record: Record, view: View, key: str, batch: Batch, context: LedgerContext) -> None:
    """Keep the batch until it is done; then its sender hears of it."""
    if not batch.is_done:
        view.put(BATCHES, key, batch)
        return
    view.delete(BATCHES, key)
    request_id, _, source = key.partition("/")
    turn = Turn(record, view, context, batch.trace, record.timestamp_ms)
    BatchNotifier(turn, request_id, batch.trace).result(source, batch.result())


def _oracle_part(oracle: Oracle, id_type: str) -> str:
    return f"o{oracle.oracle_id}-{id_type}"
