"""What is stored or sent: every type of row, message and other value, and how each is read and written."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from pkgutil import walk_packages
from typing import Any, Final, NamedTuple

import msgspec

import clearinghub.domain
import clearinghub.engine
import tables
from clearinghub.engine.dead_letter import poison_record_letter
from clearinghub.engine.record import Record
from clearinghub.messages import AnyMessage, Message, decode, encode
from clearinghub.messages.archived import Archived, decode_archived, encode_archived
from clearinghub.messages.bulk import BulkFulfilBody, BulkPrepareBody, decode_fulfil_body, decode_prepare_body
from clearinghub.messages.commands import (
    AnyCommand,
    CommandMessage,
    CommandReply,
    ReplyMessage,
    encode_command,
    encode_result,
    read_command,
    read_result,
)
from clearinghub.messages.parties import OracleBatchPart, PartyImportResult
from clearinghub.messages.processes import RunningProcess, decode_process, encode_process
from clearinghub.messages.published import PositionRecord, TransferRecord, encode_published
from clearinghub.rows import Row, encode_row, make_row_decoder


class Kind(NamedTuple):
    """A type of value: `name` is unique, `group` says where it is; `read` raises for what it cannot read."""

    name: str
    group: str
    struct: type[Any]
    write: Callable[[Any], bytes]
    read: Callable[[bytes], Any]


BODY: Final = b'{"a body":"of a DFSP"}\n'

for _package in (clearinghub.domain, clearinghub.engine, tables):
    for _module in walk_packages(_package.__path__, f"{_package.__name__}."):
        import_module(_module.name)  # so that the types of all rows are there


def _row_types(base: type[Row] = Row) -> list[type[Row]]:
    found = [one for sub in base.__subclasses__() for one in (sub, *_row_types(sub))]
    return [one for one in found if one.__module__.partition(".")[0] in ("clearinghub", "tables")]


def _rows() -> list[Kind]:
    return [
        Kind(f"row {one.__name__}", "rows", one, encode_row, make_row_decoder(one))
        for one in sorted(_row_types(), key=lambda one: one.__name__)
    ]


def _read_message(value: bytes) -> Message:
    message, body = decode(value)
    assert BODY == body
    return message


def _messages() -> list[Kind]:
    return [
        Kind(
            f"message {one.__struct_config__.tag}",
            "messages",
            one,
            lambda message: encode(message, BODY),
            _read_message,
        )
        for one in AnyMessage.__args__
    ]


def _command(value: bytes) -> Any:
    return read_command(CommandMessage(participant="", correlation_id="", reply_to="", command=msgspec.Raw(value)))


def _result_reader(result: type[Any]) -> Callable[[bytes], Any]:
    return lambda value: read_result(ReplyMessage(correlation_id="", reply_to="", result=msgspec.Raw(value)), result)


def _commands() -> list[Kind]:
    commands = [
        Kind(f"command {one.__struct_config__.tag}", "commands", one, lambda it: bytes(encode_command(it)), _command)
        for one in AnyCommand.__args__
    ]
    results = (*CommandReply.__args__, PartyImportResult)
    return commands + [
        Kind(f"result {one.__name__}", "commands", one, lambda it: bytes(encode_result(it)), _result_reader(one))
        for one in results
    ]


def _as_json(struct: type[Any]) -> Callable[[bytes], Any]:
    return msgspec.json.Decoder(struct).decode


def _others() -> list[Kind]:
    bodies = msgspec.json.Encoder().encode
    return [
        Kind("archived", "others", Archived, encode_archived, decode_archived),
        Kind("process", "others", RunningProcess, encode_process, decode_process),
        Kind("published transfer", "others", TransferRecord, encode_published, _as_json(TransferRecord)),
        Kind("published position", "others", PositionRecord, encode_published, _as_json(PositionRecord)),
        Kind("bulk prepare body", "others", BulkPrepareBody, bodies, decode_prepare_body),
        Kind("bulk fulfil body", "others", BulkFulfilBody, bodies, decode_fulfil_body),
        Kind("oracle batch part", "others", OracleBatchPart, bodies, _as_json(OracleBatchPart)),
    ]


KINDS: Final = {kind.name: kind for kind in (*_rows(), *_messages(), *_commands(), *_others())}


def dead_letter_of_the_ledger() -> bytes:
    """Return the value that the ledger writes for a poison record."""
    return poison_record_letter(Record("prepare", 1, 7, 1_700_000_000_000, b"alpha", BODY), ValueError("a fault"))
