"""`clearinghub apply` on a hub's admin API: what it shows, what it does, and that it does it once."""

from __future__ import annotations

import asyncio
import os
import signal
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from clearinghub.messages.commands import RecordFundsIn
from clearinghub.ports import CommandTimeoutError, LedgerUnavailableError
from tests.web.cli import Terminal

EXAMPLE = Path(__file__).resolve().parents[2] / "deploy/scheme.example.yaml"
STEPS = 20
SCHEME = """\
currencies:
  USD: {settlementModels: {DEFERREDNETUSD: }}
participants:
  dfsp:
    currencies:
      USD: {netDebitCap: 1000, alarmPercentage: 20, fundsAtLeast: 100.25}
"""


@pytest.fixture
def scheme_file(tmp_path: Path) -> Path:
    file = tmp_path / "scheme.yaml"
    file.write_text(SCHEME)
    return file


def outcomes(document: dict[str, Any]) -> list[str]:
    return [step["outcome"] for step in document["steps"]]


async def test_the_example_once_and_again(terminal: Terminal) -> None:
    rehearsed = await terminal.apply("--dry-run", str(EXAMPLE))
    assert (0, "") == (rehearsed.code, rehearsed.err)
    assert rehearsed.out.endswith(f"{STEPS} changes to make; nothing was sent\n")
    assert [] == terminal.operator.ports.sent

    applied = await terminal.apply(str(EXAMPLE))
    assert (0, "") == (applied.code, applied.err)
    assert STEPS == applied.out.count("✓")
    assert applied.out.endswith(f"{STEPS} changes made\n")

    commands = len(terminal.operator.ports.sent)
    for arguments in ((), ("--dry-run",)):
        again = await terminal.apply(str(EXAMPLE), *arguments)
        assert (0, f"nothing to do: the hub is as {EXAMPLE} says\n", "") == (again.code, again.out, again.err)
    assert commands == len(terminal.operator.ports.sent)

    alphabank, _kes, betawallet = await terminal.done("positions", "list")
    assert ("10000", "50000.5") == (alphabank["netDebitCap"], alphabank["funds"])
    assert ("2500", "10000") == (betawallet["netDebitCap"], betawallet["funds"])


async def test_documents(terminal: Terminal, scheme_file: Path) -> None:
    planned = await terminal.apply(str(scheme_file), "--dry-run", "--json")
    applied = await terminal.apply(str(scheme_file), "--json")
    again = await terminal.apply(str(scheme_file), "--json")

    assert {
        "kind": "net-debit-cap",
        "subject": "dfsp USD",
        "before": None,
        "after": "1,000, alarm at 20%",
        "outcome": "planned",
        "error": None,
    } == planned.json["steps"][4]
    assert (["planned"] * 6, True) == (outcomes(planned.json), planned.json["dryRun"])
    assert (["done"] * 6, False) == (outcomes(applied.json), applied.json["dryRun"])
    assert {"file": str(scheme_file), "dryRun": False, "steps": []} == again.json
    assert "" == planned.err + applied.err + again.err


async def test_what_differs_is_changed(terminal: Terminal, scheme_file: Path) -> None:
    await terminal.apply(str(scheme_file))
    scheme_file.write_text(SCHEME.replace("1000", "2000.5").replace("100.25", "150"))

    planned = await terminal.apply(str(scheme_file), "--dry-run")
    await terminal.apply(str(scheme_file))

    shown = " ".join(planned.out.split())
    assert "~ net debit cap dfsp USD 1,000, alarm at 20% 2,000.5, alarm at 20%" in shown
    assert "~ funds dfsp USD 100.25 150" in shown
    assert (-150, 150) == await terminal.operator.balances()


async def test_a_refusal_tells_what_was_done_and_what_not(terminal: Terminal, scheme_file: Path) -> None:
    scheme_file.write_text(SCHEME.replace("DEFERREDNETUSD: ", "DEFERREDNETUSD: {ledgerAccountType: FEES}"))

    ended = await terminal.apply(str(scheme_file))

    assert 1 == ended.code
    assert [
        "✓ hub account USD HUB_RECONCILIATION: open",
        "✓ hub account USD HUB_MULTILATERAL_SETTLEMENT: open",
        "✗ failed: settlement model DEFERREDNETUSD: DEFERRED NET MULTILATERAL, USD",
        "· not done: participant dfsp USD: registered",
        "· not done: net debit cap dfsp USD: 1,000, alarm at 20%",
        "· not done: funds dfsp USD: 0 -> 100.25",
    ] == ended.out.splitlines()
    assert (
        "clearinghub: 2 of 6 changes made, run it again for the rest: refused by the hub: 3003 Add Party information "
        "error - Ledger account type was not found (POST /settlementModels, HTTP 400)\n"
    ) == ended.err

    as_json = await terminal.apply(str(scheme_file), "--json")
    assert ["failed", "not-done", "not-done", "not-done"] == outcomes(as_json.json)
    assert "3003" in as_json.json["steps"][0]["error"]


