"""The steps that `apply` can take, each a value that can also be shown."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from clearinghub.tools.apply.declared import DeclaredModel
from clearinghub.tools.client.money import shown_amount
from clearinghub.tools.client.names import short_endpoint_type
from clearinghub.tools.client.responses import LimitValue


@dataclass(frozen=True, slots=True)
class Shown:
    """A step in words: its subject, the present value (None if there is none) and the new one."""

    kind: str
    subject: str
    before: str | None
    after: str


@dataclass(frozen=True, slots=True)
class OpenHubAccount:
    """Open one of the hub's own accounts."""

    currency: str
    account_type: str

    def shown(self) -> Shown:
        return Shown("hub-account", f"{self.currency} {self.account_type}", None, "open")


@dataclass(frozen=True, slots=True)
class AddModel:
    """Add a settlement model, which is active then."""

    name: str
    currency: str | None
    model: DeclaredModel

    def shown(self) -> Shown:
        model = self.model
        words = (model.settlement_delay, model.settlement_granularity, model.settlement_interchange)
        return Shown("settlement-model", self.name, None, f"{' '.join(words)}, {self.currency or 'all others'}")


@dataclass(frozen=True, slots=True)
class SetModelActive:
    """Switch a settlement model on or off."""

    name: str
    active: bool

    def shown(self) -> Shown:
        return _switch("settlement-model-active", self.name, active=self.active)


@dataclass(frozen=True, slots=True)
class Register:
    """Register a participant, or one more currency of it."""

    participant: str
    currency: str
    is_proxy: bool
    is_new: bool

    def shown(self) -> Shown:
        kind = "participant" if self.is_new else "participant-currency"
        return Shown(kind, f"{self.participant} {self.currency}", None, "proxy" if self.is_proxy else "registered")


@dataclass(frozen=True, slots=True)
class SetLimit:
    """Set a net debit cap; the first one opens the accounts."""

    participant: str
    currency: str
    before: LimitValue | None
    cap_units: int
    alarm_percent: int | None

    def shown(self) -> Shown:
        before = None if self.before is None else _limit(self.before.value_units, self.before.alarm_percent)
        percent = self.alarm_percent
        if percent is None and self.before is not None:
            percent = self.before.alarm_percent
        return Shown("net-debit-cap", f"{self.participant} {self.currency}", before, _limit(self.cap_units, percent))


@dataclass(frozen=True, slots=True)
class SetAccountActive:
    """Switch a participant's POSITION account on or off."""

    participant: str
    currency: str
    active: bool

    def shown(self) -> Shown:
        return _switch("account-active", f"{self.participant} {self.currency} POSITION", active=self.active)


@dataclass(frozen=True, slots=True)
class SetParticipantActive:
    """Switch a participant on or off."""

    participant: str
    active: bool

    def shown(self) -> Shown:
        return _switch("participant-active", self.participant, active=self.active)


@dataclass(frozen=True, slots=True)
class SetEndpoint:
    """Set the URL for callbacks of one type."""

    participant: str
    endpoint_type: str
    before: str | None
    value: str

    def shown(self) -> Shown:
        return Shown(
            "endpoint", f"{self.participant} {short_endpoint_type(self.endpoint_type)}", self.before, self.value
        )


@dataclass(frozen=True, slots=True)
class TopUpFunds:
    """Record funds in, as much as is missing."""

    participant: str
    currency: str
    before_units: int
    at_least_units: int

    def shown(self) -> Shown:
        before, after = shown_amount(self.before_units), shown_amount(self.at_least_units)
        return Shown("funds", f"{self.participant} {self.currency}", before, after)


Step: TypeAlias = (
    OpenHubAccount
    | AddModel
    | SetModelActive
    | Register
    | SetLimit
    | SetAccountActive
    | SetParticipantActive
    | SetEndpoint
    | TopUpFunds
)


def _switch(kind: str, subject: str, *, active: bool) -> Shown:
    return Shown(kind, subject, "inactive" if active else "active", "active" if active else "inactive")


def _limit(cap_units: int, alarm_percent: int | None) -> str:
    return shown_amount(cap_units) + ("" if alarm_percent is None else f", alarm at {alarm_percent}%")
