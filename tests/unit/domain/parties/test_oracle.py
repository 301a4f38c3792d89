from __future__ import annotations

import itertools
import json
from typing import Any

import msgspec
import pytest

from clearinghub.domain.errors import ErrorInformation, Rejection
from clearinghub.domain.participants.participant import Oracle, OracleDefinition, OracleFields, Participant
from clearinghub.domain.parties.oracle import (
    LIST_MAX,
    ORACLES_MAX,
    BuiltIn,
    add_oracle,
    batch_result,
    change_oracle,
    read_batch,
    read_change,
    read_lookup,
    remove_oracle,
    select_oracle,
)
from clearinghub.domain.parties.party import PartyEntry, PartyId
from clearinghub.rows import encode_row, make_row_decoder

HUB = Participant(1, "Hub", active=True, created_at_ms=0)
decode = make_row_decoder(Participant)
DEFINED = OracleDefinition("MSISDN", "http://o", "URL")


def oracle(number: int, currency: str | None = None, *, default: bool = False, id_type: str = "MSISDN") -> Oracle:
    return Oracle(number, id_type, "http://o", "URL", currency, default)


def code_of(outcome: object) -> str | None:
    return outcome.code if isinstance(outcome, Rejection | ErrorInformation) else None


def body(**content: Any) -> bytes:
    return json.dumps(content).encode()


@pytest.mark.parametrize(
    ("oracles", "currency", "chosen"),
    [
        ([], None, BuiltIn.ORACLE),
        ([oracle(1, id_type="ALIAS")], "USD", BuiltIn.ORACLE),
        ([oracle(2), oracle(1, "USD")], None, 1),
        ([oracle(1, "USD"), oracle(2, "EUR", default=True)], None, 2),
        ([oracle(1, "USD"), oracle(2, "EUR", default=True)], "USD", 1),
        ([oracle(3, "USD"), oracle(2)], "USD", 3),
        ([oracle(3, "USD"), oracle(2)], "EUR", 2),
        ([oracle(3, "USD")], "EUR", "3003"),
    ],
)
def test_which_oracle_is_selected(oracles: list[Oracle], currency: str | None, chosen: object) -> None:
    found = select_oracle(oracles, "MSISDN", currency, {"MSISDN"})

    assert chosen == (found.oracle_id if isinstance(found, Oracle) else code_of(found) or found)


def test_a_type_of_nobody() -> None:
    refused = select_oracle([], "MSISDN", "USD", ())

    assert isinstance(refused, Rejection)
    assert "Add Party information error - Oracle type: MSISDN not found, currency: USD" == refused.description


def test_the_registry() -> None:
    ids = itertools.count(7)

    def add(hub: Participant, currency: str | None = None) -> Participant | Rejection:
        return add_oracle(hub, msgspec.structs.replace(DEFINED, currency=currency), lambda: next(ids))

    one = add(HUB)
    assert isinstance(one, Participant)
    assert ((7,), 1) == (tuple(each.oracle_id for each in one.oracles), one.version)
    assert one == decode(encode_row(one))
    two = add(one, "USD")
    assert isinstance(two, Participant)
    assert "2001" == code_of(add(one))
    assert "2001" == code_of(change_oracle(two, 7, OracleFields(currency="USD")))
    changed = change_oracle(two, 7, OracleFields(is_default=True))
    assert isinstance(changed, Participant)
    assert [True, False] == [each.is_default for each in changed.oracles]
    assert ["3003", "3003"] == [code_of(change_oracle(two, 99, OracleFields())), code_of(remove_oracle(two, 99))]
    left = remove_oracle(two, 7)
    assert isinstance(left, Participant)
    assert ("USD",) == tuple(each.currency for each in left.oracles)


def test_the_registry_is_bounded() -> None:
    many = Participant(1, "Hub", active=True, created_at_ms=0, oracles=tuple(oracle(n) for n in range(ORACLES_MAX)))

    assert "3003" == code_of(add_oracle(many, DEFINED, lambda: 1))


def test_a_hub_from_before_there_were_oracles() -> None:
    width, *fields = json.loads(encode_row(HUB))

    assert HUB == decode(json.dumps([width - 1, *fields[:-1]]).encode())


