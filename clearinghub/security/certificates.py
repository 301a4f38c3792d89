"""Certificates: the authorities of a scheme and of its hub, and what they issue.

The scheme's authority issues the certificates by which DFSPs and the hub know each other. The internal authority issues
those of the hub's own processes and operators. Both keys belong on a machine that is not connected: no process of the
hub reads them. The name that counts is a URI among the subject alternative names; the common name is for people alone.
"""

from __future__ import annotations

import base64
import hashlib
import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.hashes import SHA256, SHA384
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509 import (
    AuthorityKeyIdentifier,
    BasicConstraints,
    Certificate,
    CertificateBuilder,
    CertificateSigningRequestBuilder,
    DNSName,
    ExtendedKeyUsage,
    ExtensionNotFound,
    GeneralName,
    IPAddress,
    KeyUsage,
    Name,
    NameAttribute,
    ObjectIdentifier,
    SubjectAlternativeName,
    SubjectKeyIdentifier,
    UniformResourceIdentifier,
    load_pem_x509_csr,
    random_serial_number,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from clearinghub.security.key_files import RSA_BITS_MAX, RSA_BITS_MIN, PrivateKey, PublicKey

FSP_URI: Final = "urn:fspiop:fsp:"
OPERATOR_URI: Final = "urn:clearinghub:operator:"
GATEWAY_URI: Final = "urn:clearinghub:gateway:"
ROLE_URI: Final = "urn:clearinghub:role:"
ROLE_UNIT: Final = "role"

SERVER: Final = ExtendedKeyUsageOID.SERVER_AUTH
CLIENT: Final = ExtendedKeyUsageOID.CLIENT_AUTH

REQUEST_BYTES_MAX: Final = 16_384
CLOCKS_DIFFER: Final = timedelta(minutes=5)  # a certificate is valid from so long before its issue
_CURVES: Final = (ec.SECP256R1, ec.SECP384R1)
_COMMON_NAME_LENGTH_MAX: Final = 64  # RFC 5280


class SigningRequestError(Exception):
    """A signing request cannot be used; the sentence says why."""


@dataclass(frozen=True, slots=True)
class Authority:
    """A certificate authority: its certificate, and the private key that issues others."""

    certificate: Certificate
    key: ec.EllipticCurvePrivateKey


@dataclass(frozen=True, slots=True)
class Subject:
    """Whom a certificate is for: `uri` is the name that counts; `hosts` are a server's names and addresses."""

    uri: str
    hosts: tuple[str, ...] = ()

    @property
    def common_name(self) -> str:
        """The name for people: the last part of the URI."""
        return self.uri.rpartition(":")[2]

    def subject_name(self) -> Name:
        """Return the subject of a certificate.

        A role's has a unit: Kafka knows users by their subjects, and an operator may have a role's name.
        """
        unit = [NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, ROLE_UNIT)] if self.uri.startswith(ROLE_URI) else []
        return Name([*unit, *_name(self.common_name)])

    def names(self) -> SubjectAlternativeName:
        """Return the names as a certificate has them."""
        return SubjectAlternativeName([UniformResourceIdentifier(self.uri), *map(_host_name, self.hosts)])


def new_authority(name: str, days: int, now: datetime) -> Authority:
    """Return a new authority, whose certificate it has signed itself. It may issue no further authorities."""
    key = ec.generate_private_key(ec.SECP384R1())
    builder = (
        _builder(_name(name), _name(name), key.public_key(), now, now + timedelta(days=days))
        .add_extension(BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(signs_certificates=True), critical=True)
    )
    return Authority(builder.sign(key, SHA384()), key)


