"""Which parts of windows a model settles, and how a settlement of them begins (protocol 9.3)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, TypeAlias

from msgspec.structs import replace

from clearinghub.domain.errors import ErrorCode, Rejection
from clearinghub.domain.participants.participant import Participant, SettlementModel
from clearinghub.domain.participants.scheme import HUB_MULTILATERAL_SETTLEMENT, find_model
from clearinghub.domain.settlement.netting import NET, AccountIds, ContentSums, NettingGroup
from clearinghub.domain.settlement.settlement import PENDING, Settlement, SettlementAccount, Terms
from clearinghub.domain.settlement.window import SETTLEABLE, Window, WindowState

_APPLICABLE: Final = frozenset({WindowState.CLOSED, WindowState.ABORTED, WindowState.PENDING_SETTLEMENT})
_NO_ENGINE: Final = Rejection(ErrorCode.VALIDATION_ERROR, "Settlement can not be created for GROSS or IMMEDIATE models")

ContentKey: TypeAlias = tuple[int, NettingGroup]
"""A part of a window: the window's id and the netting group."""


def settled_netting_groups(
    model: SettlementModel,
    models: Iterable[SettlementModel],
    window: Window,
    sums_of: Callable[[int, NettingGroup], ContentSums],
) -> tuple[NettingGroup, ...]:
    """Return the netting groups of a window that the model settles and that wait for it.

    A model without a currency settles all that no active model with a currency can settle. What was netted against all,
    before such a model came into force, no bilateral model can settle.
    """
    own = [
        other
        for other in models
        if other.active and other.ledger_account_type == model.ledger_account_type and _settles(other)
    ]

    def is_left(netting_group: NettingGroup) -> bool:
        settlement_methods = {other.interchange for other in own if other.currency == netting_group.currency}
        if settlement_methods == {"BILATERAL"} and model.interchange != "BILATERAL":
            return sums_of(window.window_id, netting_group).lacks_pairs
        return not settlement_methods

    return tuple(
        content.netting_group
        for content in window.contents
        if content.state in SETTLEABLE
        and content.netting_group.granularity == NET
        and content.netting_group.account_type == model.ledger_account_type
        and (content.netting_group.currency == model.currency if model.currency else is_left(content.netting_group))
    )


def find_settlement_model(hub: Participant | None, name: str) -> SettlementModel | Rejection:
    """Return the model by which a settlement is requested, or why there can be none."""
    model = find_model(hub, name)
    if model is None:
        return Rejection(ErrorCode.VALIDATION_ERROR, f"Settlement model not found: {name}")
    return model if _settles(model) else _NO_ENGINE


def choose_contents(
    hub: Participant,
    model: SettlementModel,
    window_ids: Sequence[int],
    windows: Mapping[int, Window],
    sums_of: Callable[[int, NettingGroup], ContentSums],
) -> tuple[ContentKey, ...] | Rejection:
    """Return what of these windows the model settles; a window without any such part is refused."""
    chosen = {
        window_id: settled_netting_groups(model, hub.models, windows[window_id], sums_of)
        if window_id in windows and windows[window_id].state in _APPLICABLE
        else ()
        for window_id in window_ids
    }
    inapplicable = [window_id for window_id, netting_groups in chosen.items() if not netting_groups]
    if inapplicable:
        return _inapplicable(inapplicable)
    contents = tuple(
        (window_id, netting_group) for window_id, netting_groups in chosen.items() for netting_group in netting_groups
    )
    for currency in sorted({netting_group.currency for _window_id, netting_group in contents}):
        if hub.account(currency, HUB_MULTILATERAL_SETTLEMENT) is None:
            detail = "Hub multilateral net settlement account for the specified currency does not exist"
            return Rejection(ErrorCode.ADD_PARTY_INFO_ERROR, detail)
    return contents


def begin(
    settlement_id: int,
    model: SettlementModel,
    reason: str,
    contents: Mapping[ContentKey, ContentSums],
    now_ms: int,
) -> Settlement | Rejection:
    """Return a settlement of these contents. It has no accounts yet: they are made of the contents' entries."""
    by_pairs = model.interchange == "BILATERAL"
    # What was netted against all before a bilateral model came into force, only a multilateral one can settle.
    without_pairs = {window_id for (window_id, _netting_group), one in contents.items() if one.lacks_pairs}
    if by_pairs and without_pairs:
        return _inapplicable(sorted(without_pairs, key=str))
    terms = Terms(
        model.name, model.ledger_account_type, by_pairs, model.require_liquidity_check, model.auto_position_reset
    )
    return Settlement(settlement_id, terms, PENDING, reason, None, now_ms, now_ms, tuple(sorted(contents)))


def new_account(settlement: Settlement, participant: str, ids: AccountIds, currency: str) -> SettlementAccount:
    """Return an account that becomes part of a settlement, even if it nets to zero."""
    return SettlementAccount(
        participant=participant,
        participant_id=ids.participant_id,
        account_id=ids.account_id,
        currency=currency,
        state=PENDING,
        reason=settlement.reason,
        external_reference=None,
        created_at_ms=settlement.created_at_ms,
        changed_at_ms=settlement.created_at_ms,
    )


def take_in(account: SettlementAccount, leg_before: int, leg_after: int) -> SettlementAccount:
    """Return the account after one of its legs has changed: by what it owes, and by what it is owed."""
    return replace(
        account,
        owing=account.owing - max(leg_before, 0) + max(leg_after, 0),
        owed=account.owed - max(-leg_before, 0) + max(-leg_after, 0),
    )


def _inapplicable(window_ids: Iterable[int]) -> Rejection:
    return Rejection(ErrorCode.VALIDATION_ERROR, f"Inapplicable windows {', '.join(map(str, window_ids))}")


def _settles(model: SettlementModel) -> bool:
    return model.granularity != "GROSS" and model.delay != "IMMEDIATE"
