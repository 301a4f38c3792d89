"""A participant of the scheme: a DFSP, or the hub itself with its accounts and the scheme's settlement models.

The values whose names end in Definition, Fields or Request are what an operator asks for; the ledger decides on them.
"""

from __future__ import annotations

from typing import Protocol

import msgspec

from clearinghub.domain.participants.credential import Credential
from clearinghub.features import FIRST_LEVEL
from clearinghub.rows import Row


class Account(msgspec.Struct, frozen=True, array_like=True):
    """An account's identity; its value and limit are in the table `positions`."""

    account_id: int
    currency: str
    account_type: str
    active: bool
    created_at_ms: int


class ModelDefinition(msgspec.Struct, frozen=True):
    """A settlement model as an operator defines it; one without a currency is for all that have no model of their own.

    See `SettlementModel` for the fields.
    """

    name: str
    granularity: str
    interchange: str
    delay: str
    currency: str | None
    require_liquidity_check: bool
    ledger_account_type: str
    settlement_account_type: str
    auto_position_reset: bool


class SettlementModel(msgspec.Struct, frozen=True, array_like=True):
    """How one ledger account type is settled (protocol 5.3).

    `granularity` is NET or GROSS, `interchange` BILATERAL or MULTILATERAL, `delay` IMMEDIATE or DEFERRED. With
    `auto_position_reset`, settlement moves the accounts of the ledger account type back towards zero.
    """

    model_id: int
    name: str
    active: bool
    granularity: str
    interchange: str
    delay: str
    currency: str | None
    require_liquidity_check: bool
    ledger_account_type: str
    settlement_account_type: str
    auto_position_reset: bool


class LedgerAccountType(msgspec.Struct, frozen=True, array_like=True):
    """A type of account that the scheme has defined beside the built-in ones (protocol 5.3)."""

    name: str
    description: str
    active: bool
    settleable: bool


class OracleDefinition(msgspec.Struct, frozen=True):
    """An oracle that an operator registers; see `Oracle` for the fields."""

    id_type: str
    url: str
    endpoint_type: str
    currency: str | None = None
    is_default: bool = False


class OracleFields(msgspec.Struct, frozen=True, omit_defaults=True):
    """The fields of an oracle that an operator replaces; those that are None stay as they are."""

    id_type: str | None = None
    url: str | None = None
    endpoint_type: str | None = None
    currency: str | None = None
    is_default: bool | None = None


class Oracle(msgspec.Struct, frozen=True, array_like=True):
    """A service that knows which FSP has a party of a type (protocol 6.1).

    An oracle without a currency is for all that have no oracle of their own.
    """

    oracle_id: int
    id_type: str
    url: str
    endpoint_type: str
    currency: str | None
    is_default: bool


class FeatureRaise(msgspec.Struct, frozen=True, array_like=True):
    """An operator's decision that the hub writes what a feature level adds, with its time and reason."""

    level: int
    at_ms: int
    reason: str


class Operator(msgspec.Struct, frozen=True, array_like=True):
    """An operator with its roles; `key` is the SHA-256 of its certificate's public key (SPKI) in base64url.

    `changed_by` is the operator who has said so last, "" if the hub did not know who it was.
    """

    name: str
    roles: tuple[str, ...]
    key: str
    changed_at_ms: int
    changed_by: str


class Approval(msgspec.Struct, frozen=True, array_like=True):
    """A command, encoded as it came, that waits for a second operator; `by` has requested it."""

    approval_id: str
    command: str
    by: str
    at_ms: int
    until_ms: int


class Participant(Row, frozen=True, array_like=True):
    """A participant with its accounts, endpoints and credentials: a row, and the record that every process reads.

    `version` counts changes and tells an older record from a newer one. `models`, `account_types`, `oracles`,
    `feature_raises` and `operators` are the scheme's, and only the hub has any.
    """

    participant_id: int
    name: str
    active: bool
    created_at_ms: int
    is_proxy: bool = False
    accounts: tuple[Account, ...] = ()
    endpoints: dict[str, str] = msgspec.field(default_factory=dict)
    models: tuple[SettlementModel, ...] = ()
    account_types: tuple[LedgerAccountType, ...] = ()
    version: int = 0
    oracles: tuple[Oracle, ...] = ()
    feature_raises: tuple[FeatureRaise, ...] = ()
    credentials: tuple[Credential, ...] = ()
    operators: tuple[Operator, ...] = ()
    approvals: tuple[Approval, ...] = ()

    @property
    def feature_level(self) -> int:
        """The scheme's feature level, if this is the hub."""
        return self.feature_raises[-1].level if self.feature_raises else FIRST_LEVEL

    def account(self, currency: str, account_type: str) -> Account | None:
        """Return the account of that currency and type, or None."""
        for account in self.accounts:
            if account.currency == currency and account.account_type == account_type:
                return account
        return None

    def account_by_id(self, account_id: int) -> Account | None:
        """Return the account with that id, or None."""
        for account in self.accounts:
            if account.account_id == account_id:
                return account
        return None


class ParticipantDirectory(Protocol):
    """A whole copy of the scheme's participants, as each process keeps one."""

    def get(self, name: str) -> Participant | None:
        """Return the participant of that name (case-sensitive), or None."""
