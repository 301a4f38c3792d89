"""Commands about participants, their accounts, limits and funds, and about the scheme's models (protocol 5).

Each is decided on the participant's own partition: the domain decides, the handler stores what has changed and
publishes the participant to all processes. Facts of the hub's row that a decision needs were looked up by the admin
API and travel in the command.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple, TypeAlias

import msgspec

from agents.alarms import raise_limit_alarms
from agents.posting import store_position, store_transfer
from agents.settlement.scheme import publish_scheme
from agents.turn import Turn
from clearinghub.domain.errors import Rejection
from clearinghub.domain.participants import registration
from clearinghub.domain.participants.funds_request import FundsRequest
from clearinghub.domain.participants.operator import remove_operator, set_operator
from clearinghub.domain.participants.participant import Account, Operator, Participant
from clearinghub.domain.participants.position import Position
from clearinghub.domain.participants.registration import NOT_FOUND, Change
from clearinghub.domain.participants.scheme import HUB_RECONCILIATION, SETTLEMENT, raise_feature_level
from clearinghub.domain.parties.oracle import add_oracle, change_oracle, remove_oracle
from clearinghub.domain.settlement.model import add_account_type, add_model, set_model_active
from clearinghub.domain.transfers.funds import (
    FUNDS_IN,
    FUNDS_OUT,
    RECORD_FUNDS_IN,
    RECORD_FUNDS_OUT,
    FundsOutcome,
    Recorded,
    abort_funds_out,
    commit_funds_out,
    complete_past_funds,
    record_funds_in,
    repeat_past_funds,
    reserve_funds_out,
    settlement_account,
)
from clearinghub.domain.transfers.transfer import Transfer
from clearinghub.messages import encode
from clearinghub.messages.commands import (
    AbortFundsOut,
    AddLedgerAccountType,
    AddOracle,
    AddSettlementModel,
    AdjustLimit,
    ChangeOracle,
    Command,
    CommitFundsOut,
    FundsResult,
    OpenAccounts,
    OpenHubAccount,
    ParticipantResult,
    RaiseFeatureLevel,
    RecordFundsIn,
    RegisterParticipant,
    RemoveOperator,
    RemoveOracle,
    ReserveFundsOut,
    SetAccountActive,
    SetActive,
    SetEndpoint,
    SetInitialLimit,
    SetOperator,
    SetSettlementModelActive,
)
from clearinghub.messages.transfers import CreditMessage
from clearinghub.rows import encode_row
from tables.claims import CLAIMS, funds_key
from tables.counters import next_id
from tables.participants import PARTICIPANTS
from tables.positions import POSITIONS, position_key
from tables.transfers import TRANSFERS

_INITIAL_POSITION: Final = "INITIAL_POSITION"


class ParticipantRows(NamedTuple):
    """The rows of one participant on its partition, as a command of the operator `by` finds them."""

    turn: Turn
    name: str
    by: str

    @property
    def stored(self) -> Participant | None:
        """The participant's row, or None."""
        return self.turn.view.get(PARTICIPANTS, self.name)

    @property
    def hub(self) -> Participant:
        """The hub's row, made when it is first needed: nobody registers the hub."""
        assert self.name == self.turn.hub_name
        return self.stored or self.join()

    @property
    def known(self) -> Participant | None:
        """The participant's row, or the hub's whether it is stored yet or not; None for an unknown participant."""
        return self.hub if self.name == self.turn.hub_name else self.stored

    def join(self, *, is_proxy: bool = False) -> Participant:
        """Return a new participant of this name, without accounts."""
        return registration.join(self.name, is_proxy=is_proxy, next_id=self.next_id, now_ms=self.turn.now_ms)

    def next_id(self) -> int:
        """Return an id that was never given before."""
        return next_id(self.turn.view)

    def position(self, currency: str, account_type: str) -> Position | None:
        """Return the participant's account of that currency and type, or None."""
        return self.turn.view.get(POSITIONS, position_key(self.name, currency, account_type))


Answer: TypeAlias = msgspec.Struct | Rejection


def store_change(rows: ParticipantRows, change: Change | Rejection) -> Answer:
    """Store what a decision has changed and publish the participant, if it has changed itself."""
    if isinstance(change, Rejection):
        return change
    before = rows.stored
    participant = change.participant
    if before is None or before.version != participant.version:
        view = rows.turn.view
        view.put(PARTICIPANTS, participant.name, participant)
        view.emit_to_partition("participants", view.partition, participant.name, encode_row(participant))
    for position in change.positions:
        _store_account(rows, position)
    return ParticipantResult(msgspec.Raw(encode_row(participant)))


def _store_account(rows: ParticipantRows, position: Position) -> None:
    turn = rows.turn
    before = rows.position(position.currency, position.account_type)
    moved = position.value - (0 if before is None else before.value)
    if moved:
        # No transfer moves the account here, so the command's own place names the movement.
        store_position(turn.view, position, moved, turn.place, _INITIAL_POSITION)
    else:
        key = position_key(position.participant, position.currency, position.account_type)
        turn.view.put(POSITIONS, key, position)
    if before is not None:
        raise_limit_alarms(turn, before, position)


