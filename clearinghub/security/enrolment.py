"""Enrolment: what is examined of a request, a certificate or a key before it may become a participant's credential.

Everything that a ledger cannot decide: X.509 and signatures. The ledger gets facts (`NewCredential`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Final, TypeVar

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key
from cryptography.x509 import (
    BasicConstraints,
    Certificate,
    DuplicateExtension,
    ExtendedKeyUsage,
    ExtensionNotFound,
    Extensions,
    ExtensionType,
    InvalidVersion,
    KeyUsage,
    SubjectAlternativeName,
    UniformResourceIdentifier,
    UnsupportedGeneralNameType,
    load_pem_x509_certificate,
    load_pem_x509_certificates,
    load_pem_x509_csr,
)

from clearinghub.domain.participants.credential import CredentialForm, CredentialUse, NewCredential
from clearinghub.security.certificates import CLIENT, FSP_URI, spki_id, tls_key_fault
from clearinghub.security.key_files import KeyFileError, PublicKey, key_fault

AnyExtension = TypeVar("AnyExtension", bound=ExtensionType)

PEM_LENGTH_MAX: Final = 16_384
_HASHES: Final = ("sha256", "sha384", "sha512")
_LABEL: Final = re.compile(r"-----BEGIN ([A-Z0-9 ]{1,40})-----")
_FORMS: Final[Mapping[str, CredentialForm]] = {
    "CERTIFICATE REQUEST": CredentialForm.REQUEST,
    "NEW CERTIFICATE REQUEST": CredentialForm.REQUEST,
    "CERTIFICATE": CredentialForm.CERTIFICATE,
    "PUBLIC KEY": CredentialForm.KEY,
}
_FORMS_OF: Final[Mapping[CredentialUse, frozenset[CredentialForm]]] = {
    CredentialUse.TLS_CLIENT: frozenset((CredentialForm.REQUEST, CredentialForm.CERTIFICATE)),
    CredentialUse.TLS_SERVER_CA: frozenset((CredentialForm.CERTIFICATE,)),
    CredentialUse.JWS: frozenset(CredentialForm),
}
_UNREADABLE: Final = (
    ValueError,
    TypeError,
    UnsupportedAlgorithm,
    InvalidVersion,
    DuplicateExtension,
    UnsupportedGeneralNameType,
)


class EnrolmentError(Exception):
    """What was sent may not become a credential; the sentence says why, and shows nothing of it."""


def read_authorities(path: Path) -> tuple[Certificate, ...]:
    """Return the certificates of a file: the authorities that may issue participants' certificates.

    Raises:
        KeyFileError: there is none, or they cannot be read.
    """
    try:
        return tuple(load_pem_x509_certificates(path.read_bytes()))
    except OSError as error:
        raise KeyFileError(f"{path}: {error.strerror}") from error
    except _UNREADABLE:
        raise KeyFileError(f"{path}: no certificates in PEM") from None


def examine(
    pem: str,
    use: CredentialUse,
    name: str,
    authorities: Sequence[Certificate],
    now: datetime,
    *,
    needs_certificate: bool = False,
) -> NewCredential:
    """Return the facts of what a participant wants to use as its credential.

    Args:
        pem: one certificate, signing request (PKCS#10) or public key.
        use: what the key is for.
        name: the participant.
        authorities: who may have issued its certificate; none: anybody may.
        now: the time, for dates.
        needs_certificate: whether a bare public key is refused.

    Raises:
        EnrolmentError: it may not be used.
    """
    form = _form_of(pem)
    if form not in _FORMS_OF[use] or (needs_certificate and form is CredentialForm.KEY):
        raise EnrolmentError(f"a {form.value} cannot be used as {use.value}")
    try:
        if form is CredentialForm.CERTIFICATE:
            return _certificate(load_pem_x509_certificate(pem.encode()), use, name, authorities, now)
        return _request(pem, use, name) if form is CredentialForm.REQUEST else _public_key(pem, use)
    except _UNREADABLE:
        raise EnrolmentError(f"pem is no {form.value} that can be read") from None


def _form_of(pem: str) -> CredentialForm:
    if len(pem) > PEM_LENGTH_MAX or not pem.isascii():
        raise EnrolmentError(f"pem must be text in PEM of at most {PEM_LENGTH_MAX} characters")
    labels = _LABEL.findall(pem)
    if any(label.endswith("PRIVATE KEY") for label in labels):
        raise EnrolmentError("pem holds a private key, which is no secret any more; make a new one")
    form = _FORMS.get(labels[0]) if len(labels) == 1 else None
    if form is None:
        raise EnrolmentError("pem must be one certificate, one request or one public key")
    return form


def _request(pem: str, use: CredentialUse, name: str) -> NewCredential:
    request = load_pem_x509_csr(pem.encode())
    key = _usable_key(request.public_key(), use)
    if not request.is_signature_valid:
        raise EnrolmentError("the request is not signed with the key that it asks for")
    _check_name(request.extensions, name)
    return NewCredential(spki_id(key), use, CredentialForm.REQUEST, request.public_bytes(Encoding.PEM).decode())


def _public_key(pem: str, use: CredentialUse) -> NewCredential:
    key = _usable_key(load_pem_public_key(pem.encode()), use)
    written = key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    return NewCredential(spki_id(key), use, CredentialForm.KEY, written)


def _certificate(
    certificate: Certificate, use: CredentialUse, name: str, authorities: Sequence[Certificate], now: datetime
) -> NewCredential:
    key = _usable_key(certificate.public_key(), use)
    begin, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    if now >= end:
        raise EnrolmentError(f"the certificate ended on {end:%Y-%m-%d}")
    if use is CredentialUse.TLS_SERVER_CA:
        _check_authority(certificate)
    else:
        _check_leaf(certificate, use)
        _check_name(certificate.extensions, name)
        if authorities and not any(_has_issued(one, certificate, now) for one in authorities):
            raise EnrolmentError("the certificate is not issued by an authority of the scheme")
    return NewCredential(
        spki_id(key),
        use,
        CredentialForm.CERTIFICATE,
        certificate.public_bytes(Encoding.PEM).decode(),
        int(begin.timestamp() * 1000),
        int(end.timestamp() * 1000),
    )


def _usable_key(key: object, use: CredentialUse) -> PublicKey:
    fault = key_fault(key) if use is CredentialUse.JWS else tls_key_fault(key)
    if fault is not None:
        raise EnrolmentError(f"the key may not be used: {fault}")
    assert isinstance(key, rsa.RSAPublicKey | ec.EllipticCurvePublicKey)
    return key


def _check_authority(certificate: Certificate) -> None:
    if not _is_authority(certificate):
        raise EnrolmentError("the certificate is not an authority's (CA)")


def _check_leaf(certificate: Certificate, use: CredentialUse) -> None:
    """Check that a certificate is its holder's own, for this use."""
    if _is_authority(certificate):
        raise EnrolmentError("the certificate is an authority's (CA), which must not be a participant's key")
    usage = _extension(certificate.extensions, KeyUsage)
    extended = _extension(certificate.extensions, ExtendedKeyUsage)
    may_sign = usage is None or usage.digital_signature or (use is CredentialUse.JWS and usage.content_commitment)
    if not may_sign:
        raise EnrolmentError("the certificate's KeyUsage has no digitalSignature")
    if use is CredentialUse.TLS_CLIENT and extended is not None and CLIENT not in extended:
        raise EnrolmentError("the certificate's ExtendedKeyUsage has no clientAuth")
    hash_used = certificate.signature_hash_algorithm
    if hash_used is None or hash_used.name not in _HASHES:
        raise EnrolmentError("the certificate is not signed with SHA-256, SHA-384 or SHA-512")


def _check_name(extensions: Extensions, name: str) -> None:
    """Check that a certificate or request, if it names a participant, names this one."""
    names = _extension(extensions, SubjectAlternativeName)
    uris = [] if names is None else names.get_values_for_type(UniformResourceIdentifier)
    if any(uri.lower().startswith(FSP_URI) and uri != FSP_URI + name for uri in uris):
        raise EnrolmentError(f"it names another participant than {FSP_URI}{name}")


def _is_authority(certificate: Certificate) -> bool:
    constraints = _extension(certificate.extensions, BasicConstraints)
    return constraints is not None and constraints.ca


def _extension(extensions: Extensions, kind: type[AnyExtension]) -> AnyExtension | None:
    try:
        return extensions.get_extension_for_class(kind).value
    except ExtensionNotFound:
        return None


def _has_issued(authority: Certificate, certificate: Certificate, now: datetime) -> bool:
    if not authority.not_valid_before_utc <= now < authority.not_valid_after_utc or not _is_authority(authority):
        return False
    try:
        certificate.verify_directly_issued_by(authority)
    except (*_UNREADABLE, InvalidSignature):
        return False
    return True
