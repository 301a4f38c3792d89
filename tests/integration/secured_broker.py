"""A broker with a second listener, over TLS and with user name and password."""

from __future__ import annotations

import datetime as dt
import ipaddress
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from clearinghub.kafka.broker.local import HOST, LocalBroker
from tests.integration.hub_under_test import free_port

NAME, PASSWORD = "hub", "hidden-word"


class SecuredBroker(LocalBroker):
    """A local broker; `access` are the settings of a hub that has the user name, the password and the certificate."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder / "data", pid_file=folder / "kafka.pid")
        self._secured_port = free_port()
        self._certificate = folder / "broker.crt"
        self._keystore = folder / "broker.pem"
        certificate, key = self_signed()
        self._certificate.write_bytes(certificate)
        self._keystore.write_bytes(key + certificate)

    @property
    def access(self) -> dict[str, Any]:
        return {
            "kafka_bootstrap": f"{HOST}:{self._secured_port}",
            "kafka_security_protocol": "SASL_SSL",
            "kafka_sasl_username": NAME,
            "kafka_sasl_password": PASSWORD,
            "kafka_ca_file": self._certificate,
        }

    def _write_config(self) -> None:
        super()._write_config()
        secured = f"SASL_SSL://{HOST}:{self._secured_port},"
        lines = self.config_file.read_text()
        for option, more in (
            ("\nlisteners=", secured),
            ("\nadvertised.listeners=", secured),
            ("\nlistener.security.protocol.map=", "SASL_SSL:SASL_SSL,"),
        ):
            lines = lines.replace(option, option + more)
        plain = "org.apache.kafka.common.security.plain.PlainLoginModule"
        self.config_file.write_text(
            f"{lines}\nsasl.enabled.mechanisms=PLAIN\n"
            f'listener.name.sasl_ssl.plain.sasl.jaas.config={plain} required user_{NAME}="{PASSWORD}";\n'
            f"ssl.keystore.type=PEM\nssl.keystore.location={self._keystore}\n"
        )


def self_signed() -> tuple[bytes, bytes]:
    """Return a certificate for this machine and its key, both in PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, HOST)])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(HOST))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    encoded = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return certificate.public_bytes(serialization.Encoding.PEM), encoded
