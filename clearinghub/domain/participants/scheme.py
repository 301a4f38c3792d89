"""What the scheme has set: ledger account types and settlement models (protocol 4.1, 5.3), and its feature level.

All are part of the hub's row and change on the hub's partition only (model.py). What follows from them for the other
participants, namely which accounts each has, any process reads from its copy of that row.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from msgspec.structs import replace

from clearinghub.domain.errors import ErrorCode, Rejection
from clearinghub.domain.participants.participant import FeatureRaise, LedgerAccountType, Participant, SettlementModel

POSITION: Final = "POSITION"
SETTLEMENT: Final = "SETTLEMENT"
HUB_RECONCILIATION: Final = "HUB_RECONCILIATION"
HUB_MULTILATERAL_SETTLEMENT: Final = "HUB_MULTILATERAL_SETTLEMENT"
HUB_ACCOUNT_TYPES: Final = (HUB_RECONCILIATION, HUB_MULTILATERAL_SETTLEMENT, "HUB_FEE")

BUILT_IN_ACCOUNT_TYPES: Final = (
    LedgerAccountType(POSITION, "What a DFSP owes the others or is owed", active=True, settleable=True),
    LedgerAccountType(SETTLEMENT, "Funds that the scheme holds for a DFSP", active=True, settleable=False),
    LedgerAccountType(HUB_RECONCILIATION, "Mirror of the money outside", active=True, settleable=False),
    LedgerAccountType(HUB_MULTILATERAL_SETTLEMENT, "Contra of settlement transfers", active=True, settleable=False),
    LedgerAccountType("INTERCHANGE_FEE", "Fees between DFSPs", active=True, settleable=True),
    LedgerAccountType("INTERCHANGE_FEE_SETTLEMENT", "Settlement of interchange fees", active=True, settleable=False),
    LedgerAccountType("HUB_FEE", "Fees of the hub", active=True, settleable=True),
)

GRANULARITIES: Final = ("GROSS", "NET")
INTERCHANGES: Final = ("BILATERAL", "MULTILATERAL")
DELAYS: Final = ("IMMEDIATE", "DEFERRED")
SETTLEMENT_ACCOUNT_TYPES: Final = (SETTLEMENT, "INTERCHANGE_FEE_SETTLEMENT")


def ledger_account_types(hub: Participant | None) -> tuple[LedgerAccountType, ...]:
    """Return the built-in ledger account types, then the scheme's own."""
    return BUILT_IN_ACCOUNT_TYPES if hub is None else (*BUILT_IN_ACCOUNT_TYPES, *hub.account_types)


def is_ledger_account_type(hub: Participant | None, name: str) -> bool:
    """Return whether there is an active ledger account type of that name."""
    return any(kind.name == name and kind.active for kind in ledger_account_types(hub))


def find_model(hub: Participant | None, name: str) -> SettlementModel | None:
    """Return the model of that name, active or not, or None."""
    models = () if hub is None else hub.models
    return next((model for model in models if model.name == name), None)


def account_types_for(hub: Participant | None, currency: str) -> tuple[str, ...] | Rejection:
    """Return the types of a participant's accounts in a currency: two for each model that applies (protocol 5.1).

    The hub must have its own accounts in the currency first: without them, funds and settlement have no other side.
    """
    fault = hub_account_fault(hub, currency)
    if fault is not None:
        return fault
    models = models_for(hub, currency)
    if not models:
        return Rejection(ErrorCode.SETTLEMENT_ERROR, "Unable to find a matching or default, Settlement Model")
    return _account_types(models)


def hub_account_fault(hub: Participant | None, currency: str) -> Rejection | None:
    """Return why the hub is not ready for a currency, or None."""
    if hub is None or hub.account(currency, HUB_RECONCILIATION) is None:
        detail = "Hub reconciliation account for the specified currency does not exist"
        return Rejection(ErrorCode.ADD_PARTY_INFO_ERROR, detail)
    if hub.account(currency, HUB_MULTILATERAL_SETTLEMENT) is None:
        detail = "Hub multilateral net settlement account for the specified currency does not exist"
        return Rejection(ErrorCode.ADD_PARTY_INFO_ERROR, detail)
    return None


def models_for(hub: Participant | None, currency: str) -> tuple[SettlementModel, ...]:
    """Return the active models of the currency, or else the active models without a currency."""
    active = () if hub is None else tuple(model for model in hub.models if model.active)
    own = tuple(model for model in active if model.currency == currency)
    return own or tuple(model for model in active if model.currency is None)


def accounts_missing(hub: Participant, participant: Participant) -> tuple[tuple[str, str], ...]:
    """Return (currency, account type) of the accounts that the current models require and the participant lacks."""
    currencies = dict.fromkeys(account.currency for account in participant.accounts)
    return tuple(
        (currency, account_type)
        for currency in currencies
        for account_type in _account_types(models_for(hub, currency))
        if participant.account(currency, account_type) is None
    )


def _account_types(models: Iterable[SettlementModel]) -> tuple[str, ...]:
    named = (name for model in models for name in (model.ledger_account_type, model.settlement_account_type))
    return tuple(dict.fromkeys(named))  # two models may share one


def raise_feature_level(
    hub: Participant, level: int, reason: str, highest: int, now_ms: int
) -> Participant | Rejection:
    """Return the hub at a higher feature level. A level is never lowered: rows of it may be stored already (ADR 26).

    `highest` is the last level that this release knows.
    """
    if level <= hub.feature_level:
        return Rejection(ErrorCode.VALIDATION_ERROR, f"the feature level is {hub.feature_level} and is never lowered")
    if level > highest:
        return Rejection(ErrorCode.VALIDATION_ERROR, f"the ledger knows feature levels up to {highest}")
    raises = (*hub.feature_raises, FeatureRaise(level, now_ms, reason))
    return replace(hub, feature_raises=raises, version=hub.version + 1)
