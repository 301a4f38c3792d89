"""What a DFSP is shown of a transfer."""

from __future__ import annotations

from typing import Any

import pytest

from clearinghub.domain.errors import ErrorInformation
from clearinghub.domain.transfers.lookup import (
    Found,
    NotFound,
    NotParty,
    Silent,
    aborted_patch_body,
    committed_body,
    committed_patch_body,
    decide_get,
    transfer_body,
)
from clearinghub.domain.transfers.transfer import State
from tests.unit.domain.samples import FULFILMENT, RECEIVED_AT_MS, transfer

PREPARE_EXTENSION = {"key": "channel", "value": "app"}
FULFIL_EXTENSION = {"key": "receipt", "value": "17"}
PREPARE_LIST = {"extension": [PREPARE_EXTENSION]}
FULFIL_LIST = {"extension": [FULFIL_EXTENSION]}
ERROR = ErrorInformation("3100", "Generic validation error - invalid fulfilment")
CAUSE = {"key": "cause", "value": "3100: Generic validation error - invalid fulfilment"}
COMMITTED = transfer(
    State.COMMITTED,
    fulfilment=FULFILMENT,
    completed_timestamp="2023-11-14T22:13:21.000+01:00",
    extensions=PREPARE_LIST,
    fulfil_extensions=FULFIL_LIST,
)


@pytest.mark.parametrize("requester", ["payerfsp", "payeefsp"])
def test_party_finds_its_transfer(requester: str) -> None:
    stored = transfer()

    assert Found(stored) == decide_get(stored, requester, requester_exists=True)


@pytest.mark.parametrize("requester", ["stranger", "PayerFsp"])
def test_others_are_refused_as_no_party(requester: str) -> None:
    outcome = decide_get(transfer(), requester, requester_exists=True)

    assert isinstance(outcome, NotParty)
    assert (outcome.rejection.code, outcome.rejection.description) == ("3000", "Generic client error")


def test_unknown_transfer_is_not_found() -> None:
    outcome = decide_get(None, "payerfsp", requester_exists=True)

    text = "Transfer ID not found - Provided Transfer ID was not found on the server."
    assert isinstance(outcome, NotFound)
    assert (outcome.rejection.code, outcome.rejection.description) == ("3208", text)


@pytest.mark.parametrize("stored", [None, transfer()])
def test_unknown_requester_is_not_answered(stored: Any) -> None:
    assert Silent() == decide_get(stored, "payerfsp", requester_exists=False)


@pytest.mark.parametrize("state", [state for state in State if not state.is_final])
def test_open_transfer_shows_its_state_and_no_completion(state: State) -> None:
    assert {"transferState": state.enumeration} == transfer_body(transfer(state))


@pytest.mark.parametrize("state", [State.COMMITTED, State.SETTLED])
def test_committed_transfer_shows_the_fulfil(state: State) -> None:
    stored = transfer(state, fulfilment=FULFILMENT, extensions=PREPARE_LIST, fulfil_extensions=FULFIL_LIST)

    assert transfer_body(stored) == {
        "completedTimestamp": "2023-11-14T22:13:20.003Z",
        "transferState": "COMMITTED",
        "fulfilment": FULFILMENT,
        "extensionList": FULFIL_LIST,
    }


def test_fulfil_without_extensions_hides_the_prepare_s() -> None:
    body = transfer_body(transfer(State.COMMITTED, fulfilment=FULFILMENT, extensions=PREPARE_LIST))

    assert "extensionList" not in body


@pytest.mark.parametrize(
    ("extensions", "items"),
    [
        (None, [CAUSE]),
        (PREPARE_LIST, [PREPARE_EXTENSION, CAUSE]),
        ({"extension": [PREPARE_EXTENSION] * 15}, [PREPARE_EXTENSION] * 15 + [CAUSE]),
        ({"extension": [PREPARE_EXTENSION] * 16}, [PREPARE_EXTENSION] * 15 + [CAUSE]),
        ({"extension": "of another shape"}, [CAUSE]),
        (["of another shape"], [CAUSE]),
    ],
)
def test_aborted_transfer_shows_its_cause(extensions: object, items: list[object]) -> None:
    stored = transfer(State.ABORTED_ERROR, error=ERROR, extensions=extensions)

    assert transfer_body(stored) == {
        "completedTimestamp": "2023-11-14T22:13:20.003Z",
        "transferState": "ABORTED",
        "extensionList": {"extension": items},
    }


def test_cause_is_cut_to_what_the_specification_allows() -> None:
    body: Any = transfer_body(transfer(State.ABORTED_ERROR, error=ErrorInformation("5104", "x" * 128)))

    assert body["extensionList"]["extension"][0]["value"] == "5104: " + "x" * 122


def test_stored_extensions_are_not_changed_by_showing_them() -> None:
    extensions = {"extension": [PREPARE_EXTENSION]}

    transfer_body(transfer(State.ABORTED_ERROR, error=ERROR, extensions=extensions))

    assert extensions == PREPARE_LIST


def test_payer_is_sent_the_commit() -> None:
    assert committed_body(COMMITTED) == {
        "completedTimestamp": "2023-11-14T22:13:21.000+01:00",
        "transferState": "COMMITTED",
        "fulfilment": FULFILMENT,
        "extensionList": FULFIL_LIST,
    }


def test_payee_is_sent_the_commit_without_its_fulfilment() -> None:
    assert committed_patch_body(COMMITTED) == {
        "completedTimestamp": "2023-11-14T22:13:21.000+01:00",
        "transferState": "COMMITTED",
        "extensionList": FULFIL_LIST,
    }


def test_hub_says_when_it_committed_if_the_payee_did_not() -> None:
    body = committed_body(transfer(State.COMMITTED, fulfilment=FULFILMENT))

    assert body == {
        "completedTimestamp": "2023-11-14T22:13:20.003Z",
        "transferState": "COMMITTED",
        "fulfilment": FULFILMENT,
    }


def test_payee_is_sent_the_abort() -> None:
    bare = {"completedTimestamp": "2023-11-14T22:13:20.000Z", "transferState": "ABORTED"}

    assert bare == aborted_patch_body(RECEIVED_AT_MS)
    assert {**bare, "extensionList": {"extension": [CAUSE]}} == aborted_patch_body(RECEIVED_AT_MS, ERROR)
