"""Which parts of windows a model settles, and how a settlement of them begins (protocol 9.3)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from clearinghub.domain.errors import ErrorCode, Rejection
from clearinghub.domain.participants.participant import Participant, SettlementModel
from clearinghub.domain.settlement.netting import NET, Net, NettingGroup, Party
from clearinghub.domain.settlement.scheme import HUB_MULTILATERAL_SETTLEMENT, find_model
from clearinghub.domain.settlement.settlement import PENDING, Leg, Line, Settlement, Terms
from clearinghub.domain.settlement.window import SETTLEABLE, Window, WindowState

_APPLICABLE: Final = frozenset({WindowState.CLOSED, WindowState.ABORTED, WindowState.PENDING_SETTLEMENT})
_NO_ENGINE: Final = Rejection(ErrorCode.VALIDATION_ERROR, "Settlement can not be created for GROSS or IMMEDIATE models")


class AccountIds(NamedTuple):
    """How the API names an account and whose it is."""

    participant_id: int
    account_id: int


@dataclass(frozen=True, slots=True)
class ContentNets:
    """The nets of one netting_group in one window, with the ids of the accounts that they are of, by participant."""

    nets: Mapping[Party, Net]
    accounts: Mapping[str, AccountIds]


Contents = Mapping[tuple[int, NettingGroup], ContentNets]


def settled_netting_groups(
    model: SettlementModel,
    models: Iterable[SettlementModel],
    window: Window,
    nets_of: Callable[[int, NettingGroup], ContentNets],
) -> tuple[NettingGroup, ...]:
    """The netting_groups of a window that the model settles and that wait for it.

    A model without a currency settles all that no active model of a currency's own can. What was netted against all,
    before such a model came into force, none by pairs can.
    """
    own = [
        other
        for other in models
        if other.active and other.ledger_account_type == model.ledger_account_type and _settles(other)
    ]

    def is_left(netting_group: NettingGroup) -> bool:
        settlement_methods = {other.interchange for other in own if other.currency == netting_group.currency}
        if settlement_methods == {"BILATERAL"} and model.interchange != "BILATERAL":
            return _lacks_pairs(nets_of(window.window_id, netting_group))
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
    """The model that a settlement is asked for, or why there can be none."""
    model = find_model(hub, name)
    if model is None:
        return Rejection(ErrorCode.VALIDATION_ERROR, f"Settlement model not found: {name}")
    return model if _settles(model) else _NO_ENGINE


def choose_contents(
    hub: Participant,
    model: SettlementModel,
    window_ids: Sequence[int],
    windows: Mapping[int, Window],
    nets_of: Callable[[int, NettingGroup], ContentNets],
) -> tuple[tuple[int, NettingGroup], ...] | Rejection:
    """What of these windows the model settles; every window must have something."""
    chosen = {
        window_id: settled_netting_groups(model, hub.models, windows[window_id], nets_of)
        if window_id in windows and windows[window_id].state in _APPLICABLE
        else ()
        for window_id in window_ids
    }
    inapplicable = [str(window_id) for window_id, netting_groups in chosen.items() if not netting_groups]
    if inapplicable:
        return Rejection(ErrorCode.VALIDATION_ERROR, f"Inapplicable windows {', '.join(inapplicable)}")
    contents = tuple(
        (window_id, netting_group) for window_id, netting_groups in chosen.items() for netting_group in netting_groups
    )
    for currency in sorted({netting_group.currency for _window_id, netting_group in contents}):
        if hub.account(currency, HUB_MULTILATERAL_SETTLEMENT) is None:
            detail = "Hub multilateral net settlement account for the specified currency does not exist"
            return Rejection(ErrorCode.ADD_PARTY_INFO_ERROR, detail)
    return contents


def create(
    settlement_id: int, model: SettlementModel, reason: str, contents: Contents, now_ms: int
) -> Settlement | Rejection:
    """A settlement of these contents: a line for every account that they have moved, even if it nets to zero."""
    by_pairs = model.interchange == "BILATERAL"
    if by_pairs:
        without = sorted({str(window_id) for (window_id, _netting_group), one in contents.items() if _lacks_pairs(one)})
        if without:  # it was netted against all when the model came into force; only a multilateral one can settle it
            return Rejection(ErrorCode.VALIDATION_ERROR, f"Inapplicable windows {', '.join(without)}")
    legs: dict[AccountIds, dict[str, int]] = {}
    owners: dict[AccountIds, tuple[str, str]] = {}
    for (_window_id, netting_group), one in contents.items():
        for party, net in one.nets.items():
            ids = one.accounts[party.participant]
            owners[ids] = (party.participant, netting_group.currency)
            counterparty = party.counterparty if by_pairs else ""
            of_account = legs.setdefault(ids, {})
            of_account[counterparty] = of_account.get(counterparty, 0) + net.amount
    lines = tuple(
        Line(
            *owners[ids][:1],
            ids.participant_id,
            ids.account_id,
            owners[ids][1],
            tuple(Leg(counterparty, net) for counterparty, net in sorted(legs[ids].items())),
            PENDING,
            reason,
            None,
            now_ms,
            now_ms,
        )
        for ids in sorted(legs)
    )
    for currency in sorted({line.currency for line in lines}):
        total = sum(line.net for line in lines if line.currency == currency)
        assert total == 0, f"{currency} of closed windows adds up to {total}"
    terms = Terms(
        model.name, model.ledger_account_type, by_pairs, model.require_liquidity_check, model.auto_position_reset
    )
    keys = tuple(sorted(contents))
    return Settlement(settlement_id, terms, PENDING, reason, None, now_ms, now_ms, keys, lines)


def _settles(model: SettlementModel) -> bool:
    return model.granularity != "GROSS" and model.delay != "IMMEDIATE"


def _lacks_pairs(content: ContentNets) -> bool:
    return any(not party.counterparty for party in content.nets)
