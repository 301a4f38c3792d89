"""Commands about credentials on one partition in memory, and the notices before credentials end."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from agents.participants.credential_ends import ROWS_AT_ONCE, VISITED_AGAIN_MS, make_credential_punctuator
from clearinghub.domain.participants.credential import (
    DAY_MS,
    Credential,
    CredentialForm,
    Credentials,
    CredentialState,
    CredentialUse,
)
from clearinghub.domain.participants.participant import Participant
from tables.participants import PARTICIPANTS
from tests.fakes import MemoryView, fields_of
from tests.unit.agents.commands import NOW_MS, REGISTER, Ledger

END_MS = NOW_MS + 365 * DAY_MS
NEW: dict[str, Any] = {
    "credential_id": "key-1",
    "use": "jws",
    "form": "certificate",
    "pem": "a certificate",
    "not_before_ms": NOW_MS - DAY_MS,
    "not_after_ms": END_MS,
}


@pytest.fixture
def ledger() -> Ledger:
    ledger = Ledger()
    ledger.done("register-participant", **REGISTER)
    return ledger


def stored(ledger: Ledger) -> Participant:
    return ledger.view.rows(PARTICIPANTS)["dfsp"]


def test_a_credential_lives_from_its_registration_to_its_end(ledger: Ledger) -> None:
    versions = [stored(ledger).version]
    for name, args in (
        ("register-credential", {"credential": NEW}),
        ("activate-credential", {"credential_id": "key-1", "reason": "checked"}),
        ("retire-credential", {"credential_id": "key-1", "until_ms": NOW_MS + DAY_MS, "reason": "replaced"}),
        ("revoke-credential", {"credential_id": "key-1", "reason": "stolen"}),
    ):
        result = ledger.done(name, **args)
        row = PARTICIPANTS.decode(json.dumps(result["participant"]).encode())
        assert [row] == ledger.published() == [stored(ledger)]
        versions.append(row.version)

    assert versions == list(range(versions[0], versions[0] + 5))
    [one] = stored(ledger).credentials
    assert (CredentialState.REVOKED, "stolen", "", NOW_MS) == (one.state, one.reason, one.pem, one.registered_at_ms)


def test_a_repeated_command_publishes_nothing(ledger: Ledger) -> None:
    ledger.done("register-credential", credential=NEW)
    before = stored(ledger)

    ledger.done("register-credential", credential=NEW)

    assert [] == ledger.published()
    assert before == stored(ledger)


def test_refusals(ledger: Ledger) -> None:
    change = {"credential_id": "key-1", "reason": "r"}
    assert "3200" == ledger.refused("activate-credential", **change)["code"]
    assert "3200" == ledger.refused("activate-credential", "nobody", **change)["code"]
    assert "3200" == ledger.refused("register-credential", "nobody", credential=NEW)["code"]
    ledger.done("register-credential", credential=NEW)
    assert {
        "code": "3100",
        "description": "Generic validation error - the key is registered, or was; make a new one",
        "status": 400,
    } == ledger.refused("register-credential", credential={**NEW, "use": "tls-client"})


def test_the_hub_may_have_credentials_too() -> None:
    ledger = Ledger()

    ledger.done("register-credential", "Hub", credential=NEW)

    assert ["key-1"] == [one.credential_id for one in ledger.view.rows(PARTICIPANTS)["Hub"].credentials]


def test_other_changes_of_the_participant_keep_its_credentials(ledger: Ledger) -> None:
    ledger.done("register-credential", credential=NEW)

    ledger.done("set-active", active=False)
    ledger.done("set-endpoint", endpoint_type="ALARM_NOTIFICATION_URL", value="http://a")

    assert 1 == len(stored(ledger).credentials)


def credential(name: str, **changes: Any) -> Credential:
    usual = Credential(name, CredentialUse.JWS, CredentialForm.CERTIFICATE, "pem", NOW_MS, state=CredentialState.ACTIVE)
    return msgspec.structs.replace(usual, not_after_ms=END_MS, **changes)


def view_of(*credentials: Credential, names: int = 1, **endpoints: str) -> MemoryView:
    view = MemoryView()
    for number in range(names):
        name = f"dfsp{number:03}"
        row = Participant(number, name, True, 0, version=5, credentials=credentials, endpoints=endpoints)
        view.put(PARTICIPANTS, name, row)
    return view


def credentials_of(view: MemoryView, name: str = "dfsp000") -> Credentials:
    return view.rows(PARTICIPANTS)[name].credentials


def test_a_notice_is_an_event_and_is_noted_in_the_row() -> None:
    view = view_of(credential("a"), credential("b", state=CredentialState.PENDING))
    punctuate = make_credential_punctuator("Hub")

    punctuate(view, END_MS - 13 * DAY_MS)

    [event] = view.on("events")
    assert "dfsp000" == event.key
    assert {
        "v": 1,
        "event": "credential-ends",
        "participant": "dfsp000",
        "credential": "a",
        "use": "jws",
        "days": 14,
        "daysLeft": 13,
        "ends": "2024-11-13T22:13:20.000Z",
        "at": "2024-10-31T22:13:20.000Z",
    } == json.loads(event.value)
    assert [] == view.on("notification"), "it has no URL for alarms"
    [published] = view.on("participants")
    row = PARTICIPANTS.decode(published.value)
    assert (6, [14, None]) == (row.version, [one.noticed_days for one in row.credentials])
    assert row == view.rows(PARTICIPANTS)["dfsp000"]


def test_a_participant_with_an_alarm_url_is_notified_too() -> None:
    view = view_of(credential("a"), ALARM_NOTIFICATION_URL="http://a")

    make_credential_punctuator("Hub")(view, END_MS - 6 * DAY_MS)

    [event], [callback] = view.on("events"), view.on("notification")
    header, body = fields_of(callback.value)
    assert ("dfsp000", "dfsp000", "Hub", "credential-ends-a-7") == (
        callback.key,
        header["receiver"],
        header["source"],
        header["notification_id"],
    )
    assert json.loads(event.value) == {"v": 1, **json.loads(body)}


def test_each_notice_is_written_once() -> None:
    view, punctuate = view_of(credential("a")), make_credential_punctuator("Hub")

    for hour in range(32 * 24):
        punctuate(view, END_MS - 31 * DAY_MS + hour * 3_600_000)
        make_credential_punctuator("Hub")(view, END_MS - 31 * DAY_MS + hour * 3_600_000)  # as after a restart

    assert [30, 14, 7, 1] == [json.loads(one.value)["days"] for one in view.on("events")]
    assert 5 + 4 == view.rows(PARTICIPANTS)["dfsp000"].version


def test_many_participants_are_visited_in_steps() -> None:
    count = 2 * ROWS_AT_ONCE + 1
    view, punctuate = view_of(credential("a"), names=count), make_credential_punctuator("Hub")
    at_ms = END_MS - DAY_MS

    written = []
    for second in range(4):
        punctuate(view, at_ms + second * 1_000)
        written.append(len(view.on("events")))

    assert [ROWS_AT_ONCE, 2 * ROWS_AT_ONCE, count, count] == written


def test_between_two_visits_nothing_is_read() -> None:
    view, punctuate = view_of(), make_credential_punctuator("Hub")
    at_ms = END_MS - DAY_MS
    punctuate(view, at_ms)
    view.put(PARTICIPANTS, "late", Participant(9, "late", True, 0, credentials=(credential("z"),)))

    punctuate(view, at_ms + VISITED_AGAIN_MS - 1)
    assert [] == view.on("events")
    punctuate(view, at_ms + VISITED_AGAIN_MS)
    assert ["late"] == [one.key for one in view.on("events")]
