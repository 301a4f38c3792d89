"""GET and PUT /features, and `clearinghub admin features`."""

from __future__ import annotations

from clearinghub import __version__
from clearinghub.features import HIGHEST_LEVEL
from clearinghub.messages.processes import RunningProcess
from tests.web.admin_world import Operator, an_operator
from tests.web.cli import Terminal

NEXT = HIGHEST_LEVEL + 1
OLD = RunningProcess(role="callbacks", instance="1", release="0.9.0", highest_level=HIGHEST_LEVEL)
NEW = RunningProcess(role="ledger", instance="0", release="9.0.0", highest_level=NEXT)


async def test_what_is_shown_at_first(operator: Operator) -> None:
    shown = (await operator.get("/features")).json

    assert (HIGHEST_LEVEL, __version__, []) == (shown["level"], shown["release"], shown["raised"])
    assert [(HIGHEST_LEVEL, "1.0.0")] == [(one["level"], one["release"]) for one in shown["levels"]]
    assert [{"role": "ledger", "instance": "0", "release": __version__, "highestLevel": HIGHEST_LEVEL}] == (
        shown["processes"]
    )


async def test_a_level_is_refused_while_a_process_runs_that_does_not_know_it() -> None:
    async with an_operator(highest_level=NEXT) as operator:
        operator.ports.processes = [OLD, NEW]

        answer = await operator.put("/features", {"level": NEXT, "reason": "r"})

        assert 400 == answer.status
        assert f"level {NEXT} is not known to 1 process(es), such as callbacks 1 in release 0.9.0" in answer.error[2]
        assert [] == operator.ports.sent


async def test_a_level_that_all_know_is_raised_and_shown_with_its_reason() -> None:
    async with an_operator(highest_level=NEXT) as operator:
        operator.ports.processes = [NEW]

        raised = await operator.put("/features", {"level": NEXT, "reason": "all run 9.0.0"})

        assert (200, NEXT) == (raised.status, raised.json["level"])
        assert [(NEXT, "all run 9.0.0")] == [(one["level"], one["reason"]) for one in raised.json["raised"]]
        assert raised.json == (await operator.get("/features")).json


async def test_what_is_no_level(operator: Operator) -> None:
    for body in ({"level": 0, "reason": "r"}, {"level": "2", "reason": "r"}, {"level": 2}, {"level": 2, "reason": ""}):
        assert 400 == (await operator.put("/features", body)).status
    assert [] == operator.ports.sent


async def test_the_commands(terminal: Terminal) -> None:
    shown = await terminal.done("features", "list")
    assert [HIGHEST_LEVEL] == [one["level"] for one in shown["levels"]]
    table = await terminal.admin("features", "list")
    assert "all rows and messages of release 1.0.0" in table.out
    refused = await terminal.admin("features", "raise", str(NEXT), "--reason", "too early")
    assert 1 == refused.code
    assert "is not known to 1 process(es), such as ledger 0 in release" in refused.err
