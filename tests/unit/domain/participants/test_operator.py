"""Appointing operators: one by another, each with a key of its own."""

from __future__ import annotations

from msgspec.structs import replace

from clearinghub.domain.errors import Rejection
from clearinghub.domain.participants.operator import OPERATORS_MAX, remove_operator, set_operator
from clearinghub.domain.participants.participant import Operator, Participant

NOW_MS = 1_700_000_000_000
HUB = Participant(1, "Hub", active=True, created_at_ms=0, version=7)


def operator(name: str, *roles: str, by: str = "alice", key: str = "") -> Operator:
    return Operator(name, roles or ("reader",), key or f"key of {name}", NOW_MS, by)


def changed(outcome: Participant | Rejection) -> Participant:
    assert isinstance(outcome, Participant)
    return outcome


def refused(outcome: object) -> tuple[int, str, str]:
    assert isinstance(outcome, Rejection)
    return outcome.status, outcome.code, outcome.description


WITH_TWO = changed(set_operator(changed(set_operator(HUB, operator("bob", "security"))), operator("carol", by="bob")))


def test_one_is_added_replaced_and_removed() -> None:
    assert ["bob", "carol"] == [one.name for one in WITH_TWO.operators]
    assert HUB.version + 2 == WITH_TWO.version

    promoted = changed(set_operator(WITH_TWO, operator("carol", "treasury", by="bob")))
    assert [("security",), ("treasury",)] == [one.roles for one in promoted.operators]

    assert ["bob"] == [one.name for one in changed(remove_operator(promoted, "carol", "bob")).operators]


def test_nobody_changes_their_own_roles() -> None:
    needs_another = (403, "3000", "Generic client error - needs another operator")

    assert needs_another == refused(set_operator(WITH_TWO, operator("bob", "reader", by="bob")))
    assert needs_another == refused(remove_operator(WITH_TWO, "bob", "bob"))


def test_who_may_appoint_no_more_appoints_nobody() -> None:
    """The process that took the command may have checked the role before it was lost."""
    may_not = (403, "3000", "Generic client error - needs the role security")

    assert may_not == refused(set_operator(WITH_TWO, operator("dora", by="carol")))
    assert may_not == refused(remove_operator(WITH_TWO, "bob", "carol"))
    assert isinstance(set_operator(replace(WITH_TWO, operators=()), operator("dora", by="carol")), Participant)


def test_without_identities_anybody_appoints() -> None:
    assert isinstance(set_operator(WITH_TWO, operator("bob", "reader", by="")), Participant)


def test_a_key_is_one_operators() -> None:
    outcome = set_operator(WITH_TWO, operator("dora", by="bob", key="key of carol"))

    assert (400, "3100", "Generic validation error - this key is another operator's") == refused(outcome)


def test_an_unknown_one_cannot_be_removed() -> None:
    assert (400, "3200", "Generic ID not found - Operator does not exist") == refused(
        remove_operator(WITH_TWO, "dora", "bob")
    )


def test_their_number_is_bounded() -> None:
    full = replace(HUB, operators=tuple(operator(f"o{number}") for number in range(OPERATORS_MAX)))

    assert 400 == refused(set_operator(full, operator("one-more", by="")))[0]
    assert isinstance(set_operator(full, operator("o1", by="")), Participant), "one that is there can be replaced"
