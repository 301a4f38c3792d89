"""The health of the hub as a role that takes requests sees it, and that role's own readiness."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from clearinghub.config import Settings
from clearinghub.ports import StoppedPart
from clearinghub.roles.front_health import FrontRoleHealth


@dataclass
class Around:
    """The broker, the participants and the ledger, as a role that takes requests sees them."""

    broker: bool = True
    is_caught_up: bool = True
    ledger: bool = True

    async def is_up(self) -> bool:
        return self.broker

    async def answers_for_all(self, _partitions: int) -> bool:
        return self.ledger

    def stopped(self) -> list[StoppedPart]:
        return [StoppedPart(3, "input-lost")]


@pytest.mark.parametrize(
    ("around", "is_healthy", "is_ready"),
    [
        (Around(), True, True),
        (Around(ledger=False), False, True),  # while one worker is down, payers of the others must still be served
        (Around(broker=False), False, False),
        (Around(is_caught_up=False), False, False),
    ],
    ids=["all there", "no ledger", "no broker", "participants unknown"],
)
async def test_a_role_is_ready_by_itself_and_healthy_with_the_ledger(
    around: Around, is_healthy: bool, is_ready: bool
) -> None:
    health = FrontRoleHealth(Settings(), around, around, around)

    assert is_healthy == all((await health.services()).values())
    assert is_ready == all((await health.own_services()).values())
    assert [StoppedPart(3, "input-lost")] == health.stopped(), "it is named, and makes nothing unhealthy"