def _register_participant(rows: ParticipantRows, command: RegisterParticipant) -> Answer:
    participant = rows.stored or rows.join(is_proxy=command.is_proxy)
    change = registration.register(participant, command.currency, command.account_types, rows.next_id, rows.turn.now_ms)
    return store_change(rows, change)


def _open_hub_account(rows: ParticipantRows, command: OpenHubAccount) -> Answer:
    change = registration.open_hub_account(
        rows.hub, command.currency, command.account_type, rows.next_id, rows.turn.now_ms
    )
    return store_change(rows, change)


def change_participant(rows: ParticipantRows, decide: Callable[[Participant], Change | Rejection]) -> Answer:
    """Store and publish what a decision about the participant has changed."""
    participant = rows.known
    return NOT_FOUND if participant is None else store_change(rows, decide(participant))


def _open_accounts(rows: ParticipantRows, command: OpenAccounts) -> Answer:
    return change_participant(
        rows,
        lambda participant: registration.open_accounts(
            participant, command.accounts, active=False, next_id=rows.next_id, now_ms=rows.turn.now_ms
        ),
    )


def _set_active(rows: ParticipantRows, command: SetActive) -> Answer:
    return change_participant(rows, lambda participant: registration.set_active(participant, active=command.active))


def _set_endpoint(rows: ParticipantRows, command: SetEndpoint) -> Answer:
    return change_participant(
        rows, lambda participant: registration.set_endpoint(participant, command.endpoint_type, command.value)
    )


def _set_account_active(rows: ParticipantRows, command: SetAccountActive) -> Answer:
    return change_participant(
        rows,
        lambda participant: registration.set_account_active(
            participant, command.account_id, rows.position, active=command.active
        ),
    )


def _set_initial_limit(rows: ParticipantRows, command: SetInitialLimit) -> Answer:
    return change_participant(
        rows,
        lambda participant: registration.set_initial_limit(
            participant,
            command.currency,
            rows.position,
            command.net_debit_cap,
            command.initial_position,
            rows.turn.now_ms,
        ),
    )


def _adjust_limit(rows: ParticipantRows, command: AdjustLimit) -> Answer:
    return change_participant(
        rows,
        lambda participant: registration.adjust_limit(
            participant, command.currency, rows.position, command.net_debit_cap, command.alarm_percent
        ),
    )


def _add_settlement_model(rows: ParticipantRows, command: AddSettlementModel) -> Answer:
    return _store_hub(rows, add_model(rows.hub, command.model, rows.next_id))


def _set_settlement_model_active(rows: ParticipantRows, command: SetSettlementModelActive) -> Answer:
    return _store_hub(rows, set_model_active(rows.hub, command.model_name, active=command.active))


def _add_ledger_account_type(rows: ParticipantRows, command: AddLedgerAccountType) -> Answer:
    return _store_hub(rows, add_account_type(rows.hub, command.account_type))


def _add_oracle(rows: ParticipantRows, command: AddOracle) -> Answer:
    return _store_hub(rows, add_oracle(rows.hub, command.oracle, rows.next_id))


def _change_oracle(rows: ParticipantRows, command: ChangeOracle) -> Answer:
    return _store_hub(rows, change_oracle(rows.hub, command.oracle_id, command.change))


def _remove_oracle(rows: ParticipantRows, command: RemoveOracle) -> Answer:
    return _store_hub(rows, remove_oracle(rows.hub, command.oracle_id))


def _raise_feature_level(rows: ParticipantRows, command: RaiseFeatureLevel) -> Answer:
    highest = rows.turn.context.highest_level
    return _store_hub(rows, raise_feature_level(rows.hub, command.level, command.reason, highest, rows.turn.now_ms))


def _set_operator(rows: ParticipantRows, command: SetOperator) -> Answer:
    operator = Operator(command.operator, command.roles, command.key, rows.turn.now_ms, rows.by)
    return _change_operators(rows, set_operator(rows.hub, operator))


def _remove_operator(rows: ParticipantRows, command: RemoveOperator) -> Answer:
    return _change_operators(rows, remove_operator(rows.hub, command.operator, rows.by))


def _change_operators(rows: ParticipantRows, hub: Participant | Rejection) -> Answer:
    return hub if isinstance(hub, Rejection) else store_change(rows, Change(hub))


def _store_hub(rows: ParticipantRows, hub: Participant | Rejection) -> Answer:
    """Store the hub, and tell every partition how the scheme settles from now on."""
    if isinstance(hub, Rejection):
        return hub
    publish_scheme(rows.turn.view, hub)
    return store_change(rows, Change(hub))


