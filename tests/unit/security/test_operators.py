"""Operators by their keys: those in the folder of keys steer a new hub, until one has been appointed to appoint."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from msgspec.structs import replace

from clearinghub.domain.participants.participant import Operator
from clearinghub.security.key_files import KeyFileError
from clearinghub.security.operators import (
    CERTIFICATE_CHARACTERS_MAX,
    OperatorCertificateError,
    OperatorDirectory,
    first_operators,
    operator_key,
)
from clearinghub.security.secret_folder import SecretFolder
from tests.fakes import FakeParticipants


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    SecretFolder(tmp_path / "secrets").create("Hub", ["localhost"], ["alice", "bob"], datetime.now(UTC))
    return tmp_path / "secrets"


def test_the_folder_has_the_first_operators(folder: Path) -> None:
    found = first_operators(folder)

    assert [("alice", ("security",)), ("bob", ("security",))] == [(one.name, one.roles) for one in found]
    assert found[0].key == operator_key((folder / "operators/alice.pem").read_text(), "alice")
    assert found[0].key != found[1].key


def test_a_file_under_another_name_is_refused(folder: Path) -> None:
    (folder / "operators/alice.pem").rename(folder / "operators/carol.pem")

    with pytest.raises(KeyFileError, match=r"carol\.pem: not for urn:clearinghub:operator:carol"):
        first_operators(folder)


@pytest.mark.parametrize(
    ("place", "fault"),
    [
        ("operators/alice.key", "no certificate in PEM"),
        ("roles/ingress.pem", "not for urn:clearinghub:operator:alice"),
        ("public/internal-ca.pem", "not for urn:clearinghub:operator:alice"),
        ("operators/bob.pem", "not for urn:clearinghub:operator:alice"),
    ],
)
def test_what_no_operators_certificate_is(folder: Path, place: str, fault: str) -> None:
    with pytest.raises(OperatorCertificateError) as refused:
        operator_key((folder / place).read_text(), "alice")

    assert fault == str(refused.value)


def test_a_certificate_has_a_length() -> None:
    with pytest.raises(OperatorCertificateError, match="longer than"):
        operator_key("x" * (CERTIFICATE_CHARACTERS_MAX + 1), "alice")


def test_the_first_operators_count_until_somebody_else_may_appoint() -> None:
    participants = FakeParticipants.of("Hub")
    hub = participants.by_name["Hub"]
    first = [Operator("alice", ("security",), "a", 0, "")]
    directory = OperatorDirectory(participants, "Hub", first)

    assert first[0] == directory.of_key("a")
    assert directory.of_key("other") is None

    treasury = Operator("alice", ("treasury",), "a", 1, "bob")
    participants.by_name["Hub"] = replace(hub, operators=(treasury,))
    assert ("security",) == (directory.of_key("a") or treasury).roles, "nobody else may appoint: the folder counts"

    participants.by_name["Hub"] = replace(hub, operators=(treasury, Operator("bob", ("security",), "b", 1, "")))
    assert treasury == directory.of_key("a")
    assert "bob" == directory.name_of("b")

    participants.by_name["Hub"] = replace(hub, operators=(Operator("bob", ("security",), "b", 1, ""),))
    assert directory.name_of("a") is None, "removed, and the folder means nothing any more"


def test_before_the_hubs_first_row_the_folder_counts() -> None:
    directory = OperatorDirectory(FakeParticipants(), "Hub", [Operator("alice", ("security",), "a", 0, "")])

    assert "alice" == directory.name_of("a")
