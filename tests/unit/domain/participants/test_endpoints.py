from __future__ import annotations

from urllib.parse import unquote, urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clearinghub.domain.participants.endpoints import (
    ENDPOINT_TYPES,
    Unrenderable,
    check_endpoint,
    is_endpoint_type,
    render_url,
)

PUT_TYPE = "FSPIOP_CALLBACK_URL_TRANSFER_PUT"
PARTIES_TYPE = "FSPIOP_CALLBACK_URL_PARTIES_SUB_ID_PUT"


@pytest.mark.parametrize(
    "template",
    [
        "http://dfsp/transfers/{{transferId}}",
        "http://dfsp/transfers/{{ transferId }}",
        "http://dfsp/transfers/{{{transferId}}}",
        "http://dfsp/transfers/{{{ transferId }}}",
        "http://dfsp/transfers/{{& transferId}}",
    ],
)
def test_every_way_to_write_a_variable_inserts_it(template: str) -> None:
    assert "http://dfsp/transfers/abc-1" == render_url(PUT_TYPE, template, {"transferId": "abc-1"}, "/transfers/abc-1")


def test_variables_are_quoted_and_inserted_where_they_stand() -> None:
    variables = {"partyIdType": "ALIAS", "partyIdentifier": "a/b?c#d é", "partySubIdOrType": "{{partyIdType}}"}
    template = "https://d:8443/x/parties/{{partyIdType}}/{{partyIdentifier}}/{{partySubIdOrType}}/error?q=1"
    expected = "https://d:8443/x/parties/ALIAS/a%2Fb%3Fc%23d%20%C3%A9/%7B%7BpartyIdType%7D%7D/error?q=1"
    assert expected == render_url(PARTIES_TYPE, template, variables, "/parties")


@settings(deadline=None)  # other work shares the machine
@given(st.text(st.characters(codec="utf-8"), min_size=1).filter(lambda text: text not in {".", ".."}))
def test_no_identifier_leaves_its_path_segment(identifier: str) -> None:
    url = render_url(PUT_TYPE, "http://dfsp/t/{{transferId}}/error", {"transferId": identifier}, "/")
    assert isinstance(url, str)
    assert ("", "t", identifier, "error") == tuple(unquote(part) for part in urlsplit(url).path.split("/"))


@pytest.mark.parametrize("identifier", ["", ".", ".."])
def test_an_identifier_that_means_another_resource_is_not_rendered(identifier: str) -> None:
    url = render_url(PUT_TYPE, "http://dfsp/t/{{transferId}}", {"transferId": identifier}, "/")
    assert Unrenderable("variable transferId is no path segment") == url


def test_a_template_with_an_unknown_variable_is_no_url() -> None:
    url = render_url(PUT_TYPE, "http://dfsp/t/{{commitRequestId}}", {"transferId": "1"}, "/")
    assert Unrenderable("unknown variable commitRequestId") == url


def test_the_service_path_follows_a_base_url() -> None:
    url = render_url("FSPIOP_CALLBACK_URL_QUOTES", "http://dfsp/base/", {}, "/quotes/1/error")
    assert "http://dfsp/base/quotes/1/error" == url


@pytest.mark.parametrize("path", ["", "quotes", "/quotes /1", "/quotes\r\nx"])
def test_an_invalid_service_path_makes_no_url(path: str) -> None:
    url = render_url("FSPIOP_CALLBACK_URL_QUOTES", "http://dfsp", {}, path)
    assert Unrenderable("the service path is no URL path") == url


def test_the_types_of_all_groups_are_known() -> None:
    assert 33 == len(ENDPOINT_TYPES)
    assert is_endpoint_type("FSPIOP_CALLBACK_URL_BULK_TRANSFER_ERROR")
    assert is_endpoint_type("FSPIOP_CALLBACK_URL_FX_QUOTES")
    assert is_endpoint_type("TP_CB_URL_CONSENT_REQUEST_PUT")
    assert not is_endpoint_type("FSPIOP_CALLBACK_URL_TRANSFER")
    assert not is_endpoint_type("TP_CB_URL_")


@pytest.mark.parametrize(
    ("endpoint_type", "value"),
    [
        (PUT_TYPE, "http://localhost:5000/transfers/{{transferId}}"),
        (PUT_TYPE, "https://[::1]:5000/dfsp%20a/{{ transferId }}?x={{transferId}}"),
        (PARTIES_TYPE, "http://d/parties/{{partyIdType}}/{{partyIdentifier}}/{{partySubIdOrType}}"),
        ("FSPIOP_CALLBACK_URL_QUOTES", "http://quotes-handler"),
        ("TP_CB_URL_TRANSACTION_REQUEST_POST", "http://pisp/thirdpartyRequests/{{ID}}"),
        ("ALARM_NOTIFICATION_URL", "http://alarm"),
        ("ALARM_NOTIFICATION_TOPIC", "alarms.dfsp-1"),
        ("NET_DEBIT_CAP_ADJUSTMENT_EMAIL", "ops@dfsp.example"),
    ],
)
def test_good_values_may_be_registered(endpoint_type: str, value: str) -> None:
    assert check_endpoint(endpoint_type, value) is None


@pytest.mark.parametrize(
    ("endpoint_type", "value", "detail"),
    [
        ("FSPIOP_CALLBACK_URL_NONSENSE", "http://d", "type is not a known endpoint type"),
        (PUT_TYPE, "", "value must have 1 to 512 characters"),
        (PUT_TYPE, "http://d/" + "x" * 512, "value must have 1 to 512 characters"),
        (PUT_TYPE, "ftp://d/{{transferId}}", "value is not an http or https URL"),
        (PUT_TYPE, "//d/{{transferId}}", "value is not an http or https URL"),
        (PUT_TYPE, "http://:80/", "value is not an http or https URL"),
        (PUT_TYPE, "http://d:0/", "value is not an http or https URL"),
        (PUT_TYPE, "http://d:99999/", "value is not a URL"),
        (PUT_TYPE, "http://[::1/", "value is not a URL"),
        (PUT_TYPE, "http://user:secret@d/", "value must have neither credentials nor a fragment"),
        (PUT_TYPE, "http://d/#x", "value must have neither credentials nor a fragment"),
        (PUT_TYPE, "http://{{transferId}}/x", "variables are allowed behind the host only"),
        (PUT_TYPE, "http://d/{{id}}", "FSPIOP_CALLBACK_URL_TRANSFER_PUT has no variable id"),
        (PUT_TYPE, "http://d/{{transferId", "value is not a template of {{variables}}"),
        (PUT_TYPE, "http://d/{{{transferId}}", "value is not a template of {{variables}}"),
        (PUT_TYPE, "http://d/{{#transferId}}", "value is not a template of {{variables}}"),
        (PUT_TYPE, "http://d/a b", "value has characters that no URL has"),
        (PUT_TYPE, "http://d/\r\nx", "value has characters that no URL has"),
        ("FSPIOP_CALLBACK_URL_QUOTES", "http://d/{{quoteId}}", "FSPIOP_CALLBACK_URL_QUOTES has no variable quoteId"),
        ("ALARM_NOTIFICATION_TOPIC", "a b", "value is not the name of a topic"),
        ("NET_DEBIT_CAP_ADJUSTMENT_EMAIL", "nobody", "value is not an e-mail address"),
    ],
)
def test_bad_values_are_refused_with_a_validation_error(endpoint_type: str, value: str, detail: str) -> None:
    rejection = check_endpoint(endpoint_type, value)
    assert rejection is not None
    assert ("3100", 400, detail) == (rejection.code, rejection.status, rejection.detail)
