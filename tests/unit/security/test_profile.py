"""The profile of a hub: what it requires, and that everything wrong with it is said at once."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from clearinghub.config import Settings
from clearinghub.security.profile import ProfileError, is_loopback, profile, ready_profile, rules
from clearinghub.security.secret_folder import SecretFolder
from clearinghub.security.signature import verifier_of
from clearinghub.tools.cli import main
from clearinghub.tools.command_line import EXIT_FAILED, EXIT_OK, EXIT_WRONG_USAGE

NOW = datetime.now(UTC)
FULL: dict[str, Any] = {"security": "full", "secure_dir": Path("secrets"), "jws_keys_dir": Path("keys")}
GATEWAY: dict[str, Any] = {
    **FULL,
    "security": "gateway",
    "gateway_identity": "x-client-id",
    "gateway_credentials": Path("gateway.pem"),
}


def faults_of(**settings: Any) -> list[str]:
    try:
        profile(Settings(**settings))
    except ProfileError as error:
        return error.faults
    return []


def begins(*beginnings: str) -> Callable[[list[str]], bool]:
    return lambda faults: len(faults) == len(beginnings) and all(map(str.startswith, faults, beginnings))


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "[::1]", "127.1.2.3"])
def test_this_machine_alone_needs_no_consent(host: str) -> None:
    assert is_loopback(host)
    assert [] == faults_of(bind_host=host)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.7", "hub.example", "", "::ffff:10.0.0.7", "localhost.evil"])
def test_an_open_hub_on_a_network_needs_consent(host: str) -> None:
    assert begins(f"BIND_HOST={host} serves others")(faults_of(bind_host=host))
    assert [] == faults_of(bind_host=host, open_on_network=True)


@pytest.mark.parametrize("settings", [FULL, GATEWAY])
def test_a_secure_hub_may_be_on_a_network(settings: dict[str, Any]) -> None:
    assert [] == faults_of(**settings, bind_host="0.0.0.0")


def test_the_default_is_open_and_requires_nothing() -> None:
    required = profile(Settings())

    assert not required.is_secure
    assert (None, False, None) == (required.listener, required.validates_signatures, required.signing_key)
    assert not required.guards_egress


def test_full_requires_certificates_of_the_scheme_and_signatures() -> None:
    required = profile(Settings(**FULL))

    assert required.listener is not None
    assert Path("secrets/public/scheme-ca.pem") == required.listener.authorities
    assert Path("secrets/hub/server.key") == required.listener.key
    assert required.validates_signatures
    assert (Path("keys"), Path("secrets/hub/jws.key")) == (required.keys_dir, required.signing_key)
    assert (True, None) == (required.guards_egress, required.identity_header)


def test_a_gateway_requires_its_own_certificates() -> None:
    required = profile(Settings(**GATEWAY))

    assert required.listener is not None
    assert Path("gateway.pem") == required.listener.authorities
    assert required.identity_header == "x-client-id"


def test_signatures_are_checked_also_without_a_folder_of_keys() -> None:
    assert verifier_of(Settings(**FULL | {"jws_keys_dir": None})) is not None


@pytest.mark.parametrize(
    ("settings", "fault"),
    [
        (FULL | {"secure_dir": None}, "SECURITY=full needs SECURE_DIR"),
        (FULL | {"open_on_network": True}, "OPEN_ON_NETWORK=true contradicts SECURITY=full"),
        (FULL | {"jws_validate": False}, "JWS_VALIDATE=false contradicts SECURITY=full"),
        (FULL | {"jws_sign": False}, "JWS_SIGN=false contradicts SECURITY=full"),
        (FULL | {"jws_date_skew_s": 0}, "JWS_DATE_SKEW_S=0 contradicts SECURITY=full"),
        (FULL | {"gateway_identity": "x-client-id"}, "GATEWAY_IDENTITY contradicts SECURITY=full"),
        (FULL | {"gateway_credentials": Path("g.pem")}, "GATEWAY_CREDENTIALS contradicts SECURITY=full"),
        (
            FULL | {"kafka_bootstrap": "127.0.0.1:9092,kafka:9092"},
            "KAFKA_SECURITY_PROTOCOL=PLAINTEXT reaches broker kafka",
        ),
        (GATEWAY | {"gateway_identity": None}, "SECURITY=gateway needs GATEWAY_IDENTITY"),
        (GATEWAY | {"gateway_credentials": None}, "SECURITY=gateway needs GATEWAY_CREDENTIALS"),
        ({"gateway_identity": "x-client-id"}, "GATEWAY_IDENTITY means nothing with SECURITY=open"),
        ({"tls_min": "1.2"}, "TLS_MIN means nothing with SECURITY=open"),
    ],
)
def test_a_contradiction_is_named(settings: dict[str, Any], fault: str) -> None:
    assert begins(fault)(faults_of(**settings))


def test_all_faults_are_said_at_once_with_exit_code_2(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in {"SECURITY": "gateway", "OPEN_ON_NETWORK": "true", "JWS_SIGN": "false"}.items():
        monkeypatch.setenv(f"CLEARINGHUB_{name}", value)

    assert EXIT_WRONG_USAGE == main(["ingress"])
    said = capsys.readouterr().err
    for name in (
        "SECURE_DIR",
        "OPEN_ON_NETWORK",
        "JWS_SIGN",
        "GATEWAY_IDENTITY",
        "GATEWAY_CREDENTIALS",
    ):
        assert name in said


def test_no_role_starts_open_on_a_network(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("CLEARINGHUB_BIND_HOST", "0.0.0.0")

    for role in ("ingress", "ledger", "callbacks", "all"):
        assert EXIT_WRONG_USAGE == main([role])
        assert "OPEN_ON_NETWORK=true" in capsys.readouterr().err


class TestFiles:
    @pytest.fixture
    def settings(self, tmp_path: Path) -> Settings:
        folder = tmp_path / "secrets"
        SecretFolder(folder).create("Hub", ["hub.example"], ["alice", "bob"], NOW)
        return Settings(security="full", secure_dir=folder, jws_keys_dir=tmp_path)

    @pytest.mark.parametrize("role", ["ingress", "ledger", "callbacks", "all"])
    def test_a_new_scheme_has_all_that_a_role_needs(self, settings: Settings, role: str) -> None:
        assert ready_profile(settings, role, NOW).is_secure

    @pytest.mark.parametrize(
        ("name", "roles"),
        [
            ("hub/server.pem", {"ingress", "all"}),
            ("hub/server.key", {"ingress", "all"}),
            ("public/scheme-ca.pem", {"ingress", "callbacks", "all"}),
            ("hub/client.pem", {"callbacks", "all"}),
            ("hub/client.key", {"callbacks", "all"}),
            ("hub/jws.key", {"callbacks", "all"}),
        ],
    )
    def test_a_role_says_which_of_its_files_are_missing(self, settings: Settings, name: str, roles: set[str]) -> None:
        assert settings.secure_dir is not None
        (settings.secure_dir / name).unlink()

        for role in ("ingress", "ledger", "callbacks", "all"):
            if role in roles:
                with pytest.raises(ProfileError, match=f"{name} is missing"):
                    ready_profile(settings, role, NOW)
            else:
                ready_profile(settings, role, NOW)

    def test_a_key_that_every_user_may_read_is_refused(self, settings: Settings) -> None:
        assert settings.secure_dir is not None
        for name in ("server.key", "client.key", "jws.key"):
            (settings.secure_dir / "hub" / name).chmod(0o644)

        with pytest.raises(ProfileError) as raised:
            ready_profile(settings, "all", NOW)
        assert [f"{name} has mode 644" for name in ("server.key", "client.key", "jws.key")] == [
            fault.partition(":")[0].rpartition("/")[2] for fault in raised.value.faults
        ]

    def test_a_certificate_that_has_ended_is_refused(self, settings: Settings) -> None:
        with pytest.raises(ProfileError, match=r"hub/server.pem has ended on .*docs/keys.md"):
            ready_profile(settings, "ingress", NOW + timedelta(days=366))


def states(**settings: Any) -> dict[str, str]:
    return {rule.setting: rule.state for rule in rules(Settings(**settings))}


def test_rules_tell_what_is_missing_and_what_is_weak() -> None:
    assert {"SECURITY": "weak"} == states()
    assert {"SECURITY": "ok"} == states(**FULL)
    assert {"SECURITY": "missing"} == states(**FULL | {"secure_dir": None})
    assert {"SECURITY": "ok", "GATEWAY_IDENTITY": "weak"} == states(**GATEWAY)
    assert {"SECURITY": "ok"} == states(**GATEWAY | {"gateway_identity": "x-client-cert"})
    weak = {"tls_min": "1.2", "jws_date_skew_s": 3_600}
    assert {"SECURITY": "ok", "TLS_MIN": "weak", "JWS_DATE_SKEW_S": "weak"} == states(**FULL, **weak)


def test_check_says_what_the_settings_lack(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    folder = tmp_path / "secrets"
    SecretFolder(folder).create("Hub", ["hub.example"], ["alice", "bob"], NOW)

    assert EXIT_OK == main(["secure", "check", str(folder)])
    assert "weak     SECURITY                 open: whoever reaches" in capsys.readouterr().out
    monkeypatch.setenv("CLEARINGHUB_SECURITY", "full")
    assert EXIT_FAILED == main(["secure", "check", str(folder)])
    assert "missing  SECURITY                 SECURITY=full needs SECURE_DIR" in capsys.readouterr().out
