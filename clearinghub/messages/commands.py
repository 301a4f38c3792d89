"""Commands of operators to the ledger, on topic `command`, and the replies to them, on topic `reply`.

`CommandMessage` is the envelope; the command in it is decoded second, so that one of a newer release can be answered.
"""

from __future__ import annotations

from typing import Final, TypeAlias, TypeVar

import msgspec

from clearinghub.domain.participants.credential import NewCredential
from clearinghub.domain.participants.funds_request import FundsRequest
from clearinghub.domain.participants.participant import (
    LedgerAccountType,
    ModelDefinition,
    OracleDefinition,
    OracleFields,
)
from clearinghub.domain.settlement.settlement import AccountRequest, AccountResult
from clearinghub.messages.codec import MalformedMessageError, Message


class CommandMessage(Message, frozen=True, kw_only=True, tag="command"):
    """A command, keyed by the participant, on whose partition it is decided.

    `reply_to` is the process that waits, and finds its request by `correlation_id`. `command` is the encoded `Command`,
    `by` the operator whose it is; "" with security=open.
    """

    participant: str
    correlation_id: str
    reply_to: str
    command: msgspec.Raw
    by: str = ""


class ReplyError(msgspec.Struct, frozen=True):
    """Why a command was refused: an FSPIOP error code, its description, and the HTTP status that goes with it."""

    code: str
    description: str
    status: int


class ReplyMessage(Message, frozen=True, kw_only=True, tag="reply"):
    """The outcome of a command, keyed by `reply_to`: a result, an error, or the `approval` that it waits for."""

    correlation_id: str
    reply_to: str
    result: msgspec.Raw = msgspec.Raw(b"null")
    error: ReplyError | None = None
    approval: str | None = None


class Command(msgspec.Struct, frozen=True, kw_only=True, tag_field="name"):
    """What an operator asks of the ledger; `name`, written first, says which command it is."""


class RegisterParticipant(Command, frozen=True, kw_only=True, tag="register-participant"):
    """Create a participant, or add a currency to one that exists. The result is a `ParticipantResult`."""

    currency: str
    account_types: tuple[str, ...]
    is_proxy: bool


class OpenHubAccount(Command, frozen=True, kw_only=True, tag="open-hub-account"):
    """Open an account of the hub. The result is a `ParticipantResult`."""

    currency: str
    account_type: str


class OpenAccounts(Command, frozen=True, kw_only=True, tag="open-accounts"):
    """Open those of the accounts (currency, account type) that are missing. The result is a `ParticipantResult`."""

    accounts: tuple[tuple[str, str], ...]


class SetActive(Command, frozen=True, kw_only=True, tag="set-active"):
    """Activate or deactivate a participant. The result is a `ParticipantResult`."""

    active: bool


class SetEndpoint(Command, frozen=True, kw_only=True, tag="set-endpoint"):
    """Set or replace a participant's endpoint of one type. The result is a `ParticipantResult`."""

    endpoint_type: str
    value: str


class RegisterCredential(Command, frozen=True, kw_only=True, tag="register-credential"):
    """Add a key to a participant, pending. The result is a `ParticipantResult`."""

    credential: NewCredential


class ActivateCredential(Command, frozen=True, kw_only=True, tag="activate-credential"):
    """Let a participant's key count. The result is a `ParticipantResult`."""

    credential_id: str
    reason: str


class RetireCredential(Command, frozen=True, kw_only=True, tag="retire-credential"):
    """Let a participant's key count until a time only. The result is a `ParticipantResult`."""

    credential_id: str
    until_ms: int
    reason: str


class RevokeCredential(Command, frozen=True, kw_only=True, tag="revoke-credential"):
    """Let a participant's key never count again. The result is a `ParticipantResult`."""

    credential_id: str
    reason: str


class SetAccountActive(Command, frozen=True, kw_only=True, tag="set-account-active"):
    """Activate or deactivate a POSITION account. The result is a `ParticipantResult`."""

    account_id: int
    active: bool


class SetInitialLimit(Command, frozen=True, kw_only=True, tag="set-initial-limit"):
    """Set the first cap and position in a currency, in 1/10,000 units. The result is a `ParticipantResult`."""

    currency: str
    net_debit_cap: int
    initial_position: int