def issue(
    authority: Authority,
    public_key: PublicKey,
    subject: Subject,
    usages: Sequence[ObjectIdentifier],
    days: int,
    now: datetime,
) -> Certificate:
    """Return a certificate for a key.

    Args:
        authority: the issuer.
        public_key: the key that the certificate is for.
        subject: the names in it.
        usages: SERVER, CLIENT or both.
        days: for how long it is valid, but no longer than the authority is.
        now: the time of issue.
    """
    end = min(now + timedelta(days=days), authority.certificate.not_valid_after_utc)
    builder = (
        _builder(subject.subject_name(), authority.certificate.subject, public_key, now, end)
        .add_extension(BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(signs_certificates=False), critical=True)
        .add_extension(ExtendedKeyUsage(usages), critical=False)
        .add_extension(subject.names(), critical=False)
        .add_extension(
            AuthorityKeyIdentifier.from_issuer_public_key(authority.key.public_key()),
            critical=False,
        )
    )
    return builder.sign(authority.key, SHA384())


def signing_request(key: PrivateKey, subject: Subject) -> bytes:
    """Return a request (PKCS#10, PEM) by which the owner of a key asks an authority for a certificate."""
    builder = CertificateSigningRequestBuilder().subject_name(_name(subject.common_name))
    return builder.add_extension(subject.names(), critical=False).sign(key, SHA256()).public_bytes(Encoding.PEM)


def requested_key(pem: bytes, uri: str) -> PublicKey:
    """Return the public key of a signing request, if the request is good for the holder of this name.

    Nothing else of the request is used: the authority writes the names and usages itself.

    Raises:
        SigningRequestError: it is no request, its sender does not hold the key, its key may not be used, or it names
            somebody else.
    """
    if len(pem) > REQUEST_BYTES_MAX:
        raise SigningRequestError(f"longer than {REQUEST_BYTES_MAX} bytes")
    try:
        request = load_pem_x509_csr(pem)
        key = request.public_key()
        is_held = request.is_signature_valid
        names = request.extensions.get_extension_for_class(SubjectAlternativeName).value
        uris = names.get_values_for_type(UniformResourceIdentifier)
    except ExtensionNotFound:
        uris = []
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise SigningRequestError("no signing request in PEM (PKCS#10)") from None
    if not is_held:
        raise SigningRequestError("not signed with the key that it asks for")
    fault = tls_key_fault(key)
    if fault is not None:
        raise SigningRequestError(fault)
    if any(named != uri for named in uris):
        raise SigningRequestError(f"asks for another name than {uri}")
    assert isinstance(key, rsa.RSAPublicKey | ec.EllipticCurvePublicKey)
    return key


def spki_id(key: PublicKey) -> str:
    """Return what a key is known by: the SHA-256 of its SubjectPublicKeyInfo, in base64url without padding."""
    info = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return base64.urlsafe_b64encode(hashlib.sha256(info).digest()).rstrip(b"=").decode()


def tls_key_fault(key: object) -> str | None:
    """Return why a key may not be used for TLS; None if it may."""
    if isinstance(key, rsa.RSAPublicKey):
        if RSA_BITS_MIN <= key.key_size <= RSA_BITS_MAX:
            return None
        return f"an RSA key of {key.key_size} bits; {RSA_BITS_MIN} to {RSA_BITS_MAX} are accepted"
    if isinstance(key, ec.EllipticCurvePublicKey):
        return None if isinstance(key.curve, _CURVES) else f"curve {key.curve.name}; P-256 and P-384 are accepted"
    return "neither an RSA key nor one of the curves P-256 and P-384"


def _builder(subject: Name, issuer: Name, public_key: PublicKey, now: datetime, end: datetime) -> CertificateBuilder:
    return (
        CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public_key)
        .serial_number(random_serial_number())
        .not_valid_before(now - CLOCKS_DIFFER)
        .not_valid_after(end)
        .add_extension(SubjectKeyIdentifier.from_public_key(public_key), critical=False)
    )


def _key_usage(*, signs_certificates: bool) -> KeyUsage:
    return KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _name(text: str) -> Name:
    return Name([NameAttribute(NameOID.COMMON_NAME, text[:_COMMON_NAME_LENGTH_MAX])])


def _host_name(host: str) -> GeneralName:
    try:
        return IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return DNSName(host)
