"""What can happen to a scheme, in the model's own words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class Prepare:
    """POST /transfers. `right_condition` False: one that is no condition at all. `digest` stands for the body.

    Or a line of the bulk `bulk_id`.
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
    """PUT /transfers/{ID} or its /error. `right_fulfilment` None: none at all. `note` makes bodies differ.

    `action` is "commit", "reserve", "reject" or "abort"; `digest` stands for the body.
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
    bulk_id: str = ""  # of the bulk that is answered, if one is

    def body(self) -> str:
        return self.digest or repr((self.action, self.right_fulfilment, self.error_code, self.note))


@dataclass(frozen=True, slots=True)
class Timeout:
    """The punctuator's reminder."""

    transfer_id: str


@dataclass(frozen=True, slots=True)
class Limits:
    """The operator changes what a DFSP may owe, or the DFSP its funds."""

    dfsp: str
    net_debit_cap: int | None
    funds: int


@dataclass(frozen=True, slots=True)
class Flags:
    """The operator stops or readmits a DFSP, or its account."""

    dfsp: str
    active: bool
    account_active: bool


Message: TypeAlias = Prepare | Fulfil | Timeout | Limits | Flags


@dataclass(frozen=True, slots=True)
class Happening:
    """A message, and the time that the broker stamped on it."""

    message: Message
    at_ms: int
