"""The operators as a process knows them: appointed ones from the hub's row, the first ones from the folder of keys."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509 import (
    Certificate,
    ExtensionNotFound,
    SubjectAlternativeName,
    UniformResourceIdentifier,
    load_pem_x509_certificate,
)

from clearinghub.domain.participants.operator import APPOINTS, appoints
from clearinghub.domain.participants.participant import Operator, ParticipantDirectory
from clearinghub.security.certificates import OPERATOR_URI, spki_id, tls_key_fault
from clearinghub.security.key_files import KeyFileError

CERTIFICATE_CHARACTERS_MAX: Final = 16_384
_UNREADABLE: Final = (ValueError, TypeError, UnsupportedAlgorithm)


class OperatorCertificateError(Exception):
    """A certificate cannot be an operator's; the sentence says why."""


class OperatorDirectory:
    """Knows which operator has a key. A change of the hub's row counts at once.

    As long as the hub's row has nobody who may appoint others, the first operators may: those whose certificates are in
    the folder that `clearinghub secure init` has made. So a new hub can be steered, and afterwards the folder means
    nothing any more.
    """

    def __init__(self, participants: ParticipantDirectory, hub_name: str, first: Sequence[Operator]) -> None:
        self._participants = participants
        self._hub_name = hub_name
        self._first = tuple(first)

    def of_key(self, key: str) -> Operator | None:
        """Return the operator whose certificate has this key, or None."""
        hub = self._participants.get(self._hub_name)
        known = () if hub is None else hub.operators
        if not any(appoints(one) for one in known):
            known = (*self._first, *known)
        return next((one for one in known if one.key == key), None)

    def name_of(self, key: str) -> str | None:
        """Return the name of that operator, or None."""
        operator = self.of_key(key)
        return None if operator is None else operator.name


def first_operators(folder: Path) -> list[Operator]:
    """Return the operators whose certificates are in `operators/` of the folder of keys; each may appoint others.

    Raises:
        KeyFileError: one of the files is not the certificate of the operator whose name it has.
    """
    found = []
    for path in sorted((folder / "operators").glob("*.pem")):
        try:
            key = operator_key(path.read_text(), path.stem)
        except (OSError, UnicodeDecodeError, OperatorCertificateError) as error:
            raise KeyFileError(f"{path}: {error}") from error
        found.append(Operator(path.stem, (APPOINTS,), key, 0, ""))
    return found


def operator_key(pem: str, name: str) -> str:
    """Return the id of the key in a certificate, if the certificate can be that operator's.

    Raises:
        OperatorCertificateError: it cannot.
    """
    if len(pem) > CERTIFICATE_CHARACTERS_MAX:
        raise OperatorCertificateError(f"longer than {CERTIFICATE_CHARACTERS_MAX} characters")
    try:
        certificate = load_pem_x509_certificate(pem.encode())
        key = certificate.public_key()
        uris = _uris(certificate)
    except _UNREADABLE:
        raise OperatorCertificateError("no certificate in PEM") from None
    if uris != [OPERATOR_URI + name]:
        raise OperatorCertificateError(f"not for {OPERATOR_URI}{name}")
    fault = tls_key_fault(key)
    if fault is not None:
        raise OperatorCertificateError(fault)
    assert isinstance(key, rsa.RSAPublicKey | ec.EllipticCurvePublicKey)
    return spki_id(key)


def _uris(certificate: Certificate) -> list[str]:
    try:
        names = certificate.extensions.get_extension_for_class(SubjectAlternativeName).value
    except ExtensionNotFound:
        return []
    return names.get_values_for_type(UniformResourceIdentifier)
