"""What a scheme's file may say, and that everything wrong in it is reported at once."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import TypeAdapter, ValidationError

from clearinghub.domain.currencies import currencies_with
from clearinghub.tools.apply.declared import Context, DeclaredScheme, read_scheme
from clearinghub.tools.client.names import is_participant_name
from clearinghub.yaml_file import read_document
from web.admin.schemas import ParticipantName

EXAMPLE = Path(__file__).resolve().parents[4] / "deploy/scheme.example.yaml"
CONTEXT = Context("Hub", currencies_with(()))


def faults(text: str) -> list[tuple[int, str, str]]:
    """The line, path and text of every fault."""
    read = read_document(text)
    scheme, found = read_scheme(read, CONTEXT)
    assert (scheme is None) == bool(found)
    return [(read.line_of(fault.path), ".".join(map(str, fault.path)), fault.text) for fault in found]


def declared(text: str) -> DeclaredScheme:
    scheme, found = read_scheme(read_document(text), CONTEXT)
    assert scheme is not None, found
    return scheme


def test_the_example_is_right() -> None:
    scheme = declared(EXAMPLE.read_text())

    assert ["USD", "KES"] == list(scheme.currencies)
    assert 500_005_000 == scheme.participants["alphabank"].currencies["USD"].funds_at_least_units
    assert [("DEFERREDNETUSD", "USD"), ("DEFAULTDEFERREDNET", None)] == [one[:2] for one in scheme.models()]
    assert all(kind.startswith("FSPIOP_CALLBACK_URL_") for kind in scheme.participants["alphabank"].values_by_type)


def test_little_is_needed() -> None:
    scheme = declared("currencies:\n  USD:\nparticipants:\n  a1:\n    currencies: {USD: }\n")

    assert ["HUB_RECONCILIATION", "HUB_MULTILATERAL_SETTLEMENT"] == scheme.currencies["USD"].hub_accounts
    assert scheme.participants["a1"].is_active is None


def test_all_faults_are_reported_in_the_order_of_the_file() -> None:
    text = """\
currencies:
  USD:
    hubAccount: [HUB_FEE]
    settlementModels:
      GOODNAME: {settlementDelay: IMMEDIATE}
      BAD-NAME:
  USX:
settlementModels:
  GOODNAME: {requireLiquidityCheck: 1}
participants:
  x:
    currencies: {USD: {netDebitCap: 1.00001}}
  hub:
    isActive: 2
    currencies: {EUR: {netDebitCap: 1_000, alarmPercentage: 101}}
    endpoints:
      TRANSFERS: http://a
      TRANSFER_PUT: ftp://a
  Abank:
    currencies:
  aBank:
    currencies: {USD: {fundsAtLeast: 5}, USD: {alarmPercentage: 5}}
    endpoints: {TRANSFER_POST: http://a/x, FSPIOP_CALLBACK_URL_TRANSFER_POST: http://a/x}
"""
    found = faults(text)

    assert [
        (3, "currencies.USD.hubAccount", "Extra inputs are not permitted"),
        (
            5,
            "currencies.USD.settlementModels.GOODNAME",
            "this combination of delay, granularity and interchange is not supported",
        ),
        (
            6,
            "currencies.USD.settlementModels.BAD-NAME",
            "String should match pattern '^[A-Za-z0-9]{2,30}$' (got BAD-NAME)",
        ),
        (7, "currencies.USX", "no currency of ISO 4217; CLEARINGHUB_CURRENCIES_EXTRA names a scheme's own"),
        (9, "settlementModels.GOODNAME", "the name is another settlement model's"),
        (9, "settlementModels.GOODNAME.requireLiquidityCheck", "Input should be a valid boolean (got 1)"),
        (11, "participants.x", "a name has 2 to 30 letters, digits, dots, dashes, underscores"),
        (12, "participants.x.currencies.USD.netDebitCap", "1.00001 is no amount: digits, a point, up to four decimals"),
        (13, "participants.hub", "the name differs from the hub's at most in case"),
        (14, "participants.hub.isActive", "Input should be a valid boolean (got 2)"),
        (15, "participants.hub.currencies.EUR", "EUR is not among the file's currencies"),
        (15, "participants.hub.currencies.EUR.netDebitCap", "1_000 is no amount: digits, a point, up to four decimals"),
        (15, "participants.hub.currencies.EUR.alarmPercentage", "Input should be less than or equal to 100 (got 101)"),
        (17, "participants.hub.endpoints.TRANSFERS", "no endpoint type such as TRANSFER_POST"),
        (18, "participants.hub.endpoints.TRANSFER_PUT", "value is not an http or https URL"),
        (20, "participants.Abank.currencies", "Input should be a valid dictionary (got None)"),
        (21, "participants.aBank", "the name differs from Abank's at most in case"),
        (22, "participants.aBank.currencies.USD", "stands twice, first in line 22"),
        (
            22,
            "participants.aBank.currencies.USD",
            "fundsAtLeast needs a netDebitCap: the first cap opens the account for funds",
        ),
        (23, "participants.aBank.endpoints.TRANSFER_POST", "stands twice, also as FSPIOP_CALLBACK_URL_TRANSFER_POST"),
    ] == found


@pytest.mark.parametrize("text", ["5", "[]", "currencies: []", "currencies: {USD: []}", "participants: 7", "a: {b: c}"])
def test_another_structure_is_a_fault(text: str) -> None:
    assert faults(text)


@pytest.mark.parametrize("name", ["a", "aa", "a" * 30, "a" * 31, "limits", "..", "a.b", "a b", "ä1", "A_-.", "--", ""])
def test_names_are_those_of_the_hub(name: str) -> None:
    try:
        TypeAdapter(ParticipantName).validate_python(name)
    except ValidationError:
        is_accepted = False
    else:
        is_accepted = True

    assert is_accepted == is_participant_name(name)
