"""`python -m bench.generator.provision`: set up the generator's participants, and their parties, at a running hub.

It can be repeated: what exists already stays. Exit codes: 0 all is set up; 1 it is not, and the output says why.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import ssl
import sys
import zlib
from collections.abc import Sequence
from email.utils import formatdate
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit
from uuid import uuid4

from aiohttp import ClientError, ClientSession, ClientTimeout
from aiohttp.web import Application, AppRunner, Request, Response, TCPSite

from clearinghub.security.key_files import read_private_key
from clearinghub.security.signature import Signer
from clearinghub.tools.client.admin import AdminClient, AdminError

ADMIN_URL: Final = "http://127.0.0.1:4001"
MEDIA_TYPE: Final = "application/vnd.interoperability.participants+json;version="
TRANSFER_ENDPOINTS: Final = {
    "TRANSFER_POST": "transfers",
    "TRANSFER_PUT": "transfers/{{transferId}}",
    "TRANSFER_ERROR": "transfers/{{transferId}}/error",
}
PAYMENT_ENDPOINTS: Final = {
    "PARTIES_GET": "parties/MSISDN/{{partyIdentifier}}",
    "PARTIES_PUT": "parties/MSISDN/{{partyIdentifier}}",
    "PARTIES_PUT_ERROR": "parties/MSISDN/{{partyIdentifier}}/error",
    "QUOTES": "",
    "PARTICIPANT_PUT": "participants/MSISDN/{{partyIdentifier}}",
    "PARTICIPANT_PUT_ERROR": "participants/MSISDN/{{partyIdentifier}}/error",
}
CONFIRMATIONS: Final = "confirmations/{{transferId}}"
REQUEST_TIMEOUT_S: Final = 30
SETTLE_TIMEOUT_S: Final = 30.0
CALLBACKS_TIMEOUT_S: Final = 60.0
AT_ONCE: Final = 16
BUSY_TRIES_MAX: Final = 20
BUSY_PAUSE_S: Final = 0.5


def options() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(prog="python -m bench.generator.provision", description=__doc__)
    parser.add_argument("--api", default=ADMIN_URL, help="the hub's admin API")
    parser.add_argument("--callbacks", help="the generator's -listen; http://127.0.0.1:14040, https with --tls")
    parser.add_argument("--payers", default="payerfsp1,payerfsp2,payerfsp3,payerfsp4", type=_names)
    parser.add_argument("--payees", default="payeefsp1,payeefsp2,payeefsp3,payeefsp4", type=_names)
    parser.add_argument("--currency", default="USD")
    parser.add_argument("--ndc", type=int, default=1_000_000_000, help="each participant's net debit cap")
    parser.add_argument("--funds", type=int, default=1_000_000_000, help="each participant's funds, at least")
    parser.add_argument(
        "--fspiop",
        help="the hub's FSPIOP API, for parties; beside the default --api port 4000, else no parties",
    )
    parser.add_argument("--parties", type=int, default=100, help="of each payee; the generator's -parties; 0: none")
    parser.add_argument("--jws", type=Path, metavar="DIR", help="sign with DIR/NAME.key of `loadgen -jws-make DIR`")
    parser.add_argument("--tls", type=Path, metavar="DIR", help="https, with certificates of `loadgen -tls-make DIR`")
    parser.add_argument(
        "--separate-confirmations",
        action="store_true",
        help="the payees' confirmations of a commit go to a path that the generator ignores: with -stages transfer it "
        "counts the first PUT of a transfer as the payer's, whoever receives it",
    )
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Set everything up; return the exit code."""
    chosen = options().parse_args(arguments)
    scheme = "https" if chosen.tls else "http"
    chosen.callbacks = (chosen.callbacks or f"{scheme}://127.0.0.1:14040").rstrip("/")
    if chosen.fspiop is None:
        chosen.fspiop = f"{scheme}://127.0.0.1:4000" if chosen.api == ADMIN_URL else ""
    has_parties = bool(chosen.fspiop and chosen.parties)
    try:
        asyncio.run(_set_up_participants(chosen, has_parties=has_parties))
        if not has_parties:
            print("no parties: -stages payment needs --fspiop URL and --parties N")
            return 0
        return asyncio.run(_Registration(chosen).run())
    except (AdminError, ClientError, OSError) as error:
        print(error)
        return 1


