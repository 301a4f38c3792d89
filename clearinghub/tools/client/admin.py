"""A client of the hub's admin API (protocol 5): requests, answers, and what can go wrong with them.

- AdminError: the request came to nothing; the text tells why
  - HubNotReadyError: nobody answered, or the ledger behind the API does not yet; asking again may help
  - RefusedError: the hub said no, with FSPIOP's code and description
"""

from __future__ import annotations

import json
import os
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from http import HTTPStatus
from types import TracebackType
from typing import Any, Final, NoReturn, Self

from aiohttp import ClientConnectorError, ClientError, ClientResponse, ClientSession, ClientTimeout
from pydantic import ValidationError

from clearinghub.tools.client.responses import BALANCES, AccountBalance

REQUEST_TIMEOUT_S: Final = 15
SHOWN_LENGTH_MAX: Final = 300
UNAVAILABLE: Final = frozenset({HTTPStatus.BAD_GATEWAY, HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.GATEWAY_TIMEOUT})


class AdminError(Exception):
    """The admin API refused, or answered something that cannot be read; the text tells what."""


class HubNotReadyError(AdminError):
    """The admin API cannot be reached, or the ledger behind it does not answer yet; asking again may help."""


class RefusedError(AdminError):
    """The hub said no. `code` is FSPIOP's error code, empty where the answer had none; `request` is `METHOD /path`."""

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
        """True for 2xx."""
        return HTTPStatus.OK <= self.status < HTTPStatus.MULTIPLE_CHOICES

    @property
    def text(self) -> str:
        """Status and content for an error message."""
        return f"{self.status} {self.content}"[:SHOWN_LENGTH_MAX]

    @property
    def error(self) -> tuple[str, str]:
        """Code and description of the errorInformation; the code is empty if the content is none."""
        try:
            information = self.content["errorInformation"]
            return str(information["errorCode"]), str(information.get("errorDescription", ""))
        except (AttributeError, KeyError, TypeError):
            return "", self.text


class AdminClient:
    """Use it as an async context manager. All methods raise HubNotReadyError while the hub cannot answer."""

    def __init__(self, url: str, *, timeout_s: int = REQUEST_TIMEOUT_S) -> None:
        self.url = url.rstrip("/")
        self._timeout_s = timeout_s
        self._session = ClientSession(timeout=ClientTimeout(total=timeout_s))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._session.close()

    async def call(self, method: str, path: str, body: Any = None) -> Reply:
        """A request that must be accepted.

        Raises:
            RefusedError: it was not.
        """
        reply = await self._request(method, path, body)
        if not reply.ok:
            self._refuse(method, path, reply)
        return reply

    async def post(self, path: str, body: Any) -> Reply:
        """POST; a refusal is given back, not raised."""
        return await self._request("POST", path, body)

    async def get(self, path: str) -> Any:
        """The content of a resource, or None if the hub does not know it (HTTP 400 and 404, protocol 2.1).

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
        """The body of an answer as it comes, whatever its length; the client's time limit holds for each part of it.

        Raises:
            RefusedError: there is none.
            HubNotReadyError: it ended before its end.
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
        """All accounts of a participant; none if there is no such participant.

        Raises:
            AdminError: the answer is no list of accounts.
        """
        content = await self.get(f"/participants/{participant}/accounts")
        try:
            return BALANCES.validate_python(content or [])
        except ValidationError as error:
            raise AdminError(f"accounts of {participant} cannot be read: {error!r} in {content}") from error

    async def account(self, participant: str, currency: str, account_type: str) -> AccountBalance | None:
        """The participant's account of that currency and type, or None."""
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
    """Why there is no answer, for a person."""
    if isinstance(error, ClientConnectorError) and error.errno is not None and error.errno > 0:
        return os.strerror(error.errno)
    return str(error) or repr(error)
