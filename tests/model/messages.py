"""What can happen in a scheme: messages, reminders and operators' changes, in the model's own types."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class Prepare:
    """POST /transfers, or an item of the bulk `bulk_id`.

    `right_condition` is False for a text that is no condition. `digest` replaces the body.
    """

    transfer_id: str
    source: str
    payer: str
    payee: str
    amount: int
    right_condition: bool
    expires_at_ms: int
    digest: str = ""
    bulk_id: str = ""

    def body(self) -> str:
        return self.digest or repr((self.payer, self.payee, self.amount, self.right_condition, self.expires_at_ms))


@dataclass(frozen=True, slots=True)
class Fulfil:
    """PUT /transfers/{ID} or its /error. `right_fulfilment` is None without a fulfilment. `note` makes bodies differ.

    `action` is "commit", "reserve", "reject" or "abort"; `digest` replaces the body.
    """

    transfer_id: str
    action: str
    source: str
    destination: str | None
    right_fulfilment: bool | None
    version: str
    error_code: str
    note: int = 0
    digest: str = ""
    bulk_id: str = ""  # of the bulk that is answered, if it is an item

    def body(self) -> str:
        return self.digest or repr((self.action, self.right_fulfilment, self.error_code, self.note))


@dataclass(frozen=True, slots=True)
class Timeout:
    """The punctuator's reminder of an expired transfer."""

    transfer_id: str


@dataclass(frozen=True, slots=True)
class Limits:
    """A change of a DFSP's cap or of its funds."""

    dfsp: str
    net_debit_cap: int | None
    funds: int


@dataclass(frozen=True, slots=True)
class Flags:
    """An operator's change of whether a DFSP and its account are active."""

    dfsp: str
    active: bool
    account_active: bool


Message: TypeAlias = Prepare | Fulfil | Timeout | Limits | Flags


@dataclass(frozen=True, slots=True)
class Happening:
    """A message with its time: that of the broker, in milliseconds."""

    message: Message
    at_ms: int