async def test_an_answer_that_was_lost_pays_in_once(terminal: Terminal, scheme_file: Path) -> None:
    ports = terminal.operator.ports
    ports.loses_answer_to = "record-funds-in"
    lost = await terminal.apply(str(scheme_file))
    ports.loses_answer_to = None

    again = await terminal.apply(str(scheme_file))

    assert 1 == lost.code
    assert "5 of 6 changes made" in lost.err
    assert 0 == again.code
    assert (Decimal("-100.25"), Decimal("100.25")) == await terminal.operator.balances()


async def test_a_request_that_is_late_pays_in_once(terminal: Terminal, scheme_file: Path) -> None:
    """The first request was recorded but not yet decided when the second run looked: the same id makes them one."""
    ports = terminal.operator.ports
    ids = []
    with_fault = ports.fails_from("record-funds-in", CommandTimeoutError("late"))
    for _run in range(2):
        await terminal.apply(str(scheme_file))
        command = ports.commands["record-funds-in"]
        assert isinstance(command, RecordFundsIn)
        ids.append(command.request.transfer_id)
    with_fault.clear()

    assert 1 == len(set(ids))


async def test_conflicts_stop_it_before_anything_is_sent(terminal: Terminal, scheme_file: Path) -> None:
    await terminal.apply(str(scheme_file))
    commands = len(terminal.operator.ports.sent)
    model = "DEFERREDNETUSD: {autoPositionReset: false}"
    scheme_file.write_text(SCHEME.replace("DEFERREDNETUSD: ", model).replace("1000", "7"))

    ended = await terminal.apply(str(scheme_file))

    assert (1, "") == (ended.code, ended.out)
    assert (
        f"clearinghub: {scheme_file}:2: currencies.USD.settlementModels.DEFERREDNETUSD.autoPositionReset: "
        "is true at the hub, not false; a model can only be switched off\n"
    ) == ended.err
    assert commands == len(terminal.operator.ports.sent)


async def test_all_faults_of_a_file_are_reported(terminal: Terminal, scheme_file: Path) -> None:
    scheme_file.write_text(SCHEME.replace("1000", "-1").replace("  dfsp:", "  d:"))

    ended = await terminal.apply(str(scheme_file), "--json")

    assert (2, "") == (ended.code, ended.out)
    assert [f"clearinghub: {scheme_file}:4: participants.d", f"clearinghub: {scheme_file}:6: participants.d"] == [
        line[: len(f"clearinghub: {scheme_file}:4: participants.d")] for line in ended.err.splitlines()
    ]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (None, "scheme.yaml cannot be read: No such file or directory"),
        (b"\xff\xfe\xff", "cannot be read: 'utf-8'"),
        (b"a: [", ":1: expected the node content"),
        (b"", "scheme.yaml: the file is empty"),
    ],
)
async def test_what_is_no_file(terminal: Terminal, tmp_path: Path, content: bytes | None, sentence: str) -> None:
    file = tmp_path / "scheme.yaml"
    if content is not None:
        file.write_bytes(content)

    ended = await terminal.apply(str(file))

    assert (2, "", 1) == (ended.code, ended.out, ended.err.count("\n"))
    assert sentence in ended.err


async def test_without_a_hub(terminal: Terminal, scheme_file: Path) -> None:
    ended = await terminal.apply(str(scheme_file), "--url", "http://127.0.0.1:9")

    assert (3, "") == (ended.code, ended.out)
    assert "got no answer: Connection refused" in ended.err


async def test_a_hub_that_is_lost_on_the_way(terminal: Terminal, scheme_file: Path) -> None:
    with_fault = terminal.operator.ports.fails_from("set-initial-limit", LedgerUnavailableError("nobody"))
    lost = await terminal.apply(str(scheme_file))
    with_fault.clear()

    assert 1 == lost.code
    assert "4 of 6 changes made, run it again for the rest: hub unreachable or not ready" in lost.err
    assert (0, 2) == ((again := await terminal.apply(str(scheme_file))).code, again.out.count("✓"))


async def test_stopped_on_the_way_it_tells_how_far_it_came(terminal: Terminal, scheme_file: Path) -> None:
    ports = terminal.operator.ports
    ports.stalls_at = "set-initial-limit"
    running = asyncio.create_task(terminal.apply(str(scheme_file), "--json"))
    while "set-initial-limit" not in ports.commands:
        assert not running.done()
        await asyncio.sleep(0.01)

    os.kill(os.getpid(), signal.SIGTERM)
    ended = await running

    assert 130 == ended.code
    assert ["done"] * 4 + ["failed", "not-done"] == outcomes(ended.json)
    assert "4 of 6 changes made, run it again for the rest: stopped" in ended.err
