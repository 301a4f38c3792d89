"""How participants join, and how their accounts, endpoints and limits change (protocol 4.3, 4.4, 5.1).

All of it is decided on the participant's own partition.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from msgspec.structs import replace

from clearinghub.domain.errors import ErrorCode, Rejection
from clearinghub.domain.participants.credential import Credentials
from clearinghub.domain.participants.participant import Account, Participant
from clearinghub.domain.participants.position import Position
from clearinghub.domain.participants.scheme import POSITION, SETTLEMENT

ALARM_PERCENT_DEFAULT: Final = 10
ENDPOINTS_MAX: Final = 200  # all known types several times over; third parties may name their own

NOT_FOUND: Final = Rejection(ErrorCode.ID_NOT_FOUND, "Participant does not exist")
ACCOUNT_NOT_FOUND: Final = Rejection(ErrorCode.INTERNAL_SERVER_ERROR, "Account not found")
_REGISTERED: Final = Rejection(ErrorCode.CLIENT_ERROR, "Participant currency has already been registered")
_HUB_ACCOUNT_EXISTS: Final = Rejection(ErrorCode.ADD_PARTY_INFO_ERROR, "Hub account has already been registered.")
_NO_POSITION: Final = Rejection(ErrorCode.INTERNAL_SERVER_ERROR, "Only position account update is permitted")
_LIMIT_SET: Final = Rejection(ErrorCode.INTERNAL_SERVER_ERROR, "Participant Limit or Initial Position already set")
_NO_LIMIT: Final = Rejection(ErrorCode.INTERNAL_SERVER_ERROR, "Participant Limit does not exist")
_ENDPOINTS_FULL: Final = Rejection(ErrorCode.VALIDATION_ERROR, "The participant has too many endpoints")

NextId = Callable[[], int]
PositionOf = Callable[[str, str], Position | None]
"""Returns the participant's account of that currency and type, or None."""


@dataclass(frozen=True, slots=True)
class Change:
    """Store the participant, if its version has changed, and these of its accounts."""

    participant: Participant
    positions: tuple[Position, ...] = ()


def join(name: str, *, is_proxy: bool, next_id: NextId, now_ms: int) -> Participant:
    """Return a participant before its first account: active from the start (protocol 4.4)."""
    return Participant(next_id(), name, active=True, created_at_ms=now_ms, is_proxy=is_proxy)


def register(
    participant: Participant, currency: str, account_types: Iterable[str], next_id: NextId, now_ms: int
) -> Change | Rejection:
    """Open a participant's accounts in one currency, all inactive until it has a limit.

    If the participant has the currency already, accounts that a later model requires are opened; it is refused only if
    none is missing.
    """
    required = [(currency, account_type) for account_type in account_types]
    change = open_accounts(participant, required, active=False, next_id=next_id, now_ms=now_ms)
    return change if change.positions else _REGISTERED


def open_hub_account(
    hub: Participant, currency: str, account_type: str, next_id: NextId, now_ms: int
) -> Change | Rejection:
    """Open an account of the hub, active from the start."""
    change = open_accounts(hub, [(currency, account_type)], active=True, next_id=next_id, now_ms=now_ms)
    return change if change.positions else _HUB_ACCOUNT_EXISTS


def open_accounts(
    participant: Participant, required: Iterable[tuple[str, str]], *, active: bool, next_id: NextId, now_ms: int
) -> Change:
    """Open those of the required accounts (currency, account type) that the participant lacks."""
    opened = tuple(
        Account(next_id(), currency, account_type, active, now_ms)
        for currency, account_type in dict.fromkeys(required)
        if participant.account(currency, account_type) is None
    )
    if not opened:
        return Change(participant)
    positions = tuple(
        Position(
            participant.name,
            account.currency,
            account.account_type,
            account.account_id,
            active=active,
            changed_at_ms=now_ms,
        )
        for account in opened
    )
    return Change(_changed(participant, accounts=(*participant.accounts, *opened)), positions)


def set_active(participant: Participant, *, active: bool) -> Change:
    """Activate or deactivate a participant; its transfers in flight still complete (protocol 4.4)."""
    return Change(_changed(participant, active=active))


def set_endpoint(participant: Participant, endpoint_type: str, value: str) -> Change | Rejection:
    """Set or replace the participant's endpoint of one type."""
    endpoints = {**participant.endpoints, endpoint_type: value}
    if len(endpoints) > ENDPOINTS_MAX:
        return _ENDPOINTS_FULL
    return Change(_changed(participant, endpoints=endpoints))


def set_credentials(participant: Participant, credentials: Credentials) -> Change:
    """Replace the participant's credentials, as credential.py has decided; the same ones change nothing."""
    if credentials == participant.credentials:
        return Change(participant)
    return Change(_changed(participant, credentials=credentials))


def set_account_active(
    participant: Participant, account_id: int, position_of: PositionOf, *, active: bool
) -> Change | Rejection:
    """Activate or deactivate one POSITION account."""
    account = participant.account_by_id(account_id)
    if account is None:
        return ACCOUNT_NOT_FOUND
    if account.account_type != POSITION:
        return _NO_POSITION
    position = position_of(account.currency, POSITION)
    assert position is not None
    return _with_accounts_active(participant, (position,), active=active)


def set_initial_limit(
    participant: Participant,
    currency: str,
    position_of: PositionOf,
    net_debit_cap: int,
    initial_position: int,
    now_ms: int,
) -> Change | Rejection:
    """Set the first cap and position in a currency, and activate both accounts; refused if a cap is set already."""
    position = position_of(currency, POSITION)
    settlement = position_of(currency, SETTLEMENT)
    if position is None or settlement is None:
        return ACCOUNT_NOT_FOUND
    if position.net_debit_cap is not None:
        return _LIMIT_SET
    capped = replace(position, net_debit_cap=net_debit_cap, alarm_percent=ALARM_PERCENT_DEFAULT)
    if initial_position:
        capped = capped.changed_by(initial_position, now_ms)
    return _with_accounts_active(participant, (capped, settlement), active=True)


def adjust_limit(
    participant: Participant, currency: str, position_of: PositionOf, net_debit_cap: int, alarm_percent: int
) -> Change | Rejection:
    """Replace the cap. While the position is above the new cap, nothing is reserved (protocol 4.3)."""
    position = position_of(currency, POSITION)
    if position is None or position.net_debit_cap is None:
        return _NO_LIMIT
    return Change(participant, (replace(position, net_debit_cap=net_debit_cap, alarm_percent=alarm_percent),))


def _with_accounts_active(participant: Participant, positions: tuple[Position, ...], *, active: bool) -> Change:
    """Set both flags: in the participant's row, and in the account's row, which reservations read."""
    ids = {position.account_id for position in positions}
    accounts = tuple(
        replace(account, active=active) if account.account_id in ids else account for account in participant.accounts
    )
    assert ids <= {account.account_id for account in accounts}
    return Change(
        _changed(participant, accounts=accounts), tuple(replace(position, active=active) for position in positions)
    )


def _changed(participant: Participant, **changes: object) -> Participant:
    return replace(participant, **changes, version=participant.version + 1)
