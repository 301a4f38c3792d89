"""A participant of the scheme: a DFSP, or the hub itself with its accounts and the scheme's settlement models."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

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
    """How one ledger account type is settled (fspiop 5.3)."""

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
class Participant:
    """A participant, whole: what every process of the hub keeps of it. `models` is empty but for the hub's own."""

    participant_id: int
    name: str
    active: bool
    created_at_ms: int
    is_proxy: bool = False
    accounts: tuple[Account, ...] = ()
    endpoints: Mapping[str, str] = field(default_factory=dict)
    models: tuple[SettlementModel, ...] = ()
    version: int = 0  # counts changes; tells an older record from a newer one

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


def encode_participant(row: Participant) -> bytes:
    """The record's bytes: a JSON object with `v`, the version of its shape."""
    return json.dumps({"v": ROW_VERSION, **asdict(row)}, separators=(",", ":")).encode()


def decode_participant(data: bytes) -> Participant:
    """The participant in a record's bytes. Raises ValueError for a shape of another version."""
    fields: dict[str, Any] = json.loads(data)
    if fields.pop("v", None) != ROW_VERSION:
        raise ValueError("participant record of another version")
    fields["accounts"] = tuple(Account(**account) for account in fields["accounts"])
    fields["models"] = tuple(SettlementModel(**model) for model in fields["models"])
    return Participant(**fields)
