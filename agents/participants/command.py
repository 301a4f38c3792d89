"""Admin commands at the participant's own partition: decide, store, publish the participant, reply (protocol 5).

What an operator asks was validated at the edge; here it meets the state. Facts of other partitions that a decision
needs (the hub's accounts and models) come resolved in `args`, with the hub's name. A refusal is an answer; a command
is applied once, as every record is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, cast

from agents.alarms import raise_limit_alarms
from agents.context import LedgerContext
from agents.posting import emit_reply, store_position, store_transfer
from agents.settlement.settlement import SETTLEMENT_COMMANDS, on_settlement_command, publish_scheme
from agents.turn import Turn
from clearinghub.domain.errors import ErrorCode, Rejection
from clearinghub.domain.participants import registration
from clearinghub.domain.participants.funds import (
    RECORD_FUNDS_IN,
    RECORD_FUNDS_OUT,
    FundsOutcome,
    FundsRequest,
    Recorded,
    abort_funds_out,
    commit_funds_out,
    record_funds_in,
    reserve_funds_out,
    settlement_account,
)
from clearinghub.domain.participants.participant import (
    LedgerAccountType,
    Participant,
    ParticipantDirectory,
    encode_participant,
    participant_fields,
)
from clearinghub.domain.participants.position import Position
from clearinghub.domain.participants.registration import NOT_FOUND, Change
from clearinghub.domain.parties.oracle import change_oracles
from clearinghub.domain.settlement.model import ModelDefinition, add_account_type, add_model, set_model_active
from clearinghub.domain.settlement.scheme import HUB_RECONCILIATION, SETTLEMENT
from clearinghub.engine.record import Record, View
from clearinghub.messages import decode_fields, encode
from clearinghub.messages.transfers import CreditMessage
from tables.counters import next_id
from tables.participants import PARTICIPANTS
from tables.positions import POSITIONS, position_key
from tables.transfers import TRANSFERS

_INITIAL_POSITION: Final = "INITIAL_POSITION"


@dataclass(frozen=True, slots=True)
class _Command:
    """One command with the partition it acts on; `key` names its movements where no transfer does."""

    name: str
    args: dict[str, Any]
    view: View
    now_ms: int
    key: str
    trace: str | None
    turn: Turn

    @property
    def stored(self) -> Participant | None:
        return self.view.get(PARTICIPANTS, self.name)

    @property
    def hub(self) -> Participant:
        """The hub's row; made when it is first needed, for the hub is there before any participant."""
        assert self.name == self.args["hub_name"]
        return self.stored or self.join()

    @property
    def known(self) -> Participant | None:
        """The participant, or the hub whether it has a row yet or not."""
        return self.hub if self.name == self.args["hub_name"] else self.stored

    def join(self, *, is_proxy: bool = False) -> Participant:
        return registration.join(self.name, is_proxy=is_proxy, next_id=self.next_id, now_ms=self.now_ms)

    def next_id(self) -> int:
        return next_id(self.view)

    def position(self, currency: str, account_type: str) -> Position | None:
        return self.view.get(POSITIONS, position_key(self.name, currency, account_type))


_Answer = dict[str, Any] | Rejection


def on_command(record: Record, view: View) -> None:
    """The handler of topic `command`."""
    line, _body = decode_fields(record.value)
    if line["name"] in SETTLEMENT_COMMANDS:
        on_settlement_command(record, view, line)
        return
    key = f"{record.topic}-{record.partition}-{record.offset}"
    args, trace = line["args"], line["trace"]
    context = LedgerContext(args.get("hub_name", ""), cast("ParticipantDirectory", None))  # only the name is read
    turn = Turn(record, view, context, trace, record.timestamp_ms)
    command = _Command(line["participant"], args, view, record.timestamp_ms, key, trace, turn)
    handler = COMMANDS.get(line["name"])
    # An ingress may be newer than this worker while the hub is being upgraded.
    answer = Rejection(ErrorCode.NOT_IMPLEMENTED, line["name"]) if handler is None else handler(command)
    emit_reply(view, line["correlation_id"], line["reply_to"], answer)


def _keep(command: _Command, change: Change | Rejection) -> _Answer:
    """Store what a decision has changed, publish the participant, and answer with it."""
    if isinstance(change, Rejection):
        return change
    before = command.stored
    participant = change.participant
    if before is None or before.version != participant.version:
        command.view.put(PARTICIPANTS, participant.name, participant)
        command.view.emit("participants", participant.name, encode_participant(participant))
    for position in change.positions:
        _keep_position(command, position)
    return {"participant": participant_fields(participant)}


def _keep_position(command: _Command, position: Position) -> None:
    before = command.position(position.currency, position.account_type)
    moved = position.value - (0 if before is None else before.value)
    if moved:
        store_position(command.view, position, moved, command.key, _INITIAL_POSITION)
    else:
        command.view.put(
            POSITIONS, position_key(position.participant, position.currency, position.account_type), position
        )
    if before is not None:
        raise_limit_alarms(command.turn, before, position)


def _register_participant(command: _Command) -> _Answer:
    participant = command.stored or command.join(is_proxy=command.args["is_proxy"])
    args = command.args
    return _keep(
        command,
        registration.register(participant, args["currency"], args["account_types"], command.next_id, command.now_ms),
    )


def _open_hub_account(command: _Command) -> _Answer:
    args = command.args
    return _keep(
        command,
        registration.open_hub_account(
            command.hub, args["currency"], args["account_type"], command.next_id, command.now_ms
        ),
    )


