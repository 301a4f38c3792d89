"""A participant of the scheme: a DFSP, or the hub itself with its accounts and the scheme's settlement models."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol

ROW_VERSION = 1


@dataclass(frozen=True, slots=True)
class Account:
    """An account's identity; its value and limit are in the table `positions`."""

    account_id: int
    currency: str
    account_type: str
    active: bool
    created_at_ms: int


@dataclass(frozen=True, slots=True)
class SettlementModel:
    """How one ledger account type is settled (protocol 5.3)."""

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


@dataclass(frozen=True, slots=True)
class LedgerAccountType:
    """A kind of account that the scheme has defined beside the built-in ones (protocol 5.3)."""

    name: str
    description: str
    active: bool
    settleable: bool


@dataclass(frozen=True, slots=True)
class Oracle:
    """A service that knows which FSP has the parties of a type (protocol 6.1); without a currency, in all of them."""

    oracle_id: int
    id_type: str
    url: str
    endpoint_type: str
    currency: str | None
    is_default: bool


@dataclass(frozen=True, slots=True)
class Participant:
    """A participant, whole: what every process of the hub keeps of it.

    `models`, `account_types` and `oracles` are the scheme's; only the hub's own row has any.
    """

    participant_id: int
    name: str
    active: bool
    created_at_ms: int
    is_proxy: bool = False
    accounts: tuple[Account, ...] = ()
    endpoints: Mapping[str, str] = field(default_factory=dict)
    models: tuple[SettlementModel, ...] = ()
    account_types: tuple[LedgerAccountType, ...] = ()
    version: int = 0  # counts changes; tells an older record from a newer one
    oracles: tuple[Oracle, ...] = ()

    def account(self, currency: str, account_type: str) -> Account | None:
        """The account of that currency and type, or None."""
        for account in self.accounts:
            if account.currency == currency and account.account_type == account_type:
                return account
        return None

    def account_by_id(self, account_id: int) -> Account | None:
        """The account with that id, or None."""
        for account in self.accounts:
            if account.account_id == account_id:
                return account
        return None


class ParticipantDirectory(Protocol):
    """A whole copy of the scheme's participants, as each process keeps one."""

    def get(self, name: str) -> Participant | None:
        """Return the participant of that name (case-sensitive), or None."""


def participant_fields(row: Participant) -> dict[str, Any]:
    """The row as JSON types, with `v`, the version of its shape."""
    return {"v": ROW_VERSION, **asdict(row)}


def participant_of(fields: Mapping[str, Any]) -> Participant:
    """The participant in JSON types. Raises ValueError for a shape of another version."""
    if fields.get("v") != ROW_VERSION:
        raise ValueError("participant record of another version")
    plain = {name: value for name, value in fields.items() if name != "v"}
    plain["accounts"] = tuple(Account(**account) for account in fields["accounts"])
    plain["models"] = tuple(SettlementModel(**model) for model in fields["models"])
    plain["account_types"] = tuple(LedgerAccountType(**kind) for kind in fields["account_types"])
    plain["oracles"] = tuple(Oracle(**oracle) for oracle in fields.get("oracles", ()))  # rows from before have none
    return Participant(**plain)


def encode_participant(row: Participant) -> bytes:
    """The record's bytes: a JSON object."""
    return json.dumps(participant_fields(row), separators=(",", ":")).encode()


def decode_participant(data: bytes) -> Participant:
    """The participant in a record's bytes. Raises ValueError for a shape of another version."""
    return participant_of(json.loads(data))
