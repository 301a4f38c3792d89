"""Operators who are known by the certificate of their connection."""

from __future__ import annotations

from aiohttp.web import Request

from clearinghub.security.operators import OperatorDirectory
from web.admin.access import Authenticate, Subject
from web.http.protocol import JsonRequestHandler


def by_certificate(operators: OperatorDirectory) -> Authenticate:
    """Return what finds the operator of a connection by the key of its certificate.

    TLS has checked, when the connection began, that the operators' authority issued it. Whose key it is, is looked up
    for each request: an operator who is removed is refused with the next one.
    """

    def authenticate(request: Request) -> Subject | None:
        connection = request.protocol
        key = connection.key_id if isinstance(connection, JsonRequestHandler) else None
        operator = None if key is None else operators.of_key(key)
        return None if operator is None else Subject(operator.name, operator.roles)

    return authenticate
