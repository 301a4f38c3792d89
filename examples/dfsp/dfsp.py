"""A small DFSP (a bank or wallet) that pays and is paid through the hub. docs/dfsp.md explains each step.

    python examples/dfsp/dfsp.py pay MSISDN/447700900123 10 USD     look the payee up, ask for a quote, transfer
    python examples/dfsp/dfsp.py listen                             answer what other DFSPs ask, until Ctrl-C

It needs aiohttp only. It keeps what it knows in memory: a real DFSP keeps it in its database, in the same transaction
as its customers' accounts, and starts from there after a crash.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import sys
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Coroutine
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from email.utils import format_datetime
from hashlib import sha256
from hmac import new as new_hmac
from pathlib import Path
from typing import Any, Final, Self
from uuid import uuid4

from aiohttp import ClientError, ClientSession, ClientTimeout
from aiohttp.web import Application, AppRunner, Request, Response, TCPSite

NAME: Final = "mybank"
CUSTOMERS: Final = {"MSISDN/447700900789": "Mia Customer"}
SECRET: Final = b"known to this DFSP alone; a real one keeps it in a vault"
MEDIA_TYPE: Final = "application/vnd.interoperability.{}+json;version={}"
MINOR_DIGITS: Final = {"UGX": 0, "TND": 3}  # of amounts in ILP packets; two for all other currencies
REQUEST_TIMEOUT_S: Final = 10  # until the hub answers 202 or 200: above its own 5 s for writing to the broker
ATTEMPTS_MAX: Final = 8
ANSWER_TIMEOUT_S: Final = 15  # until a lookup's or quote's callback: above the 10 s in which the hub reports a failure
TRANSFER_LIFETIME_S: Final = 30
GRACE_S: Final = 5  # after a transfer's expiration, until its outcome must have arrived


class RefusedError(Exception):
    """The hub or the other DFSP refused; the text is FSPIOP's error code and description."""


class NoAnswerError(Exception):
    """The hub did not answer, or a callback did not come: the outcome is unknown."""


# --- ILP: the packet of a quote, and the condition that locks the transfer


def base64url(data: bytes) -> str:
    """Return base64url text without padding."""
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def from_base64url(text: str) -> bytes:
    """Return the bytes of base64url text, padded or not."""
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))


def make_packet(transaction: dict[str, Any]) -> str:
    """Return the ILP packet of a Transaction: amount, the payee's ILP address, the Transaction's JSON in base64url."""
    amount, party = transaction["amount"], transaction["payee"]["partyIdInfo"]
    digits = MINOR_DIGITS.get(amount["currency"], 2)
    address = f"g.{party['fspId']}.{party['partyIdType'].lower()}.{party['partyIdentifier'].lower()}"
    data = base64url(json.dumps(transaction, separators=(",", ":")).encode()).encode()
    content = int(Decimal(amount["amount"]).scaleb(digits)).to_bytes(8, "big")
    content += _octets(address.encode()) + _octets(data) + b"\0"
    return base64url(b"\1" + _octets(content))


def read_packet(packet: str) -> dict[str, Any]:
    """Return the Transaction in an ILP packet; raise ValueError if there is none."""
    raw = from_base64url(packet)
    if raw[:1] != b"\1":
        raise ValueError("not an ILP payment")
    content, _ = _take_octets(raw[1:])
    _address, rest = _take_octets(content[8:])
    data, _ = _take_octets(rest)
    transaction = json.loads(from_base64url(data.decode()))
    if not isinstance(transaction, dict):
        raise ValueError("no Transaction in the packet")  # noqa: TRY004 - one exception for the caller
    return transaction


def fulfilment_of(packet: str) -> str:
    """Return the fulfilment of a packet: only who knows SECRET can compute it, that is, the payee's DFSP."""
    return base64url(new_hmac(SECRET, packet.encode(), sha256).digest())


def condition_of(fulfilment: str) -> str:
    """Return the condition that a fulfilment fulfils: its SHA-256. Everybody can check this."""
    return base64url(sha256(from_base64url(fulfilment)).digest())


def _octets(data: bytes) -> bytes:
    """Return `data` after its length: one byte up to 127, else 0x80 plus the length's own number of bytes first."""
    if len(data) < 0x80:  # noqa: PLR2004 - of the encoding (X.696)
        return bytes([len(data)]) + data
    size = (len(data).bit_length() + 7) // 8
    return bytes([0x80 | size]) + len(data).to_bytes(size, "big") + data


