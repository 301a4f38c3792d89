"""Signatures as settings: off by default, and clear about what is missing."""

from __future__ import annotations

from pathlib import Path

import pytest

from clearinghub.config import Settings
from clearinghub.security.signature import signer_of, verifier_of
from clearinghub.tools.cli import main
from clearinghub.tools.command_line import EXIT_WRONG_USAGE
from tests.unit.security.samples import pem_of, rsa_key


def test_off_by_default() -> None:
    settings = Settings()

    assert (None, None) == (signer_of(settings), verifier_of(settings))


@pytest.mark.parametrize(("switch", "needed"), [("JWS_VALIDATE", "jws_keys_dir"), ("JWS_SIGN", "jws_private_key_file")])
@pytest.mark.parametrize("value", [None, ""])
def test_a_switch_needs_its_path(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], switch: str, needed: str, value: str | None
) -> None:
    monkeypatch.setenv(f"CLEARINGHUB_{switch}", "true")
    if value is not None:
        monkeypatch.setenv(f"CLEARINGHUB_{needed.upper()}", value)

    assert EXIT_WRONG_USAGE == main(["ingress"])
    assert f"setting {needed}: Value error, is needed when {switch.lower()} is on" in capsys.readouterr().err


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
