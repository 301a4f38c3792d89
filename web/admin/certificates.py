"""Operators who are known by the certificate of their connection."""

from __future__ import annotations

from collections.abc import Callable

from aiohttp.web import Request
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509 import load_der_x509_certificate

from clearinghub.security.certificates import spki_id
from clearinghub.security.operators import OperatorDirectory
from web.admin.access import Authenticate, Subject


def by_certificate(operators: OperatorDirectory, now_ms: Callable[[], int]) -> Authenticate:
    """Return what finds the operator of a connection by its client certificate.

    TLS has checked, when the connection began, that the operators' authority issued it. Whose key it is, and whether it
    has ended meanwhile, is looked up for each request: an operator who is removed is refused with the next one.
    """

    def authenticate(request: Request) -> Subject | None:
        tls = None if request.transport is None else request.transport.get_extra_info("ssl_object")
        encoded = None if tls is None else tls.getpeercert(binary_form=True)
        if not encoded:
            return None
        certificate = load_der_x509_certificate(encoded)
        key = certificate.public_key()
        if not isinstance(key, rsa.RSAPublicKey | ec.EllipticCurvePublicKey):
            return None
        if certificate.not_valid_after_utc.timestamp() * 1000 <= now_ms():
            return None
        operator = operators.of_key(spki_id(key))
        return None if operator is None else Subject(operator.name, operator.roles)

    return authenticate
