"""The answers of the admin API (protocol 5.1, 5.3) as checked values; dumped they have the API's own names.

Amounts are integers of 1/10,000, and decimal text when dumped: most readers make floats of JSON's numbers.
"""

from __future__ import annotations

from typing import Annotated, Any, Final

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, TypeAdapter

from clearinghub.domain.money import format_amount
from clearinghub.tools.client.money import units

POSITION: Final = "POSITION"
SETTLEMENT: Final = "SETTLEMENT"

Units = Annotated[int, BeforeValidator(units), PlainSerializer(format_amount)]


class Response(BaseModel):
    """A part of an answer; unknown keys are ignored, for a newer hub may send more."""

    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True, serialize_by_alias=True)

    def document(self) -> dict[str, Any]:
        """Return the value as JSON types, with the API's keys."""
        return self.model_dump(mode="json")


class Account(Response):
    """An account without its balance, as it is listed with a participant."""

    account_id: int = Field(alias="id")
    account_type: str = Field(alias="ledgerAccountType")
    currency: str
    active: bool = Field(alias="isActive")


class AccountBalance(Account):
    """An account with its balance; a settlement account is negative when funded (protocol 4.1)."""

    value_units: Units = Field(alias="value")
    reserved_units: Units = Field(alias="reservedValue")
    changed_at: str = Field(alias="changedDate")


BALANCES: Final = TypeAdapter(list[AccountBalance])


class Participant(Response):
    """A participant; the hub itself is one."""

    name: str
    active: bool = Field(alias="isActive")
    is_proxy: bool = Field(default=False, alias="isProxy")
    created_at: str = Field(alias="created")
    accounts: tuple[Account, ...]

    @property
    def currencies(self) -> tuple[str, ...]:
        """The currencies of its accounts, in order of opening."""
        return tuple(dict.fromkeys(account.currency for account in self.accounts))


class LimitValue(Response):
    """A net debit cap, and the share of it at which operators are warned."""

    value_units: Units = Field(alias="value")
    alarm_percent: int = Field(alias="alarmPercentage")


class Limit(Response):
    """A participant's net debit cap in a currency."""

    name: str
    currency: str
    limit: LimitValue


class Endpoint(Response):
    """The URL for callbacks of one type."""

    endpoint_type: str = Field(alias="type")
    value: str


class Operator(Response):
    """An operator of the hub; `changed_by` is empty if the hub did not know who it was."""

    name: str
    roles: tuple[str, ...]
    key: str
    changed_at: str = Field(alias="changedDate")
    changed_by: str = Field(alias="changedBy")


class Approval(Response):
    """A command that waits for a second operator."""

    approval_id: str = Field(alias="id")
    participant: str
    command: str
    arguments: dict[str, Any]
    by: str
    created_at: str = Field(alias="createdDate")
    valid_until: str = Field(alias="validUntil")


class Credential(Response):
    """A key of a participant; `until` is when a retiring one ends, the other dates are its certificate's."""

    credential_id: str = Field(alias="id")
    use: str
    form: str
    state: str
    is_valid: bool = Field(alias="isValid")
    registered: str
    not_before: str | None = Field(alias="notBefore")
    not_after: str | None = Field(alias="notAfter")
    until: str | None
    changed: str
    reason: str
    pem: str


class FeatureLevel(Response):
    """A feature level that the hub's release knows, and what is written only from it on."""

    level: int
    release: str
    adds: str


class FeatureRaise(Response):
    """When and why an operator raised the scheme's feature level."""

    level: int
    at: str
    reason: str


class RunningProcess(Response):
    """A process of the hub, with its release."""

    role: str
    instance: str
    release: str
    highest_level: int = Field(alias="highestLevel")


class Features(Response):
    """The scheme's feature level, and who knows which."""

    level: int
    release: str
    levels: tuple[FeatureLevel, ...]
    raised: tuple[FeatureRaise, ...]
    processes: tuple[RunningProcess, ...]


class Receiver(Response):
    """What waits for a receiver of callbacks in one worker."""

    receiver: str
    waiting: int
    in_flight: int = Field(alias="inFlight")
    breaker: str
    parked: int
    parked_bytes: int = Field(alias="parkedBytes")
    oldest_parked_s: int = Field(alias="oldestParkedSeconds")


class CallbacksWorker(Response):
    """A worker of the role `callbacks`, and the receivers that have callbacks there."""

    instance: str
    receivers: tuple[Receiver, ...]


class PartitionStop(Response):
    """Why a partition is stopped, or only its input `topic`, and what the operator can do."""

    code: str
    topic: str | None
    sentence: str
    remedy: str
    since: str
    id: str


class Partition(Response):
    """A partition of the ledger: the worker that has it, what it does, and its stops."""

    partition: int
    worker: str | None
    state: str
    since: str | None
    oldest_waiting: str | None = Field(alias="oldestWaiting")
    reopenings: int
    last_failure: str | None = Field(alias="lastFailure")
    stops: tuple[PartitionStop, ...]


class SettlementModel(Response):
    """A settlement model; the API does not show the settlement account's type."""

    name: str
    active: bool = Field(alias="isActive")
    granularity: str = Field(alias="settlementGranularity")
    interchange: str = Field(alias="settlementInterchange")
    delay: str = Field(alias="settlementDelay")
    currency: str | None = None
    require_liquidity_check: bool = Field(alias="requireLiquidityCheck")
    ledger_account_type: str = Field(alias="ledgerAccountTypeId")
    auto_position_reset: bool = Field(alias="autoPositionReset")