def _record_funds_in(rows: ParticipantRows, command: RecordFundsIn) -> Answer:
    return _request_funds(rows, command.request, record_funds_in, RECORD_FUNDS_IN)


def _reserve_funds_out(rows: ParticipantRows, command: ReserveFundsOut) -> Answer:
    return _request_funds(rows, command.request, reserve_funds_out, RECORD_FUNDS_OUT)


def _commit_funds_out(rows: ParticipantRows, command: CommitFundsOut) -> Answer:
    return _complete_funds_out(rows, command, commit_funds_out)


def _abort_funds_out(rows: ParticipantRows, command: AbortFundsOut) -> Answer:
    return _complete_funds_out(rows, command, abort_funds_out)


_RequestDecision: TypeAlias = Callable[[FundsRequest, Transfer | None, Position, int, str], FundsOutcome | Rejection]
_CompletionDecision: TypeAlias = Callable[[Transfer | None, Account, str, int, str], FundsOutcome | Rejection]


def _request_funds(rows: ParticipantRows, request: FundsRequest, decide: _RequestDecision, entry_type: str) -> Answer:
    account = settlement_account(rows.stored, request.account_id, request.currency)
    if isinstance(account, Rejection):
        return account
    settlement = rows.position(request.currency, SETTLEMENT)
    assert settlement is not None
    view = rows.turn.view
    past = view.get(CLAIMS, funds_key(request.transfer_id))
    if past is not None:
        kind = FUNDS_IN if entry_type == RECORD_FUNDS_IN else FUNDS_OUT
        return _book_funds(rows, repeat_past_funds(request, rows.name, kind, past), entry_type)
    stored = view.get(TRANSFERS, request.transfer_id)
    outcome = decide(request, stored, settlement, rows.turn.now_ms, rows.by)
    return outcome if isinstance(outcome, Rejection) else _book_funds(rows, outcome, entry_type)


def _complete_funds_out(
    rows: ParticipantRows, command: CommitFundsOut | AbortFundsOut, decide: _CompletionDecision
) -> Answer:
    account = settlement_account(rows.stored, command.account_id, None)
    if isinstance(account, Rejection):
        return account
    past = rows.turn.view.get(CLAIMS, funds_key(command.transfer_id))
    if past is not None:
        return _book_funds(rows, complete_past_funds(past, rows.name), RECORD_FUNDS_OUT)
    stored = rows.turn.view.get(TRANSFERS, command.transfer_id)
    outcome = decide(stored, account, rows.name, rows.turn.now_ms, rows.by)
    return outcome if isinstance(outcome, Rejection) else _book_funds(rows, outcome, RECORD_FUNDS_OUT)


def _book_funds(rows: ParticipantRows, outcome: FundsOutcome, entry_type: str) -> FundsResult:
    """Store the transfer and move the DFSP's funds here; the hub's other side follows on the hub's partition."""
    if not isinstance(outcome, Recorded):
        return FundsResult(None, outcome.reason)
    turn, transfer = rows.turn, outcome.transfer
    store_transfer(turn.view, transfer)
    if outcome.settlement_change:
        settlement = rows.position(transfer.currency, SETTLEMENT)
        assert settlement is not None
        moved = settlement.changed_by(outcome.settlement_change, turn.now_ms)
        store_position(turn.view, moved, outcome.settlement_change, transfer.transfer_id, entry_type)
    if outcome.reconciliation_change:
        assert abs(outcome.reconciliation_change) == transfer.amount
        credit = CreditMessage(
            id=transfer.transfer_id,
            participant=turn.hub_name,
            currency=transfer.currency,
            account_type=HUB_RECONCILIATION,
            change=outcome.reconciliation_change,
            entry=entry_type,
            trace=turn.trace,
        )
        turn.view.emit("credit", turn.hub_name, encode(credit))
    return FundsResult(transfer.state.value, None if transfer.error is None else transfer.error.description)


PARTICIPANT_COMMANDS: Final[Mapping[type[Command], Callable[[ParticipantRows, Any], Answer]]] = {
    RegisterParticipant: _register_participant,
    OpenHubAccount: _open_hub_account,
    OpenAccounts: _open_accounts,
    SetActive: _set_active,
    SetEndpoint: _set_endpoint,
    SetAccountActive: _set_account_active,
    SetInitialLimit: _set_initial_limit,
    AdjustLimit: _adjust_limit,
    AddSettlementModel: _add_settlement_model,
    SetSettlementModelActive: _set_settlement_model_active,
    AddLedgerAccountType: _add_ledger_account_type,
    AddOracle: _add_oracle,
    ChangeOracle: _change_oracle,
    RemoveOracle: _remove_oracle,
    RaiseFeatureLevel: _raise_feature_level,
    SetOperator: _set_operator,
    RemoveOperator: _remove_operator,
    RecordFundsIn: _record_funds_in,
    ReserveFundsOut: _reserve_funds_out,
    CommitFundsOut: _commit_funds_out,
    AbortFundsOut: _abort_funds_out,
}
