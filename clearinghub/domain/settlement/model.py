"""How operators define and change settlement models and ledger account types (protocol 5.3)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from msgspec.structs import replace

from clearinghub.domain.errors import ErrorCode, Rejection
from clearinghub.domain.participants.participant import LedgerAccountType, ModelDefinition, Participant, SettlementModel
from clearinghub.domain.participants.scheme import (
    POSITION,
    SETTLEMENT,
    find_model,
    is_ledger_account_type,
    ledger_account_types,
)

# All are part of one record of the compacted topic, with the hub's accounts; a record may have about 1 MB.
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


def add_account_type(hub: Participant, account_type: LedgerAccountType) -> Participant | Rejection:
    """Return the hub with one more ledger account type."""
    if any(account_type.name == known.name for known in ledger_account_types(hub)):
        return Rejection(ErrorCode.CLIENT_ERROR, "This Ledger Account Type already exists")
    if len(hub.account_types) >= ACCOUNT_TYPES_MAX:
        return Rejection(ErrorCode.CLIENT_ERROR, "The scheme has too many ledger account types")
    return replace(hub, account_types=(*hub.account_types, account_type), version=hub.version + 1)


def add_model(hub: Participant, defined: ModelDefinition, next_id: Callable[[], int]) -> Participant | Rejection:
    """Return the hub with one more settlement model, which is active."""
    fault = _model_fault(hub, defined)
    if fault is not None:
        return fault
    model = SettlementModel(
        model_id=next_id(),
        name=defined.name,
        active=True,
        granularity=defined.granularity,
        interchange=defined.interchange,
        delay=defined.delay,
        currency=defined.currency,
        require_liquidity_check=defined.require_liquidity_check,
        ledger_account_type=defined.ledger_account_type,
        settlement_account_type=defined.settlement_account_type,
        auto_position_reset=defined.auto_position_reset,
    )
    return replace(hub, models=(*hub.models, model), version=hub.version + 1)


def set_model_active(hub: Participant, name: str, *, active: bool) -> Participant | Rejection:
    """Return the hub with that model activated or deactivated."""
    if find_model(hub, name) is None:
        return Rejection(ErrorCode.INTERNAL_SERVER_ERROR, "Settlement Model does not exist")
    models = tuple(replace(model, active=active) if model.name == name else model for model in hub.models)
    return replace(hub, models=models, version=hub.version + 1)


def _is_position_gross(defined: ModelDefinition) -> bool:
    """Return whether each commit moves both DFSPs' settlement accounts, which must exist for that (protocol 9.6)."""
    return (defined.delay, defined.granularity, defined.ledger_account_type) == ("IMMEDIATE", "GROSS", POSITION)


def _model_fault(hub: Participant, defined: ModelDefinition) -> Rejection | None:
    """Return the first thing wrong with a definition, in the reference's order, or None."""
    if (defined.delay, defined.granularity, defined.interchange) not in COMBINATIONS:
        return Rejection(
            ErrorCode.CLIENT_ERROR,
            "Invalid settlement model definition - delay-granularity-interchange combination is not supported",
        )
    if not is_ledger_account_type(hub, defined.ledger_account_type):
        return Rejection(ErrorCode.ADD_PARTY_INFO_ERROR, "Ledger account type was not found")
    if not is_ledger_account_type(hub, defined.settlement_account_type):
        return Rejection(ErrorCode.ADD_PARTY_INFO_ERROR, "Settlement account type was not found")
    if _is_position_gross(defined) and defined.settlement_account_type != SETTLEMENT:
        return _NOT_INTO_SETTLEMENT
    if find_model(hub, defined.name) is not None:
        return Rejection(ErrorCode.CLIENT_ERROR, "Settlement Model already exists")
    if len(hub.models) >= MODELS_MAX:
        return Rejection(ErrorCode.CLIENT_ERROR, "The scheme has too many settlement models")
    return None
