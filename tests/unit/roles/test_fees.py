"""The file of interchange fees: which files are accepted, and which fee a transfer has."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import pytest

from agents.context import LedgerContext
from agents.settlement.fees import ilp_packet, interchange_fee
from clearinghub.domain.participants.participant import Account, Participant
from clearinghub.domain.settlement.interchange_fee import FeeRule
from clearinghub.domain.transfers.transfer import Transfer
from clearinghub.roles.fees import FeesFileError, load_fee_rules
from sandbox.dfsp.ilp import Payment, encode_base64url, encode_packet
from tests.fakes import FakeParticipants
from tests.unit.domain.samples import NOW_MS, transfer

EXAMPLE = Path(__file__).parents[3] / "deploy" / "interchange-fees.example.yaml"


def test_the_example() -> None:
    first, second, third = load_fee_rules(EXAMPLE)

    assert ({"scenario": "DEPOSIT", "initiatorType": "AGENT"}, 1_000, False) == (
        first.transaction,
        first.fixed,
        first.paid_by_payer,
    )
    assert (frozenset({"betawallet"}), 100_000, 2_500, 100) == (
        second.payees,
        second.amount_below,
        second.percent,
        second.at_least,
    )
    assert (6_000, 50_000) == (third.percent, third.at_most)
    assert () == load_fee_rules(None)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("interchangeFees: 3", ":1: interchangeFees"),
        ("interchangeFees:\n  - {name: a, currency: USD, paidBy: bank}", ":2: interchangeFees.0.paidBy"),
        ("interchangeFees:\n  - {name: a, currency: USD, paidBy: payer, fixed: 0.00001}", "is no amount"),
        ("interchangeFees:\n  - {name: a, currency: USD, paidBy: payer, validFrom: soon}", "is no time"),
        ("interchangeFees:\n  - {name: a, currency: USD, paidBy: payer, scirpt: x}", "scirpt"),
        ("a: [", "fees.yaml: "),
    ],
)
def test_a_fault_in_the_file_is_reported_with_its_place(tmp_path: Path, text: str, sentence: str) -> None:
    path = tmp_path / "fees.yaml"
    path.write_text(text)

    with pytest.raises(FeesFileError) as raised:
        load_fee_rules(path)
    assert sentence in str(raised.value)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(FeesFileError, match="No such file"):
        load_fee_rules(tmp_path / "none.yaml")


def context(*rules: FeeRule, with_account: bool = True) -> LedgerContext:
    participants = FakeParticipants()
    accounts = (Account(1, "USD", "INTERCHANGE_FEE", True, 1),) if with_account else ()
    for name in ("payerfsp", "payeefsp"):
        participants.by_name[name] = Participant(1, name, True, 1, accounts=accounts)
    return LedgerContext("Hub", participants, fee_rules=rules)


PLAIN = FeeRule("plain", "USD", fixed=5)
DEPOSITS = FeeRule("deposits", "USD", transaction={"scenario": "DEPOSIT"}, fixed=7)


def body(scenario: str) -> bytes:
    transaction = json.dumps({"transactionType": {"scenario": scenario}}).encode()
    packet = encode_packet(Payment(100, "g.payee", encode_base64url(transaction).encode()))
    return json.dumps({"ilpPacket": packet}).encode()


def fee(known: LedgerContext, paid: Transfer, posted: bytes) -> int:
    return interchange_fee(known, paid, partial(ilp_packet, posted), NOW_MS)


def test_the_packet_is_read_where_a_rule_asks_for_it() -> None:
    assert 7 == fee(context(DEPOSITS, PLAIN), transfer(), body("DEPOSIT"))
    assert 5 == fee(context(DEPOSITS, PLAIN), transfer(), body("TRANSFER"))


@pytest.mark.parametrize("broken", [b"", b"{}", b"[]", b'{"ilpPacket":7}', b'{"ilpPacket":"AAAA"}'])
def test_a_body_that_cannot_be_read_costs_nothing_by_such_a_rule(broken: bytes) -> None:
    assert 0 == fee(context(DEPOSITS), transfer(), broken)


def test_without_accounts_or_rules_there_is_no_fee() -> None:
    assert 0 == fee(context(PLAIN, with_account=False), transfer(), b"{}")
    assert 0 == fee(context(PLAIN), transfer(currency="XTS"), b"{}")
    assert 0 == fee(context(), transfer(), b"{}")
