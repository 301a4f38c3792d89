"""The operators of the hub: people who are known by the key of their certificate, in the hub's row.

One operator appoints another: nobody changes their own roles or key.
"""

from __future__ import annotations

from typing import Final

from msgspec.structs import replace

from clearinghub.domain.errors import ErrorCode, Rejection
from clearinghub.domain.participants.participant import Operator, Participant

OPERATORS_MAX: Final = 200
APPOINTS: Final = "security"  # the role whose holders appoint operators

_FORBIDDEN: Final = 403
NEEDS_ANOTHER: Final = Rejection(ErrorCode.CLIENT_ERROR, "needs another operator", http_status=_FORBIDDEN)
_MAY_NOT: Final = Rejection(ErrorCode.CLIENT_ERROR, f"needs the role {APPOINTS}", http_status=_FORBIDDEN)
_UNKNOWN: Final = Rejection(ErrorCode.ID_NOT_FOUND, "Operator does not exist")
_TOO_MANY: Final = Rejection(ErrorCode.VALIDATION_ERROR, f"there are {OPERATORS_MAX} operators, the most that can be")


def set_operator(hub: Participant, operator: Operator) -> Participant | Rejection:
    """Return the hub with an operator added or replaced, as `operator.changed_by` asks."""
    fault = _fault(hub, operator.name, operator.changed_by)
    if fault is not None:
        return fault
    others = _without(hub, operator.name)
    if any(one.key == operator.key for one in others):
        return Rejection(ErrorCode.VALIDATION_ERROR, "this key is another operator's")
    if len(others) >= OPERATORS_MAX:
        return _TOO_MANY
    return replace(hub, operators=(*others, operator), version=hub.version + 1)


def remove_operator(hub: Participant, name: str, by: str) -> Participant | Rejection:
    """Return the hub without the operator of that name, as `by` asks."""
    fault = _fault(hub, name, by)
    if fault is not None:
        return fault
    others = _without(hub, name)
    if len(others) == len(hub.operators):
        return _UNKNOWN
    return replace(hub, operators=others, version=hub.version + 1)


def appoints(operator: Operator) -> bool:
    """Return whether an operator may appoint others."""
    return APPOINTS in operator.roles


def _fault(hub: Participant, name: str, by: str) -> Rejection | None:
    """Return why `by` may not change the operator of that name now; None if it may.

    The process that took the request has checked the role, but perhaps before the last change of it.
    """
    if not by:
        return None
    if by == name:
        return NEEDS_ANOTHER
    appointing = [one.name for one in hub.operators if appoints(one)]
    return _MAY_NOT if appointing and by not in appointing else None


def _without(hub: Participant, name: str) -> tuple[Operator, ...]:
    return tuple(one for one in hub.operators if one.name != name)
