"""How settlement models and kinds of accounts come to be and change, on the hub's partition (protocol 5.3)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from clearinghub.domain.errors import ErrorCode, Rejection
from clearinghub.domain.participants.participant import LedgerAccountType, Participant, SettlementModel
from clearinghub.domain.settlement.scheme import (
    POSITION,
    SETTLEMENT,
    find_model,
    is_ledger_account_type,
    ledger_account_types,
)

# They share one record of the compacted topic with the hub's accounts; a record has about 1 MB.
MODELS_MAX: Final = 500
ACCOUNT_TYPES_MAX: Final = 100

_NOT_INTO_SETTLEMENT: Final = Rejection(
    ErrorCode.VALIDATION_ERROR, "An IMMEDIATE GROSS model of POSITION must have settlementAccountType SETTLEMENT"
)

COMBINATIONS: Final = frozenset(
    {
        ("IMMEDIATE", "GROSS", "BILATERAL"),
        ("DEFERRED", "GROSS", "BILATERAL"),
        ("DEFERRED", "NET", "BILATERAL"),
        ("DEFERRED", "NET", "MULTILATERAL"),
    }
)


@dataclass(frozen=True, slots=True)
class ModelDefinition:
    """A settlement model as an operator asks for it; `currency` is None for all currencies without their own."""

    name: str
    granularity: str
    interchange: str
    delay: str
    currency: str | None
    require_liquidity_check: bool
    ledger_account_type: str
    settlement_account_type: str
    auto_position_reset: bool


def add_account_type(hub: Participant, kind: LedgerAccountType) -> Participant | Rejection:
    """The hub with one more kind of account."""
    if any(kind.name == known.name for known in ledger_account_types(hub)):
        return Rejection(ErrorCode.CLIENT_ERROR, "This Ledger Account Type already exists")
    if len(hub.account_types) >= ACCOUNT_TYPES_MAX:
        return Rejection(ErrorCode.CLIENT_ERROR, "The scheme has too many ledger account types")
    return replace(hub, account_types=(*hub.account_types, kind), version=hub.version + 1)


def add_model(hub: Participant, asked: ModelDefinition, next_id: Callable[[], int]) -> Participant | Rejection:
    """The hub with one more settlement model, which is active."""
    fault = _model_fault(hub, asked)
    if fault is not None:
        return fault
    model = SettlementModel(
        model_id=next_id(),
        name=asked.name,
        active=True,
        granularity=asked.granularity,
        interchange=asked.interchange,
        delay=asked.delay,
        currency=asked.currency,
        require_liquidity_check=asked.require_liquidity_check,
        ledger_account_type=asked.ledger_account_type,
        settlement_account_type=asked.settlement_account_type,
        auto_position_reset=asked.auto_position_reset,
    )
    return replace(hub, models=(*hub.models, model), version=hub.version + 1)


def set_model_active(hub: Participant, name: str, *, active: bool) -> Participant | Rejection:
    """The hub with that model switched on or off."""
    if find_model(hub, name) is None:
        return Rejection(ErrorCode.INTERNAL_SERVER_ERROR, "Settlement Model does not exist")
    models = tuple(replace(model, active=active) if model.name == name else model for model in hub.models)
    return replace(hub, models=models, version=hub.version + 1)


def _is_position_gross(asked: ModelDefinition) -> bool:
    """Each commit moves both DFSPs' settlement accounts, wherever the payee is: they must be there (protocol 9.6)."""
    return (asked.delay, asked.granularity, asked.ledger_account_type) == ("IMMEDIATE", "GROSS", POSITION)


def _model_fault(hub: Participant, asked: ModelDefinition) -> Rejection | None:
    """The first thing wrong with a model, in the reference's order, or None."""
    if (asked.delay, asked.granularity, asked.interchange) not in COMBINATIONS:
        return Rejection(
            ErrorCode.CLIENT_ERROR,
            "Invalid settlement model definition - delay-granularity-interchange combination is not supported",
        )
    if not is_ledger_account_type(hub, asked.ledger_account_type):
        return Rejection(ErrorCode.ADD_PARTY_INFO_ERROR, "Ledger account type was not found")
    if not is_ledger_account_type(hub, asked.settlement_account_type):
        return Rejection(ErrorCode.ADD_PARTY_INFO_ERROR, "Settlement account type was not found")
    if _is_position_gross(asked) and asked.settlement_account_type != SETTLEMENT:
        return _NOT_INTO_SETTLEMENT
    if find_model(hub, asked.name) is not None:
        return Rejection(ErrorCode.CLIENT_ERROR, "Settlement Model already exists")
    if len(hub.models) >= MODELS_MAX:
        return Rejection(ErrorCode.CLIENT_ERROR, "The scheme has too many settlement models")
    return None
