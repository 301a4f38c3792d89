"""A client of the hub's admin API (protocol 5).

- AdminError: the request failed; the text says why
  - HubNotReadyError: the API or the ledger does not answer yet; the request may be repeated
  - ApprovalNeededError: a second operator must approve the request first
  - RefusedError: the hub refused it, with FSPIOP's code and description
"""

from __future__ import annotations

import json
import os
import ssl
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from http import HTTPStatus
from types import TracebackType
from typing import Any, Final, NoReturn, Self, TypeVar

from aiohttp import (
    ClientConnectorCertificateError,
    ClientConnectorError,
    ClientError,
    ClientResponse,
    ClientSession,
    ClientTimeout,
    TCPConnector,
)
from pydantic import TypeAdapter, ValidationError

from clearinghub.tools.client.responses import BALANCES, AccountBalance

Content = TypeVar("Content")

REQUEST_TIMEOUT_S: Final = 15
SHOWN_LENGTH_MAX: Final = 300
UNAVAILABLE: Final = frozenset({HTTPStatus.BAD_GATEWAY, HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.GATEWAY_TIMEOUT})


class AdminError(Exception):
    """A request failed: it was refused, or the answer cannot be read; the text says why."""


class HubNotReadyError(AdminError):
    """The admin API cannot be reached, or the ledger does not answer it yet; the request may be repeated."""


class ApprovalNeededError(AdminError):
    """The request waits for a second operator, and nothing has been done yet."""


class RefusedError(AdminError):
    """The hub refused `request`, a `METHOD /path`; `code` is FSPIOP's error code, empty if the answer has none."""

    def __init__(self, request: str, status: int, code: str, description: str) -> None:
        super().__init__(f"{code} {description} ({request}, HTTP {status})".strip())
        self.request = request
        self.status = status
        self.code = code
        self.description = description


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer of the admin API; `content` is parsed JSON with fractions as Decimal, None if the body is empty."""

    status: int
    content: Any
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        """Whether the status is 2xx."""
        return HTTPStatus.OK <= self.status < HTTPStatus.MULTIPLE_CHOICES

    @property
    def text(self) -> str:
        """The status and the content, for an error message."""
        return f"{self.status} {self.content}"[:SHOWN_LENGTH_MAX]

    @property
    def error(self) -> tuple[str, str]:
        """The code and description of the errorInformation; the code is empty if the content has none."""
        try:
            information = self.content["errorInformation"]
            return str(information["errorCode"]), str(information.get("errorDescription", ""))
        except (AttributeError, KeyError, TypeError):
            return "", self.text


def parsed(reply: Reply, kind: TypeAdapter[Content]) -> Content:
    """Return the content of an answer as a checked value.

    Raises:
        AdminError: the content is not of this kind.
    """
    try:
        return kind.validate_python(reply.content)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise AdminError(f"the hub's answer cannot be read: {place}: {first['msg']}") from error


class AdminClient:
    """A session with the admin API, as an async context manager; all methods may raise HubNotReadyError."""

    def __init__(self, url: str, *, timeout_s: int = REQUEST_TIMEOUT_S, tls: ssl.SSLContext | None = None) -> None:
        self.url = url.rstrip("/")
        self._timeout_s = timeout_s
        self._session = ClientSession(
            timeout=ClientTimeout(total=timeout_s), connector=None if tls is None else TCPConnector(ssl=tls)
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._session.close()

    async def call(self, method: str, path: str, body: Any = None) -> Reply:
        """Send a request that must be accepted; returns the answer.

        Raises:
            RefusedError: the hub refused it.
        """
        reply = await self._request(method, path, body)
        if not reply.ok:
            self._refuse(method, path, reply)
        return reply

    async def post(self, path: str, body: Any) -> Reply:
        """Send a POST; a refusal is returned, not raised."""
        return await self._request("POST", path, body)

    async def get(self, path: str) -> Any:
        """Return the content of a resource, or None if the hub does not know it (HTTP 400 and 404, protocol 2.1).

        Raises:
            AdminError: any other refusal.
        """
        reply = await self._request("GET", path)
        if reply.ok:
            return reply.content
        if reply.status in (HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND):
            return None
        raise AdminError(f"GET {self.url}{path} was answered {reply.text}")

    async def download(self, path: str) -> AsyncGenerator[bytes, None]:
        """Yield the body of an answer as it comes; the client's time limit applies to each part.

        Raises:
            RefusedError: the hub refused the request.
            HubNotReadyError: the body ended early.
        """
        limits = ClientTimeout(total=None, sock_connect=self._timeout_s, sock_read=self._timeout_s)
        try:
            async with self._session.get(self.url + path, timeout=limits, allow_redirects=False) as response:
                if not HTTPStatus.OK <= response.status < HTTPStatus.MULTIPLE_CHOICES:
                    self._refuse("GET", path, await _reply(response))
                async for part in response.content.iter_any():
                    yield part
        except TimeoutError as error:
            raise HubNotReadyError(f"GET {self.url}{path} got no answer in time") from error
        except ClientError as error:
            raise HubNotReadyError(f"GET {self.url}{path} got no whole answer: {_cause(error)}") from error

    async def accounts(self, participant: str) -> list[AccountBalance]:
        """Return the accounts of a participant; none if there is no such participant.

        Raises:
            AdminError: the answer is no list of accounts.
        """
        content = await self.get(f"/participants/{participant}/accounts")
        try:
            return BALANCES.validate_python(content or [])
        except ValidationError as error:
            raise AdminError(f"accounts of {participant} cannot be read: {error!r} in {content}") from error

    async def account(self, participant: str, currency: str, account_type: str) -> AccountBalance | None:
        """Return the participant's account of that currency and type, or None."""
        for account in await self.accounts(participant):
            if (account.currency, account.account_type) == (currency, account_type):
                return account
        return None

    async def _request(self, method: str, path: str, body: Any = None) -> Reply:
        try:
            async with self._session.request(method, self.url + path, json=body, allow_redirects=False) as response:
                reply = await _reply(response)
        except TimeoutError as error:
            raise HubNotReadyError(f"{method} {self.url}{path} got no answer in time") from error
        except (ClientError, UnicodeDecodeError) as error:
            raise HubNotReadyError(f"{method} {self.url}{path} got no answer: {_cause(error)}") from error
        if reply.status in UNAVAILABLE:
            self._refuse(method, path, reply)
        _, waits, approval_id = reply.headers.get("Location", "").partition("/approvals/")
        if reply.status == HTTPStatus.ACCEPTED and waits:
            raise ApprovalNeededError(f"waits for another operator: clearinghub admin approvals approve {approval_id}")
        return reply

    def _refuse(self, method: str, path: str, reply: Reply) -> NoReturn:
        if reply.status in UNAVAILABLE:
            raise HubNotReadyError(
                f"{method} {self.url}{path} was answered HTTP {reply.status} {' '.join(reply.error)}"
            )
        raise RefusedError(f"{method} {path}", reply.status, *reply.error)


async def _reply(response: ClientResponse) -> Reply:
    text = await response.text()
    try:
        content = json.loads(text, parse_float=Decimal) if text else None
    except ValueError:
        content = text
    return Reply(response.status, content, response.headers)


def _cause(error: Exception) -> str:
    """Return why there is no answer, in words."""
    if isinstance(error, ClientConnectorCertificateError):
        return f"its certificate is not accepted: {error.certificate_error}"
    if isinstance(error, ClientConnectorError) and error.errno is not None and error.errno > 0:
        return os.strerror(error.errno)
    return str(error) or repr(error)
