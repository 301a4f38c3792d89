"""Callbacks in the words of the expectations: `<callback> from <sender>`, like `PUT COMMITTED from payee`."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from sandbox.callback import Callback
from sandbox.demo.kinds import EXPECTED
from sandbox.demo.plan import Case


@dataclass(frozen=True, slots=True)
class Labels:
    """What the words depend on: the hub's name, and whether it confirms to payees what they sent themselves."""

    hub_name: str
    confirms_to_payee: bool

    def of(self, callback: Callback, case: Case) -> str:
        """The label of a callback about a case; senders that have no part in it appear by name."""
        roles = {case.payer: "payer", case.payee: "payee", self.hub_name: "hub"}
        return f"{callback.label} from {roles.get(callback.source, callback.source or 'nobody')}"

    def expected_by_payer(self, case: Case) -> Counter[str]:
        """What the payer must have heard before anybody asked by GET."""
        expected = EXPECTED[case.kind]
        return Counter(expected.payer + expected.again)

    def expected_by_payee(self, case: Case) -> Counter[str]:
        """What the payee must have heard before anybody asked by GET."""
        expected = EXPECTED[case.kind]
        return Counter(expected.payee + (expected.confirmation if self.confirms_to_payee else ()))