async def _set_up_participants(chosen: argparse.Namespace, *, has_parties: bool) -> None:
    async with AdminClient(chosen.api, timeout_s=REQUEST_TIMEOUT_S) as admin:
        await _set_up_hub(admin, chosen.currency)
        for name in (*chosen.payers, *chosen.payees):
            await _set_up_participant(admin, name, chosen, has_parties=has_parties)
        for name in (*chosen.payers, *chosen.payees):
            await _wait_for_funds(admin, name, chosen)


async def _set_up_hub(admin: AdminClient, currency: str) -> None:
    for account_type in ("HUB_MULTILATERAL_SETTLEMENT", "HUB_RECONCILIATION"):
        await _ensure(admin, "/participants/Hub/accounts", {"currency": currency, "type": account_type})
    model = {
        "name": f"DEFERREDNET{currency}",
        "settlementGranularity": "NET",
        "settlementInterchange": "MULTILATERAL",
        "settlementDelay": "DEFERRED",
        "currency": currency,
        "requireLiquidityCheck": True,
        "ledgerAccountType": "POSITION",
        "settlementAccountType": "SETTLEMENT",
        "autoPositionReset": True,
    }
    await _ensure(admin, "/settlementModels", model)


async def _set_up_participant(admin: AdminClient, name: str, chosen: argparse.Namespace, *, has_parties: bool) -> None:
    await _ensure(admin, "/participants", {"name": name, "currency": chosen.currency})
    limit = {"type": "NET_DEBIT_CAP", "value": chosen.ndc}
    body = {"currency": chosen.currency, "limit": limit, "initialPosition": 0}
    await _ensure(admin, f"/participants/{name}/initialPositionAndLimits", body)
    endpoints = TRANSFER_ENDPOINTS | (PAYMENT_ENDPOINTS if has_parties else {})
    if chosen.separate_confirmations and name in chosen.payees:
        endpoints = endpoints | {"TRANSFER_PUT": CONFIRMATIONS}
    for kind, path in endpoints.items():
        url = f"{chosen.callbacks}/{name}/{path}".rstrip("/")
        await admin.call(
            "POST", f"/participants/{name}/endpoints", {"type": f"FSPIOP_CALLBACK_URL_{kind}", "value": url}
        )
    if await _funds(admin, name, chosen.currency) < chosen.funds:
        account = await admin.account(name, chosen.currency, "SETTLEMENT")
        if account is None:
            raise AdminError(f"{name} has no settlement account in {chosen.currency}")
        body = {
            "transferId": str(uuid4()),
            "externalReference": "bench",
            "action": "recordFundsIn",
            "reason": "bench",
            "amount": {"amount": str(chosen.funds), "currency": chosen.currency},
        }
        await admin.call("POST", f"/participants/{name}/accounts/{account.account_id}", body)


async def _ensure(admin: AdminClient, path: str, body: dict[str, Any]) -> None:
    """POST what may exist already; the hub refuses a second one, and that refusal is printed."""
    reply = await admin.post(path, body)
    if not reply.ok:
        print(f"  POST {path} -> {reply.text}")


async def _funds(admin: AdminClient, name: str, currency: str) -> float:
    """Return what the participant has paid in, in currency units: its settlement account is negative by that much."""
    for account in await admin.get(f"/participants/{name}/accounts") or []:
        if (account["ledgerAccountType"], account["currency"]) == ("SETTLEMENT", currency):
            return -float(account["value"])
    return 0.0


async def _wait_for_funds(admin: AdminClient, name: str, chosen: argparse.Namespace) -> None:
    try:
        async with asyncio.timeout(SETTLE_TIMEOUT_S):
            while await _funds(admin, name, chosen.currency) < chosen.funds:
                await asyncio.sleep(BUSY_PAUSE_S)
    except TimeoutError:
        raise AdminError(f"{name}'s funds did not arrive within {SETTLE_TIMEOUT_S:g} s") from None
    print(f"{name}: ready")


