"""The parties of a simulated DFSP: registered with the hub, looked up, and described to whoever asks (fspiop 6)."""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Any, Final

from aiohttp.web import Application, Request, Response

from clearinghub.sandbox.wire import error_body, http_date

PARTY_TYPE: Final = "MSISDN"
CALLBACK_TIMEOUT_S: Final = 10.0
_MEDIA_TYPE: Final = "application/vnd.interoperability.{}+json;version=1"

SendParty = Callable[[str, str, dict[str, str], bytes | None], Awaitable[int]]
"""Sends method, path, headers and body to the hub; gives the status."""


class PartyLookupError(Exception):
    """The hub did not do what it was asked; the text tells what it said."""


class Parties:
    """Who its parties are, by identifier, and what it hears of others'."""

    def __init__(self, name: str, send: SendParty) -> None:
        self._name = name
        self._send = send
        self._own: dict[str, str] = {}
        self._waiting: defaultdict[str, list[asyncio.Future[dict[str, Any]]]] = defaultdict(list)
        self._answers: set[asyncio.Task[int]] = set()

    def add_routes(self, application: Application) -> None:
        """Serve what the hub sends of parties."""
        application.router.add_get("/parties/{type}/{id}", self._on_lookup)
        for resource in ("parties", "participants"):
            application.router.add_put(f"/{resource}/{{type}}/{{id}}", self._on_answer)
            application.router.add_put(f"/{resource}/{{type}}/{{id}}/error", self._on_answer)

    def endpoints(self, base_url: str) -> dict[str, str]:
        """What to register with the hub: endpoint type -> URL template (fspiop 5.4)."""
        party, prefix = "{{partyIdType}}/{{partyIdentifier}}", "FSPIOP_CALLBACK_URL_"
        return {
            f"{prefix}PARTIES_GET": f"{base_url}/parties/{party}",
            f"{prefix}PARTIES_PUT": f"{base_url}/parties/{party}",
            f"{prefix}PARTIES_PUT_ERROR": f"{base_url}/parties/{party}/error",
            f"{prefix}PARTICIPANT_PUT": f"{base_url}/participants/{party}",
            f"{prefix}PARTICIPANT_PUT_ERROR": f"{base_url}/participants/{party}/error",
        }

    async def register(self, identifier: str, party_name: str) -> None:
        """Have a party, and tell the hub so.

        Raises:
            PartyLookupError: the hub refused it, or said nothing.
        """
        self._own[identifier] = party_name
        await self._ask("POST", "participants", identifier, json.dumps({"fspId": self._name}).encode())

    async def look_up(self, identifier: str) -> dict[str, Any]:
        """The party of that number, as its DFSP describes it.

        Raises:
            PartyLookupError: nobody has it, or nobody answered.
        """
        party: dict[str, Any] = (await self._ask("GET", "parties", identifier, None))["party"]
        return party

    async def stop(self) -> None:
        """Drop what was still to be answered."""
        for task in self._answers:
            task.cancel()
        await asyncio.gather(*self._answers, return_exceptions=True)

    async def _ask(self, method: str, resource: str, identifier: str, body: bytes | None) -> dict[str, Any]:
        path = f"/{resource}/{PARTY_TYPE}/{identifier}"
        answer = asyncio.get_running_loop().create_future()
        self._waiting[path].append(answer)
        media_type = _MEDIA_TYPE.format(resource)
        status = await self._send(method, path, {"Accept": media_type, **self._headers(resource)}, body)
        if status != HTTPStatus.ACCEPTED:
            raise PartyLookupError(f"{method} {path} was answered {status}")
        try:
            async with asyncio.timeout(CALLBACK_TIMEOUT_S):
                content: dict[str, Any] = await answer
        except TimeoutError:
            raise PartyLookupError(f"{method} {path}: no callback in {CALLBACK_TIMEOUT_S:.0f} s") from None
        if "errorInformation" in content:
            raise PartyLookupError(f"{method} {path}: {content['errorInformation']}")
        return content

    async def _on_lookup(self, request: Request) -> Response:
        task = asyncio.create_task(self._describe(request.path, request.headers.get("FSPIOP-Source", "")))
        self._answers.add(task)
        task.add_done_callback(self._answers.discard)
        return Response(status=HTTPStatus.ACCEPTED)

    async def _describe(self, path: str, requester: str) -> int:
        _, _, id_type, identifier = path.split("/")
        headers = {**self._headers("parties"), "FSPIOP-Destination": requester}
        party_name = self._own.get(identifier) if id_type == PARTY_TYPE else None
        if party_name is None:
            return await self._send("PUT", f"{path}/error", headers, error_body("3204", "Party not found"))
        named = {"partyIdType": id_type, "partyIdentifier": identifier, "fspId": self._name}
        body = {"party": {"partyIdInfo": named, "name": party_name}}
        return await self._send("PUT", path, headers, json.dumps(body).encode())

    async def _on_answer(self, request: Request) -> Response:
        try:
            content = json.loads(await request.read())
        except ValueError:
            return Response(status=HTTPStatus.BAD_REQUEST)
        for answer in self._waiting.pop(request.path.removesuffix("/error"), ()):
            if not answer.done():
                answer.set_result(content)
        return Response(status=HTTPStatus.OK)

    def _headers(self, resource: str) -> dict[str, str]:
        media_type = f"{_MEDIA_TYPE.format(resource)}.1"
        return {"Content-Type": media_type, "Date": http_date(), "FSPIOP-Source": self._name}
