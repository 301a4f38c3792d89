"""What the admin API answers with (protocol 5.1, 5.3), as checked values. Dumped by alias they are the API's own names.

Amounts are integers of 1/10,000 inside and decimal text when dumped: JSON's numbers would be floats to most readers.
"""

from __future__ import annotations

from typing import Annotated, Any, Final

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, TypeAdapter

from clearinghub.domain.money import format_amount
from clearinghub.tools.client.money import units

POSITION: Final = "POSITION"
SETTLEMENT: Final = "SETTLEMENT"

Units = Annotated[int, BeforeValidator(units), PlainSerializer(format_amount)]


class Shape(BaseModel):
    """Keys that this client does not know are ignored: a newer hub may say more."""

    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True, serialize_by_alias=True)

    def document(self) -> dict[str, Any]:
        """JSON types, keys as in the API."""
        return self.model_dump(mode="json")


class Account(Shape):
    """An account's identity, as a participant shows it."""

    account_id: int = Field(alias="id")
    account_type: str = Field(alias="ledgerAccountType")
    currency: str
    active: bool = Field(alias="isActive")


class AccountBalance(Account):
    """One account with what it holds; a settlement account is negative when funded (protocol 4.1)."""

    value_units: Units = Field(alias="value")
    reserved_units: Units = Field(alias="reservedValue")
    changed_at: str = Field(alias="changedDate")


BALANCES: Final = TypeAdapter(list[AccountBalance])


class Participant(Shape):
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


class LimitValue(Shape):
    """A net debit cap; `alarm_percent` of it is where operators want to hear."""

    value_units: Units = Field(alias="value")
    alarm_percent: int = Field(alias="alarmPercentage")


class Limit(Shape):
    """A participant's net debit cap in a currency."""

    name: str
    currency: str
    limit: LimitValue


class Endpoint(Shape):
    """Where callbacks of a type go."""

    endpoint_type: str = Field(alias="type")
    value: str


class SettlementModel(Shape):
    """A settlement model. The API does not tell the settlement account's type."""

    name: str
    active: bool = Field(alias="isActive")
    granularity: str = Field(alias="settlementGranularity")
    interchange: str = Field(alias="settlementInterchange")
    delay: str = Field(alias="settlementDelay")
    currency: str | None = None
    require_liquidity_check: bool = Field(alias="requireLiquidityCheck")
    ledger_account_type: str = Field(alias="ledgerAccountTypeId")
    auto_position_reset: bool = Field(alias="autoPositionReset")
