from __future__ import annotations

import io
from typing import Any

import orjson
import pytest
from rich.console import Console

from clearinghub.config import Settings
from clearinghub.tools.audit.report import as_json, show
from clearinghub.tools.audit.rules import Rule
from clearinghub.tools.client.money import shown_amount
from clearinghub.tools.command_line import EXIT_NO_HUB, EXIT_WRONG_USAGE
from tests.commands import run_command
from tests.unit.tools.audit.topics import AMOUNT, PAYEE, PAYER, Audited, Topics

CUT = "2023-11-14T22:13:20.000Z"


def shown_text(found: Audited) -> str:
    console = Console(file=io.StringIO(), width=400)
    show(console, found.books.findings, found.closing, records=found.books.records, cut=CUT, settle_s=10)
    text: str = console.file.getvalue()  # type: ignore[attr-defined]
    return text


def document(found: Audited) -> Any:
    made = as_json(found.books.findings, found.closing, records=found.books.records, cut=CUT, settle_s=10)
    return orjson.loads(orjson.dumps(made))


@pytest.mark.parametrize(
    ("amount", "text"),
    [(0, "0"), (1, "0.0001"), (-12_345_000, "-1,234.5"), (10_000, "1"), (99_999_999, "9,999.9999")],
)
def test_amounts(amount: int, text: str) -> None:
    assert text == shown_amount(amount)
    assert shown_amount(5, signed=True).startswith("+")


def test_sound_books() -> None:
    topics = Topics()
    topics.funded()
    topics.committed("t-1")
    topics.reserved("t-2")
    topics.prepare("t-3")
    found = topics.audit()
    text, made = shown_text(found), document(found)

    assert "The books are right." in text
    assert "2 transfers finished, 1 in flight" in text
    assert "1 were asked for and nothing was decided" in text
    assert all(rule.label in text and rule.sentence in text for rule in Rule)
    assert (True, CUT, found.books.records) == (made["ok"], made["cut"], made["records"])
    assert {"finished": 2, "inFlight": 1, "undecided": 1, "unjudged": 0, "pending": []} == made["transfers"]
    assert [rule.label for rule in Rule] == [rule["name"] for rule in made["rules"]]
    assert {
        "rule": "positions-balance",
        "currency": "XTS",
        "total": "100",
        "inFlight": "100",
        "onTheirWay": "0",
        "initial": "0",
    } == made["balances"][0]


def test_broken_books_name_who_breaks_them() -> None:
    topics = Topics()
    topics.funded()
    for number in range(25):
        topics.prepare(f"t-{number}")
        topics.end("COMMITTED", f"t-{number}")
    found = topics.audit()
    text, made = shown_text(found), document(found)

    assert "The books are right." not in text
    assert "committed: t-0: missing payer/XTS/POSITION +100, payee/XTS/POSITION -100" in text
    assert "committed: and 15 more" in text
    (rule,) = (rule for rule in made["rules"] if rule["name"] == "committed")
    assert (False, 25, "t-24") == (made["ok"], rule["violations"], rule["shown"][-1]["subject"])


def test_pending_transfers_are_shown() -> None:
    topics = Topics()
    topics.funded()
    topics.reserved()
    topics.fulfil()
    topics.end("COMMITTED")
    found = topics.audit(later_ms=1)

    assert "1 changed within the last 10 s and wait for a record" in shown_text(found)
    assert ["t-1"] == document(found)["transfers"]["pending"]
    assert "100" == document(found)["balances"][0]["onTheirWay"]


def test_rules_that_cannot_be_checked_are_shown() -> None:
    topics = Topics()
    topics.move(PAYER, AMOUNT, "t-0")
    topics.move(PAYEE, -AMOUNT, "t-0")

    assert "but for 1 reservations" in shown_text(topics.audit()) or "not checked: 1 reservations" in shown_text(
        topics.audit()
    )


async def test_without_a_broker(tmp_path: Any) -> None:
    settings = Settings(kafka_bootstrap="127.0.0.1:1", data_dir=tmp_path, run_dir=tmp_path)

    assert EXIT_NO_HUB == await run_command(settings, "audit", "--json")


@pytest.mark.parametrize("text", ["0", "-1", "soon"])
async def test_options(text: str) -> None:
    assert EXIT_WRONG_USAGE == await run_command(Settings(), "audit", "--settle-s", text)
