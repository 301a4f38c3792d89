"""Fulfil, a row for each path: the payee's answer, the transfer it meets, and what comes of it."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from clearinghub.domain.errors import ErrorInformation
from clearinghub.domain.transfers.fulfil import (
    Aborted,
    AbortedInvalid,
    Action,
    Committed,
    FulfilOutcome,
    FulfilRequest,
    Ignored,
    Refused,
    decide_fulfil,
)
from clearinghub.domain.transfers.transfer import State, Transfer
from tests.unit.domain.samples import EXPIRES_AT_MS, FULFILMENT, NOW_MS, OTHER_FULFILMENT, RECEIVED_AT_MS, transfer

WINDOW = 7
EXTENSIONS = {"extension": [{"key": "receipt", "value": "17"}]}
PAYEE_ERROR = ErrorInformation("5104", "Payee rejected transaction", EXTENSIONS)

# `dest`: the FSPIOP-Destination; `lock`: the fulfilment; `used`: the hash that the transfer has of such a message;
# `at`: when, against the expiration; `kept`: does the outcome carry a row to store; `patch`: does its `reserve` say so.
TABLE = """
#state           action   source   dest      lock   used   at      outcome         code  kept  patch
# The ordinary ends.
RESERVED         commit   payeefsp payerfsp  good   -      before  Committed       -     yes   no
RESERVED         reserve  payeefsp payerfsp  good   -      before  Committed       -     yes   yes
RESERVED         commit   PayeeFSP PAYERfsp  good   -      before  Committed       -     yes   no
RESERVED         commit   payeefsp -         good   -      before  Committed       -     yes   no
RESERVED         abort    payeefsp payerfsp  -      -      before  Aborted         -     yes   -
RESERVED         reject   payeefsp payerfsp  -      -      before  Ignored         -     yes   -
# The wrong fulfilment, or none, ends it too, even late; but never a second time.
RESERVED         commit   payeefsp payerfsp  bad    -      before  AbortedInvalid  3100f yes   no
RESERVED         reserve  payeefsp payerfsp  bad    -      before  AbortedInvalid  3100f yes   yes
RESERVED         commit   payeefsp payerfsp  -      -      before  AbortedInvalid  3100f yes   no
RESERVED         commit   payeefsp payerfsp  bad    -      after   AbortedInvalid  3100f yes   no
EXPIRED_RESERVED commit   payeefsp payerfsp  bad    -      after   Refused         3100f yes   no
ABORTED_ERROR    reserve  payeefsp payerfsp  bad    -      before  Refused         3100f yes   yes
RECEIVED_FULFIL  commit   payeefsp payerfsp  bad    -      before  Refused         3100f yes   no
# The payee with the wrong destination ends it; nobody else can, and nothing that has ended moves.
RESERVED         commit   payeefsp otherfsp  good   -      before  AbortedInvalid  3100d yes   no
RESERVED         reserve  payeefsp otherfsp  good   -      before  AbortedInvalid  3100d yes   yes
RESERVED         abort    payeefsp otherfsp  -      -      before  AbortedInvalid  3100d yes   no
RESERVED         reject   payeefsp otherfsp  -      -      before  AbortedInvalid  3100d yes   no
COMMITTED        commit   payeefsp otherfsp  good   same   before  Refused         3100d no    no
COMMITTED        abort    payeefsp otherfsp  -      -      before  Refused         3100d no    no
ABORTED_ERROR    reserve  payeefsp otherfsp  good   -      before  Refused         3100d no    no
RECEIVED_FULFIL  commit   payeefsp otherfsp  good   -      before  Refused         3100d no    no
RESERVED         commit   stranger payerfsp  good   -      before  Refused         3100s no    no
RESERVED         abort    stranger payerfsp  -      -      before  Refused         3100s no    no
RESERVED         commit   stranger otherfsp  good   -      before  Refused         3100d no    no
RESERVED         reserve  stranger -         good   -      before  Refused         3100s no    no
RESERVED         abort    payerfsp payerfsp  -      -      before  Refused         3100s no    no
COMMITTED        commit   stranger payerfsp  good   same   before  Refused         3100s no    no
# Repeated: another message under the same ID, or the same one.
RESERVED         commit   payeefsp payerfsp  good   other  before  Refused         3106  no    no
RESERVED         abort    payeefsp payerfsp  -      other  before  Refused         3106  no    no
COMMITTED        reserve  payeefsp payerfsp  good   other  before  Refused         3106  no    no
ABORTED_ERROR    commit   payeefsp payerfsp  bad    other  before  Refused         3106  no    no
COMMITTED        commit   payeefsp payerfsp  good   same   before  Resent          -     -     no
COMMITTED        reserve  payeefsp payerfsp  good   same   before  Resent          -     -     yes
SETTLED          commit   payeefsp payerfsp  good   same   after   Resent          -     -     no
ABORTED_ERROR    abort    payeefsp payerfsp  -      same   before  Resent          -     -     no
EXPIRED_RESERVED reject   payeefsp payerfsp  -      same   after   Resent          -     -     no
RESERVED         reject   payeefsp payerfsp  -      same   before  Ignored         -     no    -
RESERVED         commit   payeefsp payerfsp  good   same   after   Ignored         -     no    -
RECEIVED_FULFIL  commit   payeefsp payerfsp  good   same   before  Ignored         -     no    -
# In no state for it.
RECEIVED_PREPARE commit   payeefsp payerfsp  good   -      before  Refused         3100n yes   no
RECEIVED_FULFIL  abort    payeefsp payerfsp  -      -      before  Refused         3100n yes   no
RESERVED_TIMEOUT commit   payeefsp payerfsp  good   -      after   Refused         3100n yes   no
EXPIRED_RESERVED reserve  payeefsp payerfsp  good   -      after   Refused         3100n yes   yes
EXPIRED_RESERVED reject   payeefsp payerfsp  -      -      after   Refused         3100n yes   no
INVALID          commit   payeefsp payerfsp  good   -      before  Refused         3100n yes   no
COMMITTED        abort    payeefsp payerfsp  -      -      before  Refused         3100n yes   no
SETTLED          abort    payeefsp payerfsp  -      -      before  Refused         3100n yes   no
# Too late.
RESERVED         commit   payeefsp payerfsp  good   -      at      Refused         3303  yes   no
RESERVED         commit   payeefsp payerfsp  good   -      after   Refused         3303  yes   no
RESERVED         reserve  payeefsp payerfsp  good   -      after   Refused         3303  yes   yes
RESERVED         abort    payeefsp payerfsp  -      -      after   Refused         3303  yes   no
RESERVED         reject   payeefsp payerfsp  -      -      after   Refused         3303  yes   no
"""
CASES = [line for line in TABLE.strip().splitlines() if not line.startswith("#")]
DESCRIPTIONS = {
    "3100f": "Generic validation error - invalid fulfilment",
    "3100d": "Generic validation error - fspiop-destination does not match payer fsp on the Fulfil callback response",
    "3100s": "Generic validation error - fspiop-source does not match payee fsp on the Fulfil callback response",
    "3100n": "Generic validation error - non-RESERVED transfer state",
    "3106": "Modified request",
    "3303": "Transfer expired",
}
LOCKS = {"good": FULFILMENT, "bad": OTHER_FULFILMENT, "-": None}
HASHES = {"same": "the-hash", "other": "another-hash", "-": None}
TIMES_MS = {"before": NOW_MS, "at": EXPIRES_AT_MS, "after": EXPIRES_AT_MS + 1}
ENDS = {Committed: State.COMMITTED, Aborted: State.ABORTED_ERROR, AbortedInvalid: State.ABORTED_ERROR}


def fulfil(action: Action = Action.COMMIT, **changes: Any) -> FulfilRequest:
    request = FulfilRequest(
        transfer_id="b51ec534-ee48-4575-b6a9-ead2955b8069",
        action=action,
        source="payeefsp",
        destination="payerfsp",
        fulfilment=FULFILMENT if action in (Action.COMMIT, Action.RESERVE) else None,
        completed_timestamp="2023-11-14T22:13:21.000+01:00",
        hash="the-hash",
        content_version="1.1",
        extensions=EXTENSIONS,
        error=PAYEE_ERROR if action is Action.ABORT else None,
    )
    return request._replace(**changes)


def decide(request: FulfilRequest, stored: Transfer | None, now_ms: int = NOW_MS) -> FulfilOutcome:
    return decide_fulfil(request, stored, WINDOW, now_ms)


@pytest.mark.parametrize("line", CASES)
def test_path(line: str) -> None:
    state, action, source, destination, lock, used, at, outcome_name, code, kept, patch = line.split()
    own_hash, other_hash = ("error_hash", "fulfil_hash") if action == "abort" else ("fulfil_hash", "error_hash")
    # The hash of the other kind of message must never matter, so it is always the one that would do harm.
    stored = transfer(State(state), **{own_hash: HASHES[used], other_hash: "the-hash"})
    addressed = {"source": source, "destination": None if destination == "-" else destination}

    outcome = decide(fulfil(Action(action), **addressed, fulfilment=LOCKS[lock]), stored, TIMES_MS[at])

    assert outcome_name == type(outcome).__name__
    if code != "-":
        assert isinstance(outcome, Refused | AbortedInvalid)
        assert (code[:4], DESCRIPTIONS[code]) == (outcome.rejection.code, outcome.rejection.description)
    if patch != "-":
        assert not isinstance(outcome, Aborted | Ignored)
        assert (patch == "yes") is outcome.reserve
    if kept != "-":
        assert (kept == "yes") is (outcome.transfer is not None)
    if type(outcome) in ENDS:
        assert outcome.transfer is not None
        assert ENDS[type(outcome)] is outcome.transfer.state
    elif outcome.transfer is not None and kept == "yes":
        assert transfer(State(state), fulfil_hash="the-hash", error_hash="the-hash") == outcome.transfer


@pytest.mark.parametrize("action", Action)
def test_unknown_transfer_is_not_found(action: Action) -> None:
    outcome = decide(fulfil(action), None)

    assert isinstance(outcome, Refused)
    assert (outcome.rejection.code, outcome.rejection.description) == (
        "2001",
        "Internal server error - transfer not found",
    )
    assert (outcome.transfer, outcome.reserve) == (None, False)


@pytest.mark.parametrize("kind", ["funds-in", "funds-out"])
@pytest.mark.parametrize("action", Action)
def test_movement_of_funds_cannot_be_ended_by_a_message(action: Action, kind: str) -> None:
    stored = transfer(State.RESERVED, kind=kind, payer="payeefsp")

    outcome = decide(fulfil(action, destination="payeefsp"), stored)

    assert isinstance(outcome, Refused)
    assert (outcome.rejection.code, outcome.transfer) == ("2001", None)


@pytest.mark.parametrize("stored", [None, transfer(State.RESERVED), transfer(State.COMMITTED)])
def test_reserved_in_version_1_0_is_dropped(stored: Transfer | None) -> None:
    assert Ignored(None) == decide(fulfil(Action.RESERVE, content_version="1.0"), stored)


def test_version_1_0_may_commit() -> None:
    assert isinstance(decide(fulfil(Action.COMMIT, content_version="1.0"), transfer()), Committed)


@pytest.mark.parametrize("action", [Action.COMMIT, Action.RESERVE])
def test_commit_keeps_what_the_payee_said(action: Action) -> None:
    stored = transfer()

    outcome = decide(fulfil(action), stored)

    expected = replace(
        stored,
        history=(*stored.history, (State.RECEIVED_FULFIL, NOW_MS), (State.COMMITTED, NOW_MS)),
        fulfil_hash="the-hash",
        fulfilment=FULFILMENT,
        completed_timestamp="2023-11-14T22:13:21.000+01:00",
        window=WINDOW,
        fulfil_extensions=EXTENSIONS,
    )
    assert Committed(expected, reserve=action is Action.RESERVE) == outcome


def test_commit_needs_no_completed_timestamp() -> None:
    outcome = decide(fulfil(completed_timestamp=None), transfer())

    assert isinstance(outcome, Committed)
    assert outcome.transfer.completed_timestamp is None


def test_commit_in_the_last_millisecond_is_in_time() -> None:
    assert isinstance(decide(fulfil(), transfer(), EXPIRES_AT_MS - 1), Committed)


def test_abort_by_a_bad_fulfilment_keeps_the_hub_s_error_and_not_the_fulfilment() -> None:
    stored = transfer()

    outcome = decide(fulfil(fulfilment=OTHER_FULFILMENT), stored)

    expected = replace(
        stored,
        history=(*stored.history, (State.RECEIVED_ERROR, NOW_MS), (State.ABORTED_ERROR, NOW_MS)),
        fulfil_hash="the-hash",
        error=ErrorInformation("3100", DESCRIPTIONS["3100f"]),
    )
    assert isinstance(outcome, AbortedInvalid)
    assert expected == outcome.transfer


def test_abort_by_a_wrong_destination_uses_no_message_up() -> None:
    outcome = decide(fulfil(destination="otherfsp"), transfer())

    assert isinstance(outcome, AbortedInvalid)
    assert (outcome.transfer.fulfil_hash, outcome.transfer.error_hash) == (None, None)
    assert ErrorInformation("3100", DESCRIPTIONS["3100d"]) == outcome.transfer.error


@pytest.mark.parametrize("code", ["5104", "5002", "3100", "6001"])
def test_abort_keeps_the_payee_s_error(code: str) -> None:
    error = ErrorInformation(code, "as the payee put it", EXTENSIONS)
    stored = transfer()

    outcome = decide(fulfil(Action.ABORT, error=error), stored)

    expected = replace(
        stored,
        history=(*stored.history, (State.RECEIVED_ERROR, NOW_MS), (State.ABORTED_ERROR, NOW_MS)),
        error_hash="the-hash",
        error=error,
    )
    assert Aborted(expected, error_replaced=False) == outcome


@pytest.mark.parametrize("error", [ErrorInformation("9999", "of no list", EXTENSIONS), None])
def test_abort_with_an_undefined_code_still_aborts(error: ErrorInformation | None) -> None:
    outcome = decide(fulfil(Action.ABORT, error=error), transfer())

    replaced = ErrorInformation("3100", "Generic validation error - API specification undefined errorCode")
    assert isinstance(outcome, Aborted)
    assert (State.ABORTED_ERROR, replaced) == (outcome.transfer.state, outcome.transfer.error)
    assert outcome.error_replaced


def test_who_has_rejected_can_still_abort_but_no_longer_commit() -> None:
    rejected = decide(fulfil(Action.REJECT, hash="reject-hash"), transfer())
    assert isinstance(rejected, Ignored)

    commit = decide(fulfil(Action.COMMIT), rejected.transfer)
    abort = decide(fulfil(Action.ABORT), rejected.transfer)

    assert isinstance(commit, Refused)
    assert commit.rejection.code == "3106"
    assert isinstance(abort, Aborted)


def test_late_fulfil_leaves_the_time_of_the_last_change() -> None:
    outcome = decide(fulfil(), transfer(), EXPIRES_AT_MS)

    assert isinstance(outcome, Refused)
    assert outcome.transfer is not None
    assert outcome.transfer.changed_at_ms == RECEIVED_AT_MS + 1