class AdjustLimit(Command, frozen=True, kw_only=True, tag="adjust-limit"):
    """Replace a cap, in 1/10,000 units, and its alarm threshold. The result is a `ParticipantResult`."""

    currency: str
    net_debit_cap: int
    alarm_percent: int


class AddSettlementModel(Command, frozen=True, kw_only=True, tag="add-settlement-model"):
    """Define a settlement model, on the hub's partition. The result is a `ParticipantResult` with the hub."""

    model: ModelDefinition


class SetSettlementModelActive(Command, frozen=True, kw_only=True, tag="set-settlement-model-active"):
    """Activate or deactivate a settlement model. The result is a `ParticipantResult` with the hub."""

    model_name: str
    active: bool


class AddLedgerAccountType(Command, frozen=True, kw_only=True, tag="add-ledger-account-type"):
    """Define an account type of the scheme's own. The result is a `ParticipantResult` with the hub."""

    account_type: LedgerAccountType


class AddOracle(Command, frozen=True, kw_only=True, tag="add-oracle"):
    """Register an oracle. The result is a `ParticipantResult` with the hub."""

    oracle: OracleDefinition


class ChangeOracle(Command, frozen=True, kw_only=True, tag="change-oracle"):
    """Change some fields of an oracle. The result is a `ParticipantResult` with the hub."""

    oracle_id: int
    change: OracleFields


class RemoveOracle(Command, frozen=True, kw_only=True, tag="remove-oracle"):
    """Remove an oracle. The result is a `ParticipantResult` with the hub."""

    oracle_id: int


class RaiseFeatureLevel(Command, frozen=True, kw_only=True, tag="raise-feature-level"):
    """Let the hub write what a feature level adds. The result is a `ParticipantResult` with the hub."""

    level: int
    reason: str


class SetOperator(Command, frozen=True, kw_only=True, tag="set-operator"):
    """Appoint an operator, or replace its roles and key. The result is a `ParticipantResult` with the hub."""

    operator: str
    roles: tuple[str, ...]
    key: str


class RemoveOperator(Command, frozen=True, kw_only=True, tag="remove-operator"):
    """Remove an operator. The result is a `ParticipantResult` with the hub."""

    operator: str


class DecideApproval(Command, frozen=True, kw_only=True, tag="decide-approval"):
    """Run a command that waits for a second operator, or drop it. The result is a `DecisionResult`."""

    approval: str
    approves: bool
    reason: str


class RecordFundsIn(Command, frozen=True, kw_only=True, tag="record-funds-in"):
    """Book money that a DFSP has paid in. The result is a `FundsResult`."""

    request: FundsRequest


class ReserveFundsOut(Command, frozen=True, kw_only=True, tag="reserve-funds-out"):
    """Reserve money that a DFSP withdraws. The result is a `FundsResult`."""

    request: FundsRequest


class CommitFundsOut(Command, frozen=True, kw_only=True, tag="commit-funds-out"):
    """Complete a reserved withdrawal: the money has left. The result is a `FundsResult`."""

    account_id: int
    transfer_id: str


class AbortFundsOut(Command, frozen=True, kw_only=True, tag="abort-funds-out"):
    """Cancel a reserved withdrawal: the money is the DFSP's again. The result is a `FundsResult`."""

    account_id: int
    transfer_id: str


class CloseWindow(Command, frozen=True, kw_only=True, tag="close-window"):
    """Close a settlement window. The result is a `WindowResult` with the window that is open now."""

    window: int
    reason: str


class CreateSettlement(Command, frozen=True, kw_only=True, tag="create-settlement"):
    """Create a settlement of closed windows by the rules of a model. The result is a `SettlementResult`."""

    model: str
    reason: str
    windows: tuple[int, ...]


class AdvanceSettlement(Command, frozen=True, kw_only=True, tag="advance-settlement"):
    """Move accounts of a settlement to their next state. The result is a `SettlementResult`."""

    settlement: int
    accounts: tuple[AccountRequest, ...]


