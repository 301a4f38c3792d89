"""A listener's files, and what is said of handshakes that fail. Handshakes themselves are in tests/web/tls."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime
from pathlib import Path

import pytest
from prometheus_client import REGISTRY
from structlog.testing import capture_logs

from clearinghub.security.key_files import KeyFileError
from clearinghub.security.listener_tls import (
    ADDRESSES_MAX,
    LOG_INTERVAL_S,
    HandshakeFailures,
    ListenerTls,
    failure_reason,
)
from clearinghub.security.profile import ListenerFiles
from clearinghub.security.secret_folder import SecretFolder


@pytest.fixture
def files(tmp_path: Path) -> ListenerFiles:
    folder = tmp_path / "secrets"
    SecretFolder(folder).create("Hub", ["localhost"], ["alice", "bob"], datetime.now(UTC))
    return ListenerFiles(folder / "hub/server.pem", folder / "hub/server.key", folder / "public/scheme-ca.pem")


@pytest.mark.parametrize("which", ["certificate", "key", "authorities"])
@pytest.mark.parametrize("content", [None, "nothing"])
def test_a_file_that_cannot_be_used_is_named_at_the_start(
    files: ListenerFiles, which: str, content: str | None
) -> None:
    path: Path = getattr(files, which)
    path.unlink()
    if content is not None:
        path.write_text(content)

    with pytest.raises(KeyFileError, match=str(path)):
        ListenerTls(files)


def test_the_context_asks_every_client_for_a_certificate(files: ListenerFiles) -> None:
    context = ListenerTls(files).context

    assert (ssl.CERT_REQUIRED, ssl.TLSVersion.TLSv1_3, 0) == (
        context.verify_mode,
        context.minimum_version,
        context.num_tickets,
    )
    assert ssl.CERT_OPTIONAL is ListenerTls(files, requires_client=False).context.verify_mode
    assert ssl.TLSVersion.TLSv1_2 is ListenerTls(files, "1.2").context.minimum_version


def test_files_that_did_not_change_keep_the_context(files: ListenerFiles) -> None:
    tls = ListenerTls(files)
    before = tls.context

    tls.follow()
    assert before is tls.context
    files.certificate.write_bytes(files.certificate.read_bytes())
    tls.follow()
    assert before is not tls.context


def counted(reason: str) -> float:
    return REGISTRY.get_sample_value("clearinghub_handshakes_failed_total", {"reason": reason}) or 0.0


def test_every_failure_is_counted_and_an_address_is_logged_once_a_minute() -> None:
    now_s = 0.0
    failures = HandshakeFailures(lambda: now_s)
    before = counted("too slow")

    with capture_logs() as logs:
        for address in ("10.0.0.1", "10.0.0.1", "10.0.0.2"):
            failures.note(TimeoutError(), address)
        now_s = LOG_INTERVAL_S + 1
        failures.note(TimeoutError(), "10.0.0.1")

    assert before + 4 == counted("too slow")
    assert ["10.0.0.1", "10.0.0.2", "10.0.0.1"] == [line["address"] for line in logs]


def test_addresses_are_remembered_up_to_a_limit() -> None:
    failures = HandshakeFailures(lambda: 0.0)

    with capture_logs() as logs:
        for number in range(ADDRESSES_MAX + 50):
            failures.note(TimeoutError(), str(number))

    assert ADDRESSES_MAX == len(logs)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (ConnectionResetError(), "connection lost"),
        (ConnectionAbortedError(), "too slow"),
        (ssl.SSLError(1, "[SSL] whatever"), "other"),
        (RuntimeError(), "other"),
    ],
)
def test_reasons_are_few(error: Exception, reason: str) -> None:
    assert reason == failure_reason(error)
