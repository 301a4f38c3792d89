"""A DFSP that sends and answers lookups and quotes over real HTTP; it measures times, and can be made to hang."""

from __future__ import annotations

import asyncio
import json
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Coroutine
from types import TracebackType
from typing import Any, Self

import aiohttp
from aiohttp.web import Application, AppRunner, Request, Response, TCPSite

from sandbox.dfsp.parties import Party
from sandbox.dfsp.quoting import quote_answer
from sandbox.dfsp.requests import PaymentIntent, quote_request
from sandbox.dfsp.wire import http_date

CONNECTIONS_MAX = 256
BUSY = 503
BUSY_PAUSE_S = 0.05


class LookupDfsp:
    """Sends lookups and quotes and answers those of others. While `answers` is not set, it hangs."""

    def __init__(self, name: str, hub_url: str) -> None:
        self.name = name
        self.answers = asyncio.Event()
        self.answers.set()
        self.requests_received = 0
        self._hub_url = hub_url
        self._waiting: defaultdict[str, list[asyncio.Future[dict[str, Any]]]] = defaultdict(list)
        self._tasks: set[asyncio.Task[object]] = set()

    async def __aenter__(self) -> Self:
        application = Application()
        application.router.add_route("GET", "/{resource}/{tail:.+}", self._on_get)
        application.router.add_route("PUT", "/{resource}/{tail:.+}", self._on_put)
        application.router.add_post("/quotes", self._on_quote)
        self._runner = AppRunner(application, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await TCPSite(self._runner, "127.0.0.1", 0).start()
        self._port = self._runner.addresses[0][1]
        connector = aiohttp.TCPConnector(limit=CONNECTIONS_MAX)
        self._session = aiohttp.ClientSession(connector=connector, skip_auto_headers=("Accept", "Content-Type"))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.answers.set()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._session.close()
        await self._runner.cleanup()

    @property
    def endpoints(self) -> dict[str, str]:
        """Return the endpoints to register with the hub."""
        base, prefix = f"http://127.0.0.1:{self._port}", "FSPIOP_CALLBACK_URL_"
        party = "{{partyIdType}}/{{partyIdentifier}}"
        return {
            f"{prefix}QUOTES": base,
            f"{prefix}PARTIES_GET": f"{base}/parties/{party}",
            f"{prefix}PARTIES_PUT": f"{base}/parties/{party}",
            f"{prefix}PARTIES_PUT_ERROR": f"{base}/parties/{party}/error",
            f"{prefix}PARTICIPANT_PUT": f"{base}/participants/{party}",
            f"{prefix}PARTICIPANT_PUT_ERROR": f"{base}/participants/{party}/error",
            f"{prefix}PARTICIPANT_BATCH_PUT": f"{base}/participants/{{{{requestId}}}}",
            f"{prefix}PARTICIPANT_BATCH_PUT_ERROR": f"{base}/participants/{{{{requestId}}}}/error",
        }

    async def ask(
        self, method: str, path: str, body: Any = None, destination: str | None = None, *, wait_s: float = 30.0
    ) -> dict[str, Any]:
        """Send a request; return the body of its callback."""
        waiting = asyncio.get_running_loop().create_future()
        ids = {"/participants": "requestId", "/quotes": "quoteId"}
        subject = f"{path}/{body[ids[path]]}" if path in ids else path.partition("?")[0]
        self._waiting[subject].append(waiting)
        status = await self.send(method, path, body, destination)
        assert 202 == status, status
        async with asyncio.timeout(wait_s):
            answer: dict[str, Any] = await waiting
            return answer

    async def send(self, method: str, path: str, body: Any = None, destination: str | None = None) -> int:
        """Send a request, and again while the hub answers that it is busy, as a DFSP does; return the status."""
        while (status := await self._send(method, path, body, destination)) == BUSY:
            await asyncio.sleep(BUSY_PAUSE_S)
        return status

    async def _send(self, method: str, path: str, body: Any, destination: str | None) -> int:
        media = f"application/vnd.interoperability.{path.split('/')[1]}+json;version=1"
        headers = {"Content-Type": f"{media}.1", "Date": http_date(), "FSPIOP-Source": self.name}
        if method != "PUT":
            headers["Accept"] = media
        if destination is not None:
            headers["FSPIOP-Destination"] = destination
        data = None if body is None else json.dumps(body).encode()
        async with self._session.request(method, self._hub_url + path, headers=headers, data=data) as answer:
            return answer.status

    async def look_up(self, identifier: str, id_type: str = "MSISDN") -> float:
        """GET /parties; return the seconds until the party's callback."""
        began_at = time.perf_counter()
        content = await self.ask("GET", f"/parties/{id_type}/{identifier}")
        assert identifier == content["party"]["partyIdInfo"]["partyIdentifier"], content
        return time.perf_counter() - began_at

    def quote_of(self, payee: str, currency: str) -> dict[str, Any]:
        """Return the body of a POST /quotes."""
        parties = Party("MSISDN", "27001", self.name, "A Payer"), Party("MSISDN", "27002", payee, "A Payee")
        return quote_request(PaymentIntent(*parties, 10_000, currency))

    async def quote(self, payee: str, currency: str) -> float:
        """POST /quotes; return the seconds until the terms' callback."""
        began_at = time.perf_counter()
        content = await self.ask("POST", "/quotes", self.quote_of(payee, currency), payee)
        assert "condition" in content, content
        return time.perf_counter() - began_at

    async def _on_quote(self, request: Request) -> Response:
        self.requests_received += 1
        await self.answers.wait()
        quote = await request.json()
        answer = quote_answer(quote, self.name, b"secret", {})
        self._later(self.send("PUT", f"/quotes/{quote['quoteId']}", answer, request.headers["FSPIOP-Source"]))
        return Response(status=202)

    async def _on_get(self, request: Request) -> Response:
        self.requests_received += 1
        await self.answers.wait()
        self._later(self._answer(request.path, request.headers["FSPIOP-Source"]))
        return Response(status=202)

    def _later(self, work: Coroutine[Any, Any, object]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _answer(self, path: str, source: str) -> None:
        _, _, id_type, identifier = path.split("/")
        party = {"partyIdInfo": {"partyIdType": id_type, "partyIdentifier": identifier, "fspId": self.name}}
        await self.send("PUT", path, {"party": party}, source)

    async def _on_put(self, request: Request) -> Response:
        content = await request.json()
        for waiting in self._waiting.pop(request.path.removesuffix("/error"), ()):
            if not waiting.done():
                waiting.set_result(content)
        return Response(status=200)


class SlowOracle:
    """An external oracle that answers slowly."""

    def __init__(self, delay_s: float, answer: Callable[[], dict[str, Any]]) -> None:
        self.delay_s = delay_s
        self.requests_received = 0
        self._answer = answer

    async def __aenter__(self) -> Self:
        application = Application()
        application.router.add_route("GET", "/{tail:.+}", self._on_get)
        self._runner = AppRunner(application, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._runner.cleanup()

    async def _on_get(self, _request: Request) -> Response:
        self.requests_received += 1
        await asyncio.sleep(self.delay_s)
        return Response(body=json.dumps(self._answer()).encode(), content_type="application/json")


async def side_by_side(ask: Callable[[int], Awaitable[float]], count: int, at_once: int) -> list[float]:
    """Run a query for each of the numbers below `count`, `at_once` at a time; return the results, smallest first."""
    turns = asyncio.Semaphore(at_once)

    async def one(number: int) -> float:
        async with turns:
            return await ask(number)

    return sorted(await asyncio.gather(*(one(number) for number in range(count))))


def shown(latencies: list[float]) -> str:
    """Return the median and the 95th and 99th percentiles, in milliseconds."""
    at = {percent: latencies[min(len(latencies) - 1, len(latencies) * percent // 100)] for percent in (50, 95, 99)}
    return ", ".join(f"p{percent} {seconds * 1000:.0f} ms" for percent, seconds in at.items())
