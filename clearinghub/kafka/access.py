"""How every Kafka client of the hub connects: in plaintext or over TLS, with or without a name and password (SASL)."""

from __future__ import annotations

import ssl
from functools import cache
from pathlib import Path
from typing import Any

from clearinghub.config import Settings


class KafkaAccessError(Exception):
    """A certificate or key for Kafka cannot be used; the sentence is for the operator."""


def kafka_access(settings: Settings) -> dict[str, Any]:
    """Return the keyword arguments of an aiokafka client; none for plaintext.

    Raises:
        KafkaAccessError: a certificate or key cannot be used.
    """
    protocol = settings.kafka_security_protocol
    access: dict[str, Any] = {} if protocol == "PLAINTEXT" else {"security_protocol": protocol}
    if protocol.endswith("SSL"):
        access["ssl_context"] = _ssl_context(settings.kafka_ca_file, settings.kafka_cert_file, settings.kafka_key_file)
    if protocol.startswith("SASL"):
        access["sasl_mechanism"] = settings.kafka_sasl_mechanism
        access["sasl_plain_username"] = settings.kafka_sasl_username
        access["sasl_plain_password"] = settings.kafka_sasl_password.get_secret_value()
    return access


@cache
def _ssl_context(ca_file: Path | None, cert_file: Path | None, key_file: Path | None) -> ssl.SSLContext:
    """Return a TLS context that checks the broker's name; made once, because some clients live for one request."""
    try:
        context = ssl.create_default_context(cafile=ca_file)
    except (OSError, ValueError) as error:
        raise KafkaAccessError(f"kafka_ca_file {ca_file} cannot be used: {error}") from error
    if cert_file is not None:
        try:
            context.load_cert_chain(cert_file, key_file, password=_no_password)
        except (OSError, ValueError) as error:
            raise KafkaAccessError(
                f"kafka_cert_file {cert_file} with key {key_file or cert_file} cannot be used: {error}"
            ) from error
    return context


def _no_password() -> str:
    raise ValueError("the key is encrypted")  # without this, OpenSSL would prompt on the terminal