class AbortSettlement(Command, frozen=True, kw_only=True, tag="abort-settlement"):
    """Abort a settlement. The result is a `SettlementResult`."""

    settlement: int
    reason: str
    external_reference: str | None


class ParticipantResult(msgspec.Struct, frozen=True):
    """The participant after a command, encoded as its row."""

    participant: msgspec.Raw


class DecisionResult(msgspec.Struct, frozen=True):
    """A decision was carried out; `version` is that of the participant's row afterwards."""

    version: int


class FundsResult(msgspec.Struct, frozen=True):
    """The state that the transfer of funds has reached, None if nothing was done; and the reason, if there is one."""

    state: str | None
    reason: str | None


class WindowResult(msgspec.Struct, frozen=True):
    """A settlement window, encoded as its row."""

    window: msgspec.Raw


class SettlementResult(msgspec.Struct, frozen=True):
    """A settlement and its windows, encoded as their rows; `accounts` has one result for each account requested.

    `account_rows` are the rows of those accounts whose request was accepted, in the same order.
    """

    settlement: msgspec.Raw
    windows: tuple[msgspec.Raw, ...]
    accounts: tuple[AccountResult, ...] = ()
    account_rows: tuple[msgspec.Raw, ...] = ()


AnyCommand: TypeAlias = (
    RegisterParticipant
    | OpenHubAccount
    | OpenAccounts
    | SetActive
    | SetEndpoint
    | RegisterCredential
    | ActivateCredential
    | RetireCredential
    | RevokeCredential
    | SetAccountActive
    | SetInitialLimit
    | AdjustLimit
    | AddSettlementModel
    | SetSettlementModelActive
    | AddLedgerAccountType
    | AddOracle
    | ChangeOracle
    | RemoveOracle
    | RaiseFeatureLevel
    | SetOperator
    | RemoveOperator
    | DecideApproval
    | RecordFundsIn
    | ReserveFundsOut
    | CommitFundsOut
    | AbortFundsOut
    | CloseWindow
    | CreateSettlement
    | AdvanceSettlement
    | AbortSettlement
)
CommandReply: TypeAlias = ParticipantResult | DecisionResult | FundsResult | WindowResult | SettlementResult
Result = TypeVar("Result", bound=msgspec.Struct)


class UnknownCommand(msgspec.Struct, frozen=True):
    """A command of a newer release, of which only the name can be read."""

    name: str


_ENCODER: Final = msgspec.json.Encoder()
_DECODER: Final = msgspec.json.Decoder(AnyCommand)
_NAME_DECODER: Final = msgspec.json.Decoder(UnknownCommand)
_NAMES: Final = frozenset(command.__struct_config__.tag for command in AnyCommand.__args__)


def name_of(command: Command) -> str:
    """Return the name by which a command travels, e.g. "set-active"."""
    return str(command.__struct_config__.tag)


def encode_command(command: Command) -> msgspec.Raw:
    """Return a command as it is put into a `CommandMessage`."""
    return msgspec.Raw(_ENCODER.encode(command))


def read_command(message: CommandMessage) -> AnyCommand | UnknownCommand:
    """Return the command of a message.

    Raises:
        MalformedMessageError: it has the name of a known command and is not of its form.
    """
    try:
        return _DECODER.decode(message.command)
    except msgspec.MsgspecError as error:
        unknown = _read_name(message.command)
        if unknown is None or unknown.name in _NAMES:
            raise MalformedMessageError(f"command: {error}") from error
        return unknown


def encode_result(result: msgspec.Struct) -> msgspec.Raw:
    """Return a result as it is put into a `ReplyMessage`."""
    return msgspec.Raw(_ENCODER.encode(result))


def read_result(reply: ReplyMessage, result_type: type[Result]) -> Result:
    """Return the result of a command that was not refused.

    Raises:
        MalformedMessageError: it is no such result.
    """
    assert reply.error is None
    try:
        return msgspec.json.decode(reply.result, type=result_type)
    except msgspec.MsgspecError as error:
        raise MalformedMessageError(f"result: {error}") from error


def _read_name(encoded: msgspec.Raw) -> UnknownCommand | None:
    try:
        return _NAME_DECODER.decode(encoded)
    except msgspec.MsgspecError:
        return None
