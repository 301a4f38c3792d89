"""The index from topic to handler: what the ledger reads, and which function decides which message.

The order is the order in which a round takes its inputs: work in flight before new work.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, NamedTuple

from agents.bulk.fulfil import make_on_bulk_fulfil
from agents.bulk.prepare import make_on_bulk_prepare
from agents.commands import on_command
from agents.context import LedgerContext
from agents.parties.batch import make_batch_handlers
from agents.parties.party import make_on_party
from agents.parties.party_import import make_on_import
from agents.quotes.agreement import make_on_agreement
from agents.settlement.settlement import make_on_settlement
from agents.transfers.credit import make_on_credit
from agents.transfers.fulfil import make_on_fulfil
from agents.transfers.lookup import make_on_lookup
from agents.transfers.prepare import make_on_prepare
from agents.transfers.timeout import on_timeout
from agents.turn import Turn
from clearinghub.engine.config import Input
from clearinghub.engine.record import Handler, Record, View
from clearinghub.messages import CommandMessage, Message, TimeoutMessage, decode

# What decides one kind of message. A generator lets others work between its steps (see engine/record.py).
Decide = Callable[[Turn, Any, bytes], Iterator[None] | None]


class UnexpectedMessageError(Exception):
    """A message on a topic that does not carry its kind: a bug, or a foreign writer."""


class InputTopic(NamedTuple):
    """A topic that the ledger reads, and what decides each kind of message on it; see `Input` for `is_heavy`."""

    name: str
    handlers: Mapping[type[Message], Decide] | Callable[[LedgerContext], Handler]
    is_heavy: bool = False


INPUT_TOPICS: Final = (
    InputTopic("credit", make_on_credit),
    InputTopic("settlement", make_on_settlement),
    InputTopic("fulfil", make_on_fulfil),
    InputTopic("timeout", {TimeoutMessage: on_timeout}),
    InputTopic("command", {CommandMessage: on_command}),
    InputTopic("lookup", lambda context: make_on_lookup(context, make_on_fulfil(context))),
    InputTopic("bulk-fulfil", make_on_bulk_fulfil, is_heavy=True),
    InputTopic("prepare", make_on_prepare),
    InputTopic("bulk-prepare", make_on_bulk_prepare, is_heavy=True),
    InputTopic("agreement", make_on_agreement),
    InputTopic(
        "party",
        lambda context: make_on_party(
            context, {**make_batch_handlers(context), "party-import": make_on_import(context)}
        ),
    ),
)


def make_handler(topic: InputTopic, context: LedgerContext) -> Handler:
    """Return the engine's handler of one topic."""
    if not isinstance(topic.handlers, Mapping):
        return topic.handlers(context)
    handlers = topic.handlers

    def handle(record: Record, view: View) -> Iterator[None] | None:
        message, body = decode(record.value)
        decide = handlers.get(type(message))
        if decide is None:
            raise UnexpectedMessageError(f"{type(message).__name__} on topic {topic.name}")
        return decide(Turn(record, view, context, message.trace, record.timestamp_ms), message, body)

    return handle


def make_handlers(context: LedgerContext) -> dict[str, Handler]:
    """Return the engine's handlers of all topics, by topic."""
    return {topic.name: make_handler(topic, context) for topic in INPUT_TOPICS}


def ledger_inputs(context: LedgerContext) -> tuple[Input, ...]:
    """Return the engine's inputs in the order in which a round takes them."""
    return tuple(Input(topic.name, make_handler(topic, context), topic.is_heavy) for topic in INPUT_TOPICS)
