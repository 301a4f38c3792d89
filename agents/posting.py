"""Posting: move accounts, and store and publish transfers. All agents that move money do it by these functions."""

from __future__ import annotations

from typing import Final, Protocol

import msgspec
from msgspec.structs import replace

from agents.turn import Turn
from clearinghub.domain.errors import ErrorCode, Rejection
from clearinghub.domain.participants.approval import ApprovalPending
from clearinghub.domain.participants.position import Position
from clearinghub.domain.time import timestamp_text
from clearinghub.domain.transfers.transfer import State, Transfer
from clearinghub.engine.record import View
from clearinghub.messages import encode
from clearinghub.messages.commands import ReplyError, ReplyMessage, encode_result
from clearinghub.messages.published import PositionRecord, TransferRecord, encode_published
from tables.counters import next_number, next_sequence
from tables.positions import POSITIONS, position_key
from tables.transfers import TRANSFERS

PRINCIPLE_VALUE: Final = "PRINCIPLE_VALUE"  # the entry of a transfer's amount; the spelling is the reference's
# The final states of a transfer that was reserved and not committed.
_RELEASED: Final = frozenset({State.ABORTED_ERROR, State.EXPIRED_RESERVED})
ANSWER_BYTES_MAX: Final = 6 * 1024 * 1024  # the engine dead-letters a record that emits one of more than 7 MiB
_TOO_LARGE: Final = Rejection(ErrorCode.SERVICE_UNAVAILABLE, "It was done, but the answer is too large to send")


class UnknownAccountError(Exception):
    """A movement of an account that does not exist: its sender has not checked, which is a bug."""


def store_position(view: View, position: Position, change: int, transfer_id: str, entry_type: str) -> None:
    """Store an account that has moved by `change`, and append the movement to its history, topic `positions`."""
    key = position_key(position.participant, position.currency, position.account_type)
    stored = view.get(POSITIONS, key)
    assert position.value - (0 if stored is None else stored.value) == change, f"{key} has not moved by {change}"
    view.put(POSITIONS, key, position)
    movement = PositionRecord(
        participant=position.participant,
        account_id=position.account_id,
        account_type=position.account_type,
        currency=position.currency,
        change=change,
        value=position.value,
        reserved=position.reserved,
        change_number=position.change_number,
        transfer_id=transfer_id,
        entry_type=entry_type,
        at_ms=position.changed_at_ms,
    )
    view.emit("positions", position.participant, encode_published(movement))


def move_account(turn: Turn, key: str, change: int, transfer_id: str, entry_type: str) -> Position:
    """Move the account with that key by `change` and return it.

    Raises:
        UnknownAccountError: there is no such account.
    """
    position = turn.view.get(POSITIONS, key)
    if position is None:
        raise UnknownAccountError(key)
    moved = position.changed_by(change, turn.now_ms)
    store_position(turn.view, moved, change, transfer_id, entry_type)
    return moved


def release_payer(turn: Turn, transfer: Transfer) -> None:
    """Release what an aborted or expired transfer had reserved on the payer's position."""
    assert transfer.was_reserved, f"{transfer.transfer_id} reserved nothing"
    assert transfer.state in _RELEASED, f"{transfer.transfer_id} is {transfer.state}"
    key = position_key(transfer.payer, transfer.currency, "POSITION")
    move_account(turn, key, -transfer.amount, transfer.transfer_id, PRINCIPLE_VALUE)


class Waiting(Protocol):
    """Says which process waits for a reply: a command's message, or the row of a command whose reply follows later."""

    @property
    def correlation_id(self) -> str:
        """Tells the process which of its requests the reply is for."""

    @property
    def reply_to(self) -> str:
        """The name of the process."""


def emit_reply(view: View, waiting: Waiting, answer: msgspec.Struct | Rejection) -> None:
    """Reply to a command, in the transaction of what the command did.

    If the result is too large for one record, an error is sent instead. It says that the command took effect.
    """
    reply = ReplyMessage(correlation_id=waiting.correlation_id, reply_to=waiting.reply_to)
    if isinstance(answer, Rejection):
        error = ReplyError(answer.code, answer.description, answer.status)
        reply = msgspec.structs.replace(reply, error=error)
    elif isinstance(answer, ApprovalPending):
        reply = msgspec.structs.replace(reply, approval=answer.approval_id)
    else:
        reply = msgspec.structs.replace(reply, result=encode_result(answer))
    value = encode(reply)
    if len(value) > ANSWER_BYTES_MAX:
        emit_reply(view, waiting, _TOO_LARGE)
        return
    view.emit_to_partition("reply", view.partition, waiting.reply_to, value)


def store_transfer(view: View, transfer: Transfer) -> None:
    """Store a transfer; a new one is numbered. If its state is final, that is numbered too, and published."""
    if transfer.number is None:
        transfer = replace(transfer, number=next_number(view))
    if transfer.state.is_final:
        stored = view.get(TRANSFERS, transfer.transfer_id)
        assert stored is None or not stored.state.is_final, f"{transfer.transfer_id} is final already"
        transfer = replace(transfer, sequence=next_sequence(view), trace=None)
        value = encode_published(_final_record(transfer))
        view.emit_to_partition("transfers", view.partition, transfer.transfer_id, value)
    view.put(TRANSFERS, transfer.transfer_id, transfer)


def _final_record(transfer: Transfer) -> TransferRecord:
    assert transfer.sequence is not None
    return TransferRecord(
        sequence=transfer.sequence,
        transfer_id=transfer.transfer_id,
        kind=transfer.kind,
        payer=transfer.payer,
        payee=transfer.payee,
        amount=transfer.amount,
        currency=transfer.currency,
        state=transfer.state.value,
        window=transfer.window,
        interchange_fee=transfer.interchange_fee,
        error_code=None if transfer.error is None else transfer.error.code,
        error_description=None if transfer.error is None else transfer.error.description,
        prepared_at=timestamp_text(transfer.history[0][1]),
        finished_at=timestamp_text(transfer.changed_at_ms),
    )
