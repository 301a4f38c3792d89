"""The roles of operators: which go together, and that one of a later release allows nothing."""

from __future__ import annotations

import pytest

from clearinghub.security.roles import Permission, Role, allows, roles_fault


@pytest.mark.parametrize(
    ("roles", "fault"),
    [
        (["reader"], None),
        (["reader", "auditor"], None),
        (["operator", "settlement", "treasury"], None),
        (["security", "operator"], None),
        (["security", "treasury"], "nobody may be security and treasury"),
        (["auditor", "operator"], "nobody may be auditor and operator"),
        (["auditor", "treasury", "reader"], "nobody may be auditor and treasury"),
        (["auditor", "security"], "nobody may be auditor and security"),
        (["auditor", "settlement"], "nobody may be auditor and settlement"),
        (
            ["king"],
            "no role is called king; there are reader, auditor, operator, settlement, treasury, security",
        ),
    ],
)
def test_which_roles_one_operator_may_have(roles: list[str], fault: str | None) -> None:
    assert fault == roles_fault(roles)


def test_an_operator_may_do_what_any_of_its_roles_may() -> None:
    assert allows(["settlement", "treasury"], Permission.MOVE_FUNDS)
    assert not allows(["settlement"], Permission.MOVE_FUNDS)
    assert not allows([], Permission.READ)
    assert not allows(["a role of a later release"], Permission.READ)


def test_nobody_who_appoints_operators_may_move_money() -> None:
    together = [
        {one.value, other.value} for one in Role for other in Role if roles_fault((one.value, other.value)) is None
    ]

    assert together
    for roles in together:
        assert not (allows(roles, Permission.MANAGE_OPERATORS) and allows(roles, Permission.MOVE_FUNDS)), roles
