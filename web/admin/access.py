"""Who sends a request to the operators' port, and whether that operator may do what it asks for.

- no operator: 401, 3000
- an operator whose roles do not allow it: 403, 3000
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextvars import ContextVar
from typing import Final, NamedTuple, TypeAlias

import structlog
from aiohttp.typedefs import Handler, Middleware
from aiohttp.web import Request, StreamResponse, middleware

from clearinghub.domain.errors import ErrorCode, Rejection
from clearinghub.security.operators import OperatorDirectory
from clearinghub.security.roles import Permission, allows
from web.admin.routes import permission_of
from web.http.errors import ApiError
from web.http.protocol import JsonRequestHandler


class Subject(NamedTuple):
    """An operator who is known by what it has shown, with its roles."""

    name: str
    roles: Sequence[str]


# Returns who sends a request, or None if that is nobody's.
Authenticate: TypeAlias = Callable[[Request], Subject | None]

# The operator whose request is being answered; None where nobody has to say who they are.
_SUBJECT: Final[ContextVar[Subject | None]] = ContextVar("operator", default=None)
_UNKNOWN: Final = Rejection(ErrorCode.CLIENT_ERROR, "credential is not registered", http_status=401)

_log = structlog.get_logger(__name__)


def current_subject() -> str:
    """Return the name of the operator whose request is being answered; "" with security=open."""
    subject = _SUBJECT.get()
    return "" if subject is None else subject.name


def may(permission: Permission) -> bool:
    """Return whether the operator whose request is being answered has a permission."""
    subject = _SUBJECT.get()
    return subject is None or allows(subject.roles, permission)


def require_permission(request: Request, permission: Permission) -> None:
    """Check a permission that depends on what a request is about, beside that of its route.

    Raises:
        ApiError: the operator does not have it (403, 3000).
    """
    subject = _SUBJECT.get()
    if subject is not None:
        _check_permission(request, subject, permission)


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


def make_access_middleware(authenticate: Authenticate | None) -> Middleware:
    """Return the middleware that lets operators do what their roles allow; with None everybody may do everything."""

    @middleware
    async def check(request: Request, handler: Handler) -> StreamResponse:
        permission = permission_of(request)
        if authenticate is None or permission is Permission.PUBLIC:
            return await handler(request)
        subject = authenticate(request)
        if subject is None:
            raise ApiError(_UNKNOWN)
        if request.match_info.http_exception is None:  # else it will be answered 404 or 405
            _check_permission(request, subject, permission)
        token = _SUBJECT.set(subject)
        try:
            return await handler(request)
        finally:
            _SUBJECT.reset(token)

    return check


def _check_permission(request: Request, subject: Subject, permission: Permission | None) -> None:
    if permission is not None and allows(subject.roles, permission):
        return
    _log.warning("operator-refused", operator=subject.name, method=request.method, path=request.path)
    what = "do this" if permission is None else permission.value
    raise ApiError(Rejection(ErrorCode.CLIENT_ERROR, f"your roles do not allow to {what}", http_status=403))