def test_a_long_list_is_cut() -> None:
    listed = [{"fspId": f"fsp{number}"} for number in range(LIST_MAX + 1)]

    assert LIST_MAX == len(read_lookup(200, body(partyList=listed)))  # type: ignore[arg-type]


def test_empty_texts_in_a_list_are_none() -> None:
    listed = [{"fspId": "a", "currency": "", "partySubIdOrType": None}]

    assert (PartyEntry("a"),) == read_lookup(200, body(partyList=listed))
    assert "1001" == code_of(read_lookup(200, body(partyList=[{"fspId": "a", "currency": 1}])))
    for unreadable in ({"fspId": None}, 1):
        assert "1001" == code_of(read_lookup(200, body(partyList=[unreadable])))


@pytest.mark.parametrize(
    "information", [1, {}, {"errorCode": 3105}, {"errorCode": "3105"}, {"errorCode": "3105", "errorDescription": ""}]
)
def test_an_error_that_cannot_be_read(information: object) -> None:
    assert "3000" == code_of(read_lookup(403, body(errorInformation=information)))


def test_a_long_description_is_cut() -> None:
    error = read_lookup(403, body(errorInformation={"errorCode": "3105", "errorDescription": "x" * 200}))

    assert isinstance(error, ErrorInformation)
    assert "x" * 128 == error.description


@pytest.mark.parametrize(
    ("method", "status", "code"),
    [
        ("POST", 201, None),
        ("POST", 204, "3003"),
        ("PUT", 200, None),
        ("DELETE", 204, None),
        ("DELETE", 404, "3040"),
        ("PUT", None, "1001"),
        ("PUT", 500, "1001"),
    ],
)
def test_changes(method: str, status: int | None, code: str | None) -> None:
    assert code == code_of(read_change(method, status, b""))


def test_a_batchs_results() -> None:
    party, sub = PartyId("MSISDN", "1"), PartyId("MSISDN", "1", "100")
    named = {"partyIdType": "MSISDN", "partyIdentifier": "1"}
    broken: list[Any] = [1, {}, {"partyId": {}}, {"partyId": {**named, "partyIdentifier": 1}}]
    error = {"errorCode": "3003", "errorDescription": "There"}
    listed = [*broken, {"partyId": named}, {"partyId": {**named, "partySubIdOrType": "100"}, "errorInformation": error}]

    results = read_batch(201, body(partyList=listed))

    assert results == {party: None, sub: ErrorInformation("3003", "There")}
    assert batch_result(results, party) is None
    assert "3003" == code_of(batch_result(results, PartyId("MSISDN", "2")))
    vague = read_batch(201, body(partyList=[{"partyId": named, "errorInformation": "no"}]))
    assert "3003" == code_of(batch_result(vague, party))
    for status, code in ((None, "1001"), (400, "3003")):
        assert code == code_of(batch_result(read_batch(status, b""), party))
    assert "3003" == code_of(batch_result(read_batch(201, b""), party))


@pytest.mark.parametrize(
    ("status", "content", "code"),
    [
        (None, b"", "1001"),
        (500, b"", "1001"),
        (400, b"", None),
        (404, b"", None),
        (200, b"[]", "1001"),
        (200, b"{", "1001"),
        (200, b"[" * 100_000, "1001"),
        (200, rb'{"partyList":[{"fspId":"a","partySubIdOrType":"\ud800"}]}', "1001"),  # no row can hold it
        (200, b'{"partyList":[{"fspId":"a","partySubIdOrType":"\xed\xa0\x80"}]}', "1001"),
    ],
)
def test_lookups(status: int | None, content: bytes, code: str | None) -> None:
    found = read_lookup(status, content)

    assert code == code_of(found)
    assert code is not None or () == found


def test_an_escape_of_a_whole_character_is_read() -> None:
    found = read_lookup(200, rb'{"partyList":[{"fspId":"a","partySubIdOrType":"\u1000\ud83d\ude00"}]}')

    assert (PartyEntry("a", "\u1000\N{GRINNING FACE}"),) == found


def test_an_error_that_is_no_code_of_the_api() -> None:
    assert "3000" == code_of(read_lookup(403, body(errorInformation={"errorCode": "9999", "errorDescription": "x"})))
    assert "3000" == code_of(read_lookup(403, body(errorInformation=None)))