class _Registration:
    """Registers the payees' parties. The hub confirms each by a callback, so this listens where the generator will."""

    def __init__(self, chosen: argparse.Namespace) -> None:
        self._chosen = chosen
        self._outcomes: dict[str, str | None] = {}  # by party: None, or the error that the hub called back with
        self._arrived = asyncio.Event()
        self._slots = asyncio.Semaphore(AT_ONCE)

    async def run(self) -> int:
        """Register all; return the exit code."""
        runner = await self._listen()
        try:
            accepted = [
                number
                for numbers in await asyncio.gather(*(self._register_all(name) for name in self._chosen.payees))
                for number in numbers
            ]
            if runner is not None:
                await self._wait_for(accepted)
        finally:
            if runner is not None:
                await runner.cleanup()
        expected = len(self._chosen.payees) * self._chosen.parties
        for error in sorted({error for error in self._outcomes.values() if error is not None}):
            print(f"  PUT error {error}")
        good = accepted if runner is None else [one for one in accepted if self._outcomes.get(one, "missing") is None]
        print(f"{len(good)} of {expected} parties registered{'' if runner else ' (accepted; not confirmed)'}")
        return int(len(good) != expected)

    async def _listen(self) -> AppRunner | None:
        app = Application()
        app.router.add_route("*", "/{path:.*}", self._on_callback)
        url = urlsplit(self._chosen.callbacks)
        runner = AppRunner(app, access_log=None)
        await runner.setup()
        context = self._tls("server", ssl.Purpose.CLIENT_AUTH) if url.scheme == "https" else None
        try:
            await TCPSite(runner, url.hostname, url.port, ssl_context=context).start()
        except OSError as error:
            print(f"cannot receive the hub's confirmations: {url.netloc}: {error}")
            await runner.cleanup()
            return None
        return runner

    async def _on_callback(self, request: Request) -> Response:
        _, _, party = request.path.partition("/participants/MSISDN/")
        if party:
            error = json.dumps((await request.json())["errorInformation"]) if party.endswith("/error") else None
            self._outcomes[party.removesuffix("/error")] = error
            self._arrived.set()
        return Response()

    async def _wait_for(self, accepted: Sequence[str]) -> None:
        try:
            async with asyncio.timeout(CALLBACKS_TIMEOUT_S):
                while not self._outcomes.keys() >= set(accepted):
                    self._arrived.clear()
                    await self._arrived.wait()
        except TimeoutError:
            print(f"not all confirmations came within {CALLBACKS_TIMEOUT_S:g} s")

    async def _register_all(self, name: str) -> list[str]:
        """Return the parties of one payee that the hub has accepted."""
        tls = self._tls(name, ssl.Purpose.SERVER_AUTH) if self._chosen.tls else None
        key = self._chosen.jws and self._chosen.jws / f"{name}.key"
        signer = Signer(read_private_key(key)) if key else None
        numbers = [party_number(name, index) for index in range(self._chosen.parties)]
        async with ClientSession(timeout=ClientTimeout(total=REQUEST_TIMEOUT_S)) as session:
            accepted = await asyncio.gather(*(self._register(session, tls, signer, name, one) for one in numbers))
        return [number for number, is_accepted in zip(numbers, accepted, strict=True) if is_accepted]

    async def _register(
        self, session: ClientSession, tls: ssl.SSLContext | None, signer: Signer | None, name: str, number: str
    ) -> bool:
        path = f"/participants/MSISDN/{number}"
        body = json.dumps({"fspId": name, "currency": self._chosen.currency}).encode()
        text = ""
        async with self._slots:
            for _ in range(BUSY_TRIES_MAX):
                headers = {
                    "content-type": f"{MEDIA_TYPE}1.1",
                    "accept": f"{MEDIA_TYPE}1",
                    "date": formatdate(usegmt=True),
                    "fspiop-source": name,
                }
                if signer is not None:
                    headers |= {"fspiop-uri": path, "fspiop-http-method": "POST"}
                    headers["fspiop-signature"] = signer.sign(headers, body)
                url = self._chosen.fspiop.rstrip("/") + path
                try:
                    async with session.post(url, data=body, headers=headers, ssl=tls or True) as response:
                        if response.status in (HTTPStatus.OK, HTTPStatus.ACCEPTED):
                            return True
                        text = f"{response.status} {await response.text()}"
                        if response.status != HTTPStatus.SERVICE_UNAVAILABLE:
                            break
                except (ClientError, TimeoutError) as error:
                    text = repr(error)
                await asyncio.sleep(BUSY_PAUSE_S)
        print(f"  POST {path} of {name} -> {text}")
        return False

    def _tls(self, name: str, purpose: ssl.Purpose) -> ssl.SSLContext:
        folder: Path = self._chosen.tls
        context = ssl.create_default_context(purpose, cafile=str(folder / "ca.crt"))
        context.load_cert_chain(folder / f"{name}.crt", folder / f"{name}.key")
        return context


def party_number(name: str, index: int) -> str:
    """Return the MSISDN of a payee's party; loadgen derives the same from the payee's name."""
    return f"1{zlib.crc32(name.encode()) % 100_000_000:08d}{index:06d}"


def _names(text: str) -> list[str]:
    return text.split(",")


if __name__ == "__main__":
    sys.exit(main())
