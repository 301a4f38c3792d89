"""Signatures as settings: off by default, and clear about what is missing."""

from __future__ import annotations

from pathlib import Path

import pytest

from clearinghub.config import Settings
from clearinghub.security.signature import Fault, signer_of, verifier_of
from clearinghub.tools.cli import main
from clearinghub.tools.command_line import EXIT_WRONG_USAGE
from tests.unit.security.samples import pem_of, rsa_key


def test_off_by_default() -> None:
    settings = Settings()

    assert (None, None) == (signer_of(settings), verifier_of(settings))


@pytest.mark.parametrize("value", [None, ""])
def test_a_switch_needs_its_path(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], value: str | None
) -> None:
    monkeypatch.setenv("CLEARINGHUB_JWS_SIGN", "true")
    if value is not None:
        monkeypatch.setenv("CLEARINGHUB_JWS_PRIVATE_KEY_FILE", value)

    assert EXIT_WRONG_USAGE == main(["ingress"])
    assert "setting jws_private_key_file: Value error, is needed when jws_sign is on" in capsys.readouterr().err


@pytest.mark.parametrize("folder", [None, ""])
def test_signatures_are_checked_without_a_folder_of_keys(folder: str | None) -> None:
    """The keys are the participants' credentials; who has none is refused."""
    verifier = verifier_of(Settings(jws_validate=True, jws_keys_dir=folder))

    assert verifier is not None
    fault = verifier.fault("POST", "/transfers", {"fspiop-source": "payerfsp"}, b"{}")
    assert fault == Fault("no public key for FSPIOP-Source")


def test_a_key_that_cannot_be_used_is_said_before_anything_starts(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "payerfsp.pem").write_bytes(pem_of(rsa_key(bits=1024)))
    monkeypatch.setenv("CLEARINGHUB_RUN_DIR", str(tmp_path / "run"))
    for port in ("FSPIOP", "ADMIN", "LEDGER", "CALLBACKS"):
        monkeypatch.setenv(f"CLEARINGHUB_{port}_PORT", "0")
    monkeypatch.setenv("CLEARINGHUB_JWS_VALIDATE", "true")
    monkeypatch.setenv("CLEARINGHUB_JWS_KEYS_DIR", str(tmp_path))

    assert EXIT_WRONG_USAGE == main(["all"])
    said = capsys.readouterr().err
    assert f"{tmp_path}/payerfsp.pem: RSA key of 1024 bits, at least 2048 are needed" in said
    assert "broker" not in said