def _change(command: _Command, decide: Callable[[Participant], Change | Rejection]) -> _Answer:
    participant = command.known
    return NOT_FOUND if participant is None else _keep(command, decide(participant))


def _open_accounts(command: _Command) -> _Answer:
    wanted = [(currency, account_type) for currency, account_type in command.args["accounts"]]
    opened = partial(
        registration.open_accounts, wanted=wanted, active=False, next_id=command.next_id, now_ms=command.now_ms
    )
    return _change(command, opened)


def _set_active(command: _Command) -> _Answer:
    return _change(command, partial(registration.set_active, active=command.args["active"]))


def _set_endpoint(command: _Command) -> _Answer:
    args = command.args
    return _change(command, lambda known: registration.set_endpoint(known, args["type"], args["value"]))


def _set_account_active(command: _Command) -> _Answer:
    args = command.args
    return _change(
        command,
        lambda known: registration.set_account_active(
            known, args["account_id"], command.position, active=args["active"]
        ),
    )


def _set_initial_limit(command: _Command) -> _Answer:
    args = command.args
    return _change(
        command,
        lambda known: registration.set_initial_limit(
            known, args["currency"], command.position, args["net_debit_cap"], args["initial_position"], command.now_ms
        ),
    )


def _adjust_limit(command: _Command) -> _Answer:
    args = command.args
    return _change(
        command,
        lambda known: registration.adjust_limit(
            known, args["currency"], command.position, args["net_debit_cap"], args["alarm_percent"]
        ),
    )


def _add_settlement_model(command: _Command) -> _Answer:
    asked = ModelDefinition(**command.args["model"])
    return _keep_hub(command, add_model(command.hub, asked, command.next_id))


def _set_settlement_model_active(command: _Command) -> _Answer:
    args = command.args
    return _keep_hub(command, set_model_active(command.hub, args["name"], active=args["active"]))


def _add_ledger_account_type(command: _Command) -> _Answer:
    return _keep_hub(command, add_account_type(command.hub, LedgerAccountType(**command.args["account_type"])))


def _keep_hub(command: _Command, hub: Participant | Rejection) -> _Answer:
    if isinstance(hub, Rejection):
        return hub
    publish_scheme(command.view, hub)
    return _keep(command, Change(hub))


_Request = Callable[[FundsRequest, Any, Position, int], FundsOutcome | Rejection]
_Completion = Callable[..., FundsOutcome]


def _request_funds(command: _Command, *, decide: _Request, entry_type: str) -> _Answer:
    request = FundsRequest(participant=command.name, **command.args["request"])
    account = settlement_account(command.stored, request.account_id, request.currency)
    if isinstance(account, Rejection):
        return account
    settlement = command.position(request.currency, SETTLEMENT)
    assert settlement is not None
    outcome = decide(request, command.view.get(TRANSFERS, request.transfer_id), settlement, command.now_ms)
    return outcome if isinstance(outcome, Rejection) else _record_funds(command, outcome, entry_type)


def _complete_funds_out(command: _Command, *, decide: _Completion) -> _Answer:
    args = command.args
    account = settlement_account(command.stored, args["account_id"], None)
    if isinstance(account, Rejection):
        return account
    stored = command.view.get(TRANSFERS, args["transfer_id"])
    return _record_funds(command, decide(stored, account, command.name, command.now_ms), RECORD_FUNDS_OUT)


def _record_funds(command: _Command, outcome: FundsOutcome, entry_type: str) -> _Answer:
    """Store the transfer, move the DFSP's funds here, and let the hub's other side follow on its partition."""
    if not isinstance(outcome, Recorded):
        return {"state": None, "reason": outcome.reason}
    transfer = outcome.transfer
    store_transfer(command.view, transfer)
    if outcome.settlement_change:
        settlement = command.position(transfer.currency, SETTLEMENT)
        assert settlement is not None
        moved = settlement.changed_by(outcome.settlement_change, command.now_ms)
        store_position(command.view, moved, outcome.settlement_change, transfer.transfer_id, entry_type)
    if outcome.reconciliation_change:
        credit = CreditMessage(
            id=transfer.transfer_id,
            participant=command.args["hub_name"],
            currency=transfer.currency,
            account_type=HUB_RECONCILIATION,
            change=outcome.reconciliation_change,
            entry=entry_type,
            trace=command.trace,
        )
        command.view.emit("credit", command.args["hub_name"], encode(credit))
    return {"state": transfer.state.value, "reason": None if transfer.error is None else transfer.error.description}


COMMANDS: Final[Mapping[str, Callable[[_Command], _Answer]]] = {
    "register-participant": _register_participant,
    "open-hub-account": _open_hub_account,
    "open-accounts": _open_accounts,
    "set-active": _set_active,
    "change-oracles": lambda command: _keep_hub(command, change_oracles(command.hub, command.args, command.next_id)),
    "set-endpoint": _set_endpoint,
    "set-account-active": _set_account_active,
    "set-initial-limit": _set_initial_limit,
    "adjust-limit": _adjust_limit,
    "add-settlement-model": _add_settlement_model,
    "set-settlement-model-active": _set_settlement_model_active,
    "add-ledger-account-type": _add_ledger_account_type,
    "record-funds-in": partial(_request_funds, decide=record_funds_in, entry_type=RECORD_FUNDS_IN),
    "reserve-funds-out": partial(_request_funds, decide=reserve_funds_out, entry_type=RECORD_FUNDS_OUT),
    "commit-funds-out": partial(_complete_funds_out, decide=commit_funds_out),
    "abort-funds-out": partial(_complete_funds_out, decide=abort_funds_out),
}
