"""Who may do what on the operators' ports: the permissions, and the roles of operators that have them.

A route requires one permission, and a role is a set of them: there is no language of policies to get wrong. What an
operator may do is what any of its roles may do.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import Enum
from itertools import combinations
from typing import Final


class Permission(Enum):
    """What a request does, as far as it matters who may do it; the values are for people."""

    PUBLIC = "ask whether the hub is well"  # probes and Prometheus have no identity
    READ = "read what is neither personal nor about operators"
    READ_PERSONS = "read personal data"
    READ_OPERATORS = "read who the operators are"
    MANAGE_SCHEME = "change participants, endpoints, limits, models and oracles"
    MANAGE_CREDENTIALS = "change participants' credentials"
    SETTLE = "close windows and settle"
    MOVE_FUNDS = "move funds in and out"
    MANAGE_OPERATORS = "change operators and their roles"


class Role(Enum):
    """What an operator is appointed to; the values are what people and rows call it."""

    READER = "reader"
    AUDITOR = "auditor"
    OPERATOR = "operator"
    SETTLEMENT = "settlement"
    TREASURY = "treasury"
    SECURITY = "security"


PERMISSIONS: Final[Mapping[Role, frozenset[Permission]]] = {
    role: frozenset({Permission.PUBLIC, Permission.READ, *more})
    for role, more in {
        Role.READER: (),
        Role.AUDITOR: (Permission.READ_PERSONS, Permission.READ_OPERATORS),
        Role.OPERATOR: (Permission.MANAGE_SCHEME, Permission.MANAGE_CREDENTIALS),
        Role.SETTLEMENT: (Permission.SETTLE,),
        Role.TREASURY: (Permission.MOVE_FUNDS,),
        Role.SECURITY: (Permission.READ_OPERATORS, Permission.MANAGE_OPERATORS, Permission.MANAGE_CREDENTIALS),
    }.items()
}
# Who checks changes nothing, and who says who may move money moves none.
EXCLUSIVE: Final = frozenset(
    {
        *(frozenset({Role.AUDITOR, role}) for role in Role if role not in (Role.AUDITOR, Role.READER)),
        frozenset({Role.SECURITY, Role.TREASURY}),
    }
)

_BY_NAME: Final = {role.value: role for role in Role}


def allows(roles: Iterable[str], permission: Permission) -> bool:
    """Return whether an operator with these roles may do it. A role of a later release allows nothing here."""
    return any(permission in PERMISSIONS[_BY_NAME[name]] for name in roles if name in _BY_NAME)


def roles_fault(names: Iterable[str]) -> str | None:
    """Return why nobody can have these roles together; None if an operator may."""
    unknown = sorted(set(names) - _BY_NAME.keys())
    if unknown:
        return f"no role is called {unknown[0]}; there are {', '.join(_BY_NAME)}"
    for pair in combinations(sorted(set(names)), 2):
        if frozenset(_BY_NAME[name] for name in pair) in EXCLUSIVE:
            return f"nobody may be {pair[0]} and {pair[1]}"
    return None
