"""Items of bulks are settled as single transfers are: at once under an immediate gross model, and with their fees."""

from __future__ import annotations

import json

import orjson
import pytest

from clearinghub.config import Settings
from clearinghub.domain.bulk.bulk import BulkState
from clearinghub.domain.participants.participant import Account, Participant, SettlementModel
from clearinghub.domain.settlement.interchange_fee import INTERCHANGE_FEE, FeeRule
from clearinghub.domain.settlement.netting import GROSS, NET, Net, NettingGroup, Party
from clearinghub.domain.transfers.transfer import State
from clearinghub.messages import decode, encode
from clearinghub.messages.bulk import encode_body
from sandbox.dfsp.ilp import Payment, encode_base64url, encode_packet
from tables.bulks import BULKS
from tables.nets import NetKey
from tables.positions import POSITIONS, position_key
from tables.scheme import KEY, SCHEME, SchemeCopy
from tables.transfers import TRANSFERS
from tests.fakes import MemoryView, fields_of
from tests.in_memory_hub import START_MS, InMemoryHub
from tests.nets import nets_of
from tests.property.bulk_world import Post, Put, prepare_body, record_of

CGS = SettlementModel(
    1,
    "CGS",
    True,
    "GROSS",
    "BILATERAL",
    "IMMEDIATE",
    "USD",
    True,
    "POSITION",
    "SETTLEMENT",
    True,
)
RULES = (
    FeeRule("deposits", "USD", transaction={"scenario": "DEPOSIT"}, fixed=7),
    FeeRule("others", "USD", fixed=2),
)
POST = Post("b", "payer", (("t1", 10), ("t2", 20), ("t3", 30)), START_MS + 1_000)
PUT = Put("b", "payee", "Hub", (("t1", True), ("t2", True), ("t3", None)))


class Payer:
    """A payer and a payee with fee accounts, on the only partition of a hub; what leaves for others waits."""

    def __init__(self, *rules: FeeRule) -> None:
        self.hub = InMemoryHub(Settings(partitions=1), fee_rules=rules)
        kinds = ("POSITION", "SETTLEMENT", INTERCHANGE_FEE)
        accounts = tuple(Account(number, "USD", kind, True, 0) for number, kind in enumerate(kinds, start=1))
        for name in ("payer", "payee"):
            self.hub.enroll(Participant(1, name, True, 0, accounts=accounts), net_debit_cap=1_000, funds=1_000)
        self.hub.hold_back("credit", "settlement")

    @property
    def view(self) -> MemoryView:
        return self.hub.views[0]

    def pay(self, packets: dict[str, str] | None = None) -> None:
        """Send the bulk, and the payee's answer to it: the last item fails."""
        message, _body = decode(record_of(POST)[1])
        body = encode_body(prepare_body(POST.bulk_id, POST.lines, packets or {}))
        for topic, sent in (("bulk-prepare", encode(message, body)), record_of(PUT)):
            self.hub.write(topic, "payer", sent)

    def value(self, kind: str) -> int:
        row = self.view.get(POSITIONS, position_key("payer", "USD", kind))
        assert row is not None
        return row.value


@pytest.fixture
def gross() -> Payer:
    payer = Payer()
    payer.view.put(SCHEME, KEY, SchemeCopy(1, (CGS,)))
    return payer


def packet(scenario: str) -> str:
    transaction = json.dumps({"transactionType": {"scenario": scenario}}).encode()
    return encode_packet(Payment(100, "g.payee", encode_base64url(transaction).encode()))


def test_items_are_settled_at_once_under_an_immediate_gross_model(gross: Payer) -> None:
    gross.pay()

    assert {"t1": State.SETTLED, "t2": State.SETTLED, "t3": State.ABORTED_ERROR} == {
        name: row.state for name, row in gross.view.rows(TRANSFERS).items()
    }
    assert (0, -1_000 + 30) == (gross.value("POSITION"), gross.value("SETTLEMENT"))
    assert ["SETTLEMENT"] * 2 == [one.header["settles_into"] for one in gross.hub.waiting_on("credit")]
    key = NetKey(1, NettingGroup("USD", "POSITION", GROSS), Party("payer"))
    assert {key: Net(debits=30, debit_count=2)} == nets_of(gross.view, 1)


def test_a_bulk_that_settles_at_once_is_complete_and_its_payer_is_shown_fulfilments(gross: Payer) -> None:
    gross.pay()

    bulk = gross.view.rows(BULKS)["b"]
    assert (BulkState.COMPLETED, 2, 1) == (bulk.state, bulk.tally.committed, bulk.tally.aborted)
    bodies = [fields_of(one.value)[1] for one in gross.hub.written["notification"] if one.key == "payer"]
    results = orjson.loads(bodies[-1])["individualTransferResults"]
    assert ["fulfilment", "fulfilment", "errorInformation"] == [list(one)[-1] for one in results]


def test_each_committed_item_costs_the_fee_of_its_own_packet() -> None:
    payer = Payer(*RULES)
    payer.pay({"t1": packet("DEPOSIT"), "t2": packet("TRANSFER"), "t3": packet("DEPOSIT")})

    assert 7 + 2 == payer.value(INTERCHANGE_FEE)
    key = NetKey(1, NettingGroup("USD", INTERCHANGE_FEE, NET), Party("payer"))
    assert Net(debits=9, debit_count=2) == nets_of(payer.view, 1)[key]
    credits_ = [one.header for one in payer.hub.waiting_on("credit")]
    fees = [one for one in credits_ if one["account_type"] == INTERCHANGE_FEE]
    assert [("t1", -7), ("t2", -2)] == [(one["id"], one["change"]) for one in fees]
