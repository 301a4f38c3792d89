"""How clients connect to the broker: which settings are accepted, and what the clients get."""

from __future__ import annotations

import ast
import ssl
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from clearinghub.config import Settings
from clearinghub.kafka.access import KafkaAccessError, kafka_access
from clearinghub.tools.cli import main
from clearinghub.tools.command_line import EXIT_WRONG_USAGE

ROOT = Path(__file__).parents[3]
CLIENTS = {
    "AIOKafkaConsumer",
    "AIOKafkaProducer",
    "AIOKafkaAdminClient",
    "AIOKafkaClient",
    "make_consumer",
    "_make_consumer",
    "make_producer",
}
SASL: dict[str, Any] = {
    "kafka_bootstrap": "broker:9093",
    "kafka_security_protocol": "SASL_SSL",
    "kafka_sasl_username": "hub",
    "kafka_sasl_password": "hidden-word",
}


def test_plaintext_needs_nothing() -> None:
    assert {} == kafka_access(Settings())


@pytest.mark.parametrize("ending", ["", "\n", "\r\n"])
def test_the_password_may_be_in_a_file(tmp_path: Path, ending: str) -> None:
    path = tmp_path / "password"
    path.write_bytes(b" hidden word " + ending.encode())

    access = kafka_access(Settings(**{**SASL, "kafka_sasl_password": "", "kafka_sasl_password_file": path}))

    assert " hidden word " == access["sasl_plain_password"]


def test_a_password_in_a_file_that_cannot_be_read_is_said_without_it(tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match=r"kafka_sasl_password_file .*missing cannot be read"):
        Settings(**{**SASL, "kafka_sasl_password": "", "kafka_sasl_password_file": tmp_path / "missing"})
    with pytest.raises(ValidationError, match="one of them is enough") as raised:
        Settings(**SASL, kafka_sasl_password_file=tmp_path / "missing")
    assert "hidden-word" not in str(raised.value)


def test_sasl_over_tls() -> None:
    access = kafka_access(Settings(**SASL, kafka_sasl_mechanism="SCRAM-SHA-512"))

    context = access.pop("ssl_context")
    assert {
        "security_protocol": "SASL_SSL",
        "sasl_mechanism": "SCRAM-SHA-512",
        "sasl_plain_username": "hub",
        "sasl_plain_password": "hidden-word",
    } == access
    assert (True, ssl.CERT_REQUIRED) == (context.check_hostname, context.verify_mode)


def test_tls_alone_has_no_name() -> None:
    access = kafka_access(Settings(kafka_bootstrap="broker:9093", kafka_security_protocol="SSL", kafka_ca_file=""))

    assert {"security_protocol", "ssl_context"} == set(access)


def test_the_context_is_made_once() -> None:
    first, second = (kafka_access(Settings(**SASL))["ssl_context"] for _ in range(2))

    assert first is second


@pytest.mark.parametrize("name", ["kafka_ca_file", "kafka_cert_file"])
def test_a_file_that_is_none_is_named(name: str, tmp_path: Path) -> None:
    (tmp_path / "x.pem").write_text("no certificate")

    for path in (tmp_path / "x.pem", tmp_path / "missing.pem"):
        with pytest.raises(KafkaAccessError, match=f"{name} {path}"):
            kafka_access(Settings(**SASL | {name: path}))


@pytest.mark.parametrize(
    ("settings", "name", "problem"),
    [
        ({**SASL, "kafka_bootstrap": ""}, "kafka_security_protocol", "needs KAFKA_BOOTSTRAP"),
        ({**SASL, "kafka_security_protocol": "TLS"}, "kafka_security_protocol", "PLAINTEXT"),
        ({**SASL, "kafka_sasl_mechanism": "GSSAPI"}, "kafka_sasl_mechanism", "SCRAM-SHA-256"),
        ({**SASL, "kafka_sasl_username": ""}, "kafka_sasl_username", "is needed with SASL_SSL"),
        ({**SASL, "kafka_sasl_password": ""}, "kafka_sasl_password", "is needed with SASL_SSL"),
        ({**SASL, "kafka_security_protocol": "SSL"}, "kafka_sasl_password", "means nothing with SSL"),
        ({"kafka_sasl_password": "hidden-word"}, "kafka_sasl_password", "means nothing with PLAINTEXT"),
        ({"kafka_ca_file": "ca.pem"}, "kafka_ca_file", "means nothing with PLAINTEXT"),
        (
            {**SASL, "kafka_security_protocol": "SASL_PLAINTEXT", "kafka_cert_file": "c.pem"},
            "kafka_cert_file",
            "means nothing with SASL_PLAINTEXT",
        ),
        ({**SASL, "kafka_key_file": "key.pem"}, "kafka_key_file", "needs kafka_cert_file"),
    ],
)
def test_settings_that_do_not_fit_are_refused(settings: dict[str, Any], name: str, problem: str) -> None:
    with pytest.raises(ValidationError) as refused:
        Settings(**settings)

    problems = {one["loc"][0]: one["msg"] for one in refused.value.errors()}
    assert problem in problems[name]
    assert "hidden-word" not in str(refused.value)


def test_no_text_of_the_settings_has_the_password() -> None:
    settings = Settings(**SASL)

    assert "hidden-word" not in f"{settings!r} {settings} {settings.model_dump()} {settings.model_dump_json()}"


def test_nor_has_the_refusal(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("CLEARINGHUB_KAFKA_SASL_PASSWORD", "hidden-word")

    assert EXIT_WRONG_USAGE == main(["topics"])

    sentence = "".join(capsys.readouterr())
    assert "kafka_sasl_password" in sentence
    assert "hidden-word" not in sentence


def test_no_client_is_made_without() -> None:
    made = [
        (str(path.relative_to(ROOT)), call)
        for package in ("agents", "clearinghub", "tables", "web")
        for path in (ROOT / package).rglob("*.py")
        for call in ast.walk(ast.parse(path.read_text()))
        if isinstance(call, ast.Call) and ast.unparse(call.func).rpartition(".")[2] in CLIENTS
    ]
    without = {
        f"{path}:{call.lineno}"
        for path, call in made
        if not {"config.access", "access", "kafka_access(settings)", "kafka_access(self._settings)"}
        & {ast.unparse(keyword.value) for keyword in call.keywords if keyword.arg is None}
    }

    assert len(made) >= 20  # it finds them
    assert set() == without