def _take_octets(data: bytes) -> tuple[bytes, bytes]:
    size = data[0] & 0x7F if data[0] & 0x80 else 0
    length = int.from_bytes(data[1 : 1 + size], "big") if size else data[0]
    return data[1 + size : 1 + size + length], data[1 + size + length :]


# --- The DFSP


class Dfsp:
    """Listens for the hub's callbacks and sends requests to the hub."""

    def __init__(self, hub: str, port: int, inbox: Path) -> None:
        self._hub = hub
        self._port = port
        self._inbox = inbox
        self._expected: dict[str, asyncio.Future[dict[str, Any]]] = {}  # by the path of the callback
        self._answers: dict[str, tuple[str, dict[str, Any]]] = {}  # by the question's id: path and body
        self._credits: dict[str, dict[str, Any]] = {}  # transfers that this DFSP, as payee, has promised to accept
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        # aiohttp would add `Accept: */*`, which the hub refuses.
        timeout = ClientTimeout(total=REQUEST_TIMEOUT_S)
        self._session = ClientSession(timeout=timeout, skip_auto_headers=("Accept", "Content-Type"))
        app = Application(client_max_size=5_242_880)
        app.router.add_route("*", "/{path:.*}", self._on_callback)
        self._runner = AppRunner(app, access_log=None)
        await self._runner.setup()
        await TCPSite(self._runner, "127.0.0.1", self._port).start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._session.close()

    async def send(
        self, method: str, path: str, destination: str | None = None, content: dict[str, Any] | None = None
    ) -> None:
        """Send a request until the hub has accepted it: always with the same id and the same body.

        Raises:
            RefusedError: the hub will not accept it, however often it is sent.
            NoAnswerError: too many attempts; whether the hub has it is not known.
        """
        resource = path.split("/")[1]
        headers = {"Content-Type": MEDIA_TYPE.format(resource, "1.1"), "FSPIOP-Source": NAME}
        if method != "PUT":
            headers["Accept"] = MEDIA_TYPE.format(resource, "1")
        if destination is not None:
            headers["FSPIOP-Destination"] = destination
        body = json.dumps(content).encode() if content is not None else None
        self._save(method, path, content)
        for _ in range(ATTEMPTS_MAX):
            headers["Date"] = format_datetime(datetime.now(UTC), usegmt=True)
            try:
                async with self._session.request(method, self._hub + path, data=body, headers=headers) as response:
                    print(f"-> {method} {path} {response.status}", flush=True)
                    if response.ok:
                        return
                    if response.status < 500:  # noqa: PLR2004 - HTTP's own number
                        raise RefusedError(_error_text(await response.json(content_type=None)))
                    pause_s = float(response.headers.get("Retry-After", 1))
            except (ClientError, TimeoutError) as error:  # the hub may have it all the same: repeating does no harm
                print(f"-> {method} {path} no answer: {error!r}", flush=True)
                pause_s = 1.0
            await asyncio.sleep(pause_s * random.uniform(0.75, 1.5))
        raise NoAnswerError(f"{method} {path}")

    async def ask(
        self,
        method: str,
        path: str,
        answer_path: str,
        destination: str | None = None,
        content: dict[str, Any] | None = None,
        *,
        timeout_s: float = ANSWER_TIMEOUT_S,
    ) -> dict[str, Any]:
        """Send a request and return the body of the callback that answers it, PUT `answer_path`.

        Raises:
            RefusedError: PUT `answer_path`/error came instead, or the hub refused the request.
            NoAnswerError: no callback within `timeout_s` seconds.
        """
        expected: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._expected[answer_path] = expected
        try:
            async with asyncio.timeout(timeout_s):
                await self.send(method, path, destination, content)
                return await expected
        except TimeoutError:
            raise NoAnswerError(f"{answer_path}: no callback in {timeout_s} s") from None
        finally:
            del self._expected[answer_path]

    # --- as payer

    async def pay(self, party: str, amount: str, currency: str) -> dict[str, Any]:
        """Pay `amount` to a party such as `MSISDN/447700900123`; return the last callback's body, COMMITTED."""
        found = await self.ask("GET", f"/parties/{party}", f"/parties/{party}")
        payee = found["party"]
        payee_fsp = payee["partyIdInfo"]["fspId"]
        print(f"   payee: {payee.get('name', party)} at {payee_fsp}")

        money = {"currency": currency, "amount": amount}
        payer_type, payer_id = next(iter(CUSTOMERS)).split("/")
        quote = {
            "quoteId": str(uuid4()),
            "transactionId": str(uuid4()),
            "payee": payee,
            "payer": {"partyIdInfo": {"partyIdType": payer_type, "partyIdentifier": payer_id, "fspId": NAME}},
            "amountType": "SEND",
            "amount": money,
            "transactionType": {"scenario": "TRANSFER", "initiator": "PAYER", "initiatorType": "CONSUMER"},
        }
        offer = await self.ask("POST", "/quotes", f"/quotes/{quote['quoteId']}", payee_fsp, quote)
        print(f"   offer: {offer['transferAmount']}, payee receives {offer.get('payeeReceiveAmount')}")
        if offer["transferAmount"] != money or read_packet(offer["ilpPacket"])["amount"] != money:
            raise RefusedError("the offer is for another amount: ask the customer again")

        transfer = {
            "transferId": str(uuid4()),
            "payerFsp": NAME,
            "payeeFsp": payee_fsp,
            "amount": offer["transferAmount"],
            "ilpPacket": offer["ilpPacket"],
            "condition": offer["condition"],
            "expiration": _timestamp(TRANSFER_LIFETIME_S),
        }
        # Here a real DFSP holds the customer's money, and stores the transfer before it sends it.
        return await self._transfer(transfer, payee_fsp)

    async def _transfer(self, transfer: dict[str, Any], payee_fsp: str) -> dict[str, Any]:
        path = f"/transfers/{transfer['transferId']}"
        try:
            timeout_s = TRANSFER_LIFETIME_S + GRACE_S
            outcome = await self.ask("POST", "/transfers", path, payee_fsp, transfer, timeout_s=timeout_s)
        except NoAnswerError:  # the transfer is over by now, one way or the other: ask, never guess
            outcome = await self.ask("GET", path, path)
        if outcome["transferState"] != "COMMITTED":
            raise RefusedError(f"the transfer is {outcome['transferState']}: give the customer the money back")
        if condition_of(outcome["fulfilment"]) != transfer["condition"]:
            raise RefusedError("the fulfilment does not fit the condition: tell the operator")
        return outcome

    # --- as payee

    async def _answer(self, method: str, path: str, source: str, content: dict[str, Any]) -> None:
        """Answer what another DFSP asks. The same question, by its id, gets the same answer."""
        _, resource, *rest = path.split("/")
        if resource == "parties":
            answer = self._party_answer("/".join(rest))
        elif (resource, method) in {("quotes", "POST"), ("transfers", "POST")}:
            make = self._quote_answer if resource == "quotes" else self._transfer_answer
            question_id = content["quoteId" if resource == "quotes" else "transferId"]
            if question_id not in self._answers:
                self._answers[question_id] = make(content)
            answer = self._answers[question_id]
        else:
            return
        try:
            await self.send("PUT", answer[0], source, answer[1])
        except (RefusedError, NoAnswerError) as error:
            print(f"   {answer[0]}: {error!r}", flush=True)

    def _party_answer(self, party: str) -> tuple[str, dict[str, Any]]:
        if party not in CUSTOMERS:
            return f"/parties/{party}/error", _error("3204", "Party not found")
        id_type, identifier = party.split("/")
        info = {"partyIdType": id_type, "partyIdentifier": identifier, "fspId": NAME}
        return f"/parties/{party}", {"party": {"partyIdInfo": info, "name": CUSTOMERS[party]}}

    def _quote_answer(self, quote: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        """Offer to accept the amount without a fee; the packet says what was agreed on."""
        path = f"/quotes/{quote['quoteId']}"
        party = quote["payee"]["partyIdInfo"]
        if f"{party['partyIdType']}/{party['partyIdentifier']}" not in CUSTOMERS:
            return f"{path}/error", _error("5103", "Payee FSP rejected quote")
        transaction = {name: quote[name] for name in ("transactionId", "quoteId", "payer", "amount", "transactionType")}
        transaction["payee"] = {**quote["payee"], "partyIdInfo": {**party, "fspId": NAME}}
        packet = make_packet(transaction)
        return path, {
            "transferAmount": quote["amount"],
            "payeeReceiveAmount": quote["amount"],
            "ilpPacket": packet,
            "condition": condition_of(fulfilment_of(packet)),
            "expiration": _timestamp(60),
        }

    def _transfer_answer(self, transfer: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        """Accept a transfer that is what a quote of this DFSP offered; the condition proves that the packet is ours."""
        path = f"/transfers/{transfer['transferId']}"
        fulfilment = fulfilment_of(transfer["ilpPacket"])
        is_ours = transfer["payeeFsp"] == NAME and condition_of(fulfilment) == transfer["condition"]
        if not is_ours or read_packet(transfer["ilpPacket"])["amount"] != transfer["amount"]:
            return f"{path}/error", _error("5105", "Payee FSP rejected transaction")
        self._credits[transfer["transferId"]] = transfer
        # RESERVED: the hub reports the outcome by PATCH, and only then the customer is credited.
        return path, {"fulfilment": fulfilment, "transferState": "RESERVED", "completedTimestamp": _timestamp()}

    def _finish_credit(self, transfer_id: str, state: str) -> None:
        transfer = self._credits.pop(transfer_id, None)
        if transfer is None:  # not for us, or reported before: callbacks can come more than once
            return
        if state == "COMMITTED":
            payee = read_packet(transfer["ilpPacket"])["payee"]["partyIdInfo"]
            amount = transfer["amount"]
            print(f"   credited {payee['partyIdentifier']} with {amount['amount']} {amount['currency']}", flush=True)
        else:
            print(f"   transfer {transfer_id} was not committed: nothing to credit", flush=True)

    # --- callbacks

    async def _on_callback(self, request: Request) -> Response:
        """Answer the hub at once, and only then do the work: what takes longer than 20 s is sent again."""
        body = await request.read()
        content = json.loads(body) if body else {}
        print(f"<- {request.method} {request.path} from {request.headers.get('FSPIOP-Source')}", flush=True)
        self._save(request.method, request.path, content)
        path = request.path.removesuffix("/error")
        if request.method in {"GET", "POST"}:
            self._start(self._answer(request.method, request.path, request.headers["FSPIOP-Source"], content))
            return Response(status=202)
        state = content.get("transferState")
        expected = self._expected.get(path)
        # A repeated POST is answered with the current state: the outcome is still to come.
        if expected is not None and not expected.done() and state not in {"RECEIVED", "RESERVED"}:
            if path == request.path:
                expected.set_result(content)
            else:
                expected.set_exception(RefusedError(_error_text(content)))
        if path.startswith("/transfers/") and request.method in {"PATCH", "PUT"}:
            self._finish_credit(path.split("/")[2], state or "ABORTED")
        return Response(status=200)

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _save(self, method: str, path: str, content: dict[str, Any] | None) -> None:
        """Keep the body in the inbox as METHOD.PATH.json, for people who follow the guide with curl."""
        self._inbox.mkdir(parents=True, exist_ok=True)
        file = self._inbox / f"{method}{path.replace('/', '.')}.json"
        part = file.with_suffix(".part")
        part.write_text(json.dumps(content))
        part.rename(file)


def _timestamp(from_now_s: int = 0) -> str:
    """Return FSPIOP's DateTime: UTC with exactly three digits of milliseconds."""
    moment = datetime.now(UTC) + timedelta(seconds=from_now_s)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _error(code: str, description: str) -> dict[str, Any]:
    return {"errorInformation": {"errorCode": code, "errorDescription": description}}


def _error_text(content: dict[str, Any]) -> str:
    information = content["errorInformation"]
    return f"{information['errorCode']} {information['errorDescription']}"


async def run(arguments: argparse.Namespace) -> int:
    """Pay or listen; return the exit code."""
    async with Dfsp(arguments.hub, arguments.port, arguments.inbox) as dfsp:
        if arguments.command == "listen":
            print(f"{NAME} listens on http://127.0.0.1:{arguments.port}", flush=True)
            await asyncio.Event().wait()
        try:
            outcome = await dfsp.pay(arguments.party, arguments.amount, arguments.currency)
        except RefusedError as error:
            print(f"not paid: {error}", file=sys.stderr)
            return 1
        except NoAnswerError as error:
            print(
                f"unknown; ask again later with GET /transfers/ID, and refund nothing until then: {error}",
                file=sys.stderr,
            )
            return 2
        print(f"paid: {outcome['transferState']}, fulfilment {outcome['fulfilment']}")
        return 0


def main() -> int:
    """Read the command line and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hub", default=os.environ.get("HUB", "http://127.0.0.1:4000"))
    parser.add_argument("--port", type=int, default=os.environ.get("PORT", "14003"))
    parser.add_argument("--inbox", type=Path, default=os.environ.get("INBOX", "run/mybank"))
    commands = parser.add_subparsers(dest="command", required=True)
    pay = commands.add_parser("pay", help="pay a party of another DFSP")
    pay.add_argument("party", help="TYPE/IDENTIFIER, e.g. MSISDN/447700900123")
    pay.add_argument("amount", help="e.g. 10 or 10.5: no trailing zeros after the point")
    pay.add_argument("currency", help="e.g. USD")
    commands.add_parser("listen", help="answer other DFSPs until Ctrl-C")
    try:
        return asyncio.run(run(parser.parse_args()))
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
