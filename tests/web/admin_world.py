"""The admin surface over real HTTP, with the ledger's own agents behind it, one partition in memory each."""

from __future__ import annotations

import asyncio
import json
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from aiohttp.test_utils import TestClient, TestServer
from aiohttp.web import Application

from agents.context import LedgerContext
from agents.handlers import make_handlers
from agents.posting import move_account
from agents.settlement.netting import book_commit
from agents.settlement.windows import make_window_punctuator
from clearinghub.config import Settings
from clearinghub.domain.participants.position import Position
from clearinghub.domain.transfers.transfer import State
from clearinghub.messages import CommandMessage, ReplyMessage, decode, encode
from clearinghub.messages.commands import Command, Result, encode_command, name_of, read_result
from clearinghub.ports import CommandRejectedError, CommandTimeoutError
from tables.positions import POSITIONS, position_key
from tables.windows import open_window
from tests.fakes import Emitted, FakeParticipants, MemoryView, Offsets
from tests.unit.domain.samples import transfer as a_transfer
from tests.web.coordinator_world import CoordinatorInMemory
from tests.web.topics_world import HistoryInMemory, TransfersInMemory
from web.admin.app import build_admin_app

PARTITIONS = 4
DELIVERED = ("credit", "settlement")  # topics whose records this ledger hands to its own handlers
NOW_MS = 1_700_000_000_000
MODEL = {
    "name": "DEFERREDNETUSD",
    "settlementGranularity": "NET",
    "settlementInterchange": "MULTILATERAL",
    "settlementDelay": "DEFERRED",
    "currency": "USD",
    "requireLiquidityCheck": True,
    "ledgerAccountType": "POSITION",
    "settlementAccountType": "SETTLEMENT",
    "autoPositionReset": True,
}
LIMIT = {"currency": "USD", "limit": {"type": "NET_DEBIT_CAP", "value": 1000}, "initialPosition": 0}
FUNDS_ID = "b51ec534-ee48-4575-b6a9-ead2955b8069"


@dataclass(frozen=True)
class Answer:
    """What an operator gets back; fractions in JSON as Decimal."""

    status: int
    text: str

    @property
    def json(self) -> Any:
        return json.loads(self.text, parse_float=Decimal)

    @property
    def error(self) -> tuple[int, str, str]:
        """Status, code and description."""
        information = self.json["errorInformation"]
        return self.status, information["errorCode"], information["errorDescription"]


@dataclass
class LedgerInMemory(CoordinatorInMemory):
    """CommandClient, LedgerReader and PacketReader: runs the agents in the broker's place, in the order of arrival."""

    participants: FakeParticipants
    hub_name: str = "Hub"
    views: list[MemoryView] = field(default_factory=lambda: [MemoryView(n, PARTITIONS) for n in range(PARTITIONS)])
    commands: list[tuple[str, str]] = field(default_factory=list)
    fails_with: Exception | None = None
    failing: dict[str, Exception] = field(default_factory=dict)
    loses_answer_to: str | None = None
    stalls_at: str | None = None
    asked: dict[str, Command] = field(default_factory=dict)
    now_ms: int = NOW_MS
    packets: dict[str, str] = field(default_factory=dict)
    history: HistoryInMemory = field(default_factory=HistoryInMemory)
    transfers: TransfersInMemory = field(default_factory=TransfersInMemory)
    replies: list[ReplyMessage] = field(default_factory=list)
    published: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    held_back: list[Emitted] | None = None  # records of topic `settlement` that do not arrive yet

    def __post_init__(self) -> None:
        view = self._view(self.hub_name)
        make_window_punctuator(view.partition, None)(view, NOW_MS)
        self._deliver(view.take())

    async def ilp_packet(self, transfer_id: str) -> str | None:
        if self.fails_with is not None:
            raise self.fails_with
        return self.packets.get(transfer_id)

    async def execute(self, participant: str, command: Command, result_type: type[Result]) -> Result:
        name = name_of(command)
        if self.fails_with is not None:
            raise self.fails_with
        self.asked[name] = command
        if name == self.stalls_at:
            await asyncio.Event().wait()
        if name in self.failing:
            raise self.failing[name]
        self.commands.append((name, participant))
        self.now_ms += 1
        number = str(len(self.commands))
        message = CommandMessage(
            participant=participant, correlation_id=number, reply_to="0", command=encode_command(command)
        )
        view = self._view(participant)
        handle = make_handlers(LedgerContext(self.hub_name, self.participants))["command"]
        handle(Offsets("command", view.partition).record(encode(message), self.now_ms, participant), view)
        self.replies.clear()
        self._deliver(view.take())
        if name == self.loses_answer_to or not self.replies:
            raise CommandTimeoutError(name)
        (reply,) = self.replies
        if reply.error is not None:
            raise CommandRejectedError(reply.error.code, reply.error.description, reply.error.status)
        return read_result(reply, result_type)

    def fails_from(self, name: str, error: Exception) -> dict[str, Exception]:
        """From now on that command fails; until what is given back is cleared."""
        self.failing[name] = error
        return self.failing

    async def positions(self, participant: str) -> list[Position]:
        if self.fails_with is not None:
            raise self.fails_with
        return [row for row in self._view(participant).rows(POSITIONS).values() if row.participant == participant]

    def commit(self, payer: str, payee: str, units: int, currency: str = "USD", fee: int = 0) -> None:
        """A transfer, reserved and committed."""
        self.now_ms += 1
        view, number = self._view(payer), len(self.published)
        transfer = a_transfer(
            State.COMMITTED,
            transfer_id=f"t-{number}-{self.now_ms}",
            payer=payer,
            payee=payee,
            amount=units,
            currency=currency,
            window=open_window(view),
            interchange_fee=fee,
        )
        move_account(view, position_key(payer, currency, "POSITION"), units, transfer.transfer_id, "PRINCIPLE_VALUE", 1)
        book_commit(view, self.hub_name, transfer, None)
        self._deliver(view.take())

    def release(self) -> None:
        """What was held back arrives."""
        held, self.held_back = self.held_back or [], None
        self._deliver(held)

    def _view(self, key: str) -> MemoryView:
        return self.views[zlib.crc32(key.encode()) % PARTITIONS]

    def _deliver(self, emitted: list[Emitted]) -> None:
        for one in emitted:
            if one.topic == "participants":
                self.participants.take(one.value)
            elif one.topic == "reply":
                reply, _body = decode(one.value)
                assert isinstance(reply, ReplyMessage)
                self.replies.append(reply)
            elif one.topic == "positions":
                self.history.rows.append((self.now_ms, json.loads(one.value)))
            elif one.topic == "transfers":
                self.transfers.take(one)
            elif one.topic == "settlement" and self.held_back is not None:
                self.held_back.append(one)
            elif one.topic in DELIVERED:
                self._handle(one)
            elif one.topic in ("events", "settlement-windows", "settlements"):
                self.published.append((one.topic, json.loads(one.value)))

    def _handle(self, one: Emitted) -> None:
        view = self._view(one.key) if one.partition is None else self.views[one.partition]
        make_handlers(LedgerContext(self.hub_name, self.participants))[one.topic](
            Offsets(one.topic, view.partition).record(one.value, self.now_ms, one.key), view
        )
        self._deliver(view.take())


@dataclass
class HealthyEnvironment:
    """All is up."""

    async def services(self) -> dict[str, bool]:
        return {"broker": True, "datastore": True}

    async def own_services(self) -> dict[str, bool]:
        return {"broker": True, "participantEndpointService": True}


class Operator:
    """Someone at the admin API, with short cuts to what a test needs first."""

    def __init__(self, client: TestClient[Any, Any], ledger: LedgerInMemory) -> None:
        self.client = client
        self.ledger = ledger

    async def send(self, method: str, path: str, body: Any = None, **options: Any) -> Answer:
        if body is not None:
            options["json"] = body
        async with self.client.request(method, path, **options) as response:
            return Answer(response.status, await response.text())

    async def get(self, path: str) -> Answer:
        return await self.send("GET", path)

    async def post(self, path: str, body: Any) -> Answer:
        return await self.send("POST", path, body)

    async def put(self, path: str, body: Any) -> Answer:
        return await self.send("PUT", path, body)

    async def hub_accounts(self, currency: str = "USD") -> None:
        for kind in ("HUB_MULTILATERAL_SETTLEMENT", "HUB_RECONCILIATION"):
            answer = await self.post("/participants/Hub/accounts", {"currency": currency, "type": kind})
            assert 201 == answer.status, answer.text

    async def currency(self) -> None:
        """The hub's accounts and a model for USD."""
        await self.hub_accounts()
        answer = await self.post("/settlementModels", MODEL)
        assert (201, "") == (answer.status, answer.text)

    async def dfsp(self, name: str = "dfsp", *, limit: bool = True) -> None:
        """A DFSP with USD, and a limit of 1000 unless not wanted."""
        answer = await self.post("/participants", {"name": name, "currency": "USD"})
        assert 201 == answer.status, answer.text
        if limit:
            answer = await self.post(f"/participants/{name}/initialPositionAndLimits", LIMIT)
            assert (201, "") == (answer.status, answer.text)

    async def account(self, kind: str, name: str = "dfsp", currency: str = "USD") -> dict[str, Any]:
        accounts = (await self.get(f"/participants/{name}/accounts")).json
        (found,) = (one for one in accounts if (one["ledgerAccountType"], one["currency"]) == (kind, currency))
        result: dict[str, Any] = found
        return result

    async def funds(self, action: str, amount: Any, transfer_id: str = FUNDS_ID, changes: Any = None) -> Answer:
        """Record funds on the SETTLEMENT account."""
        account_id = (await self.account("SETTLEMENT"))["id"]
        return await self.post(
            f"/participants/dfsp/accounts/{account_id}", funds(action, amount, transfer_id) | (changes or {})
        )

    async def balances(self) -> tuple[Any, Any]:
        """The DFSP's funds and the hub's mirror of them."""
        settlement = await self.account("SETTLEMENT")
        return settlement["value"], (await self.account("HUB_RECONCILIATION", "Hub"))["value"]


def funds(action: str, amount: Any, transfer_id: str = FUNDS_ID) -> dict[str, Any]:
    """The body that records funds."""
    return {
        "transferId": transfer_id,
        "externalReference": "bank-7",
        "action": action,
        "reason": "test",
        "amount": {"amount": amount, "currency": "USD"},
        "extensionList": {"extension": [{"key": "k", "value": "v"}]},
    }


def admin_app(ledger: LedgerInMemory, **settings: Any) -> Application:
    """The surface over that ledger."""
    return build_admin_app(
        Settings(**settings),
        ledger,
        ledger.participants,
        ledger,
        ledger,
        ledger.history,
        ledger,
        HealthyEnvironment(),
        window_transfers=ledger.transfers,
    )


@asynccontextmanager
async def an_operator(**settings: Any) -> AsyncIterator[Operator]:
    """An operator at a hub that nobody has set up yet."""
    ledger = LedgerInMemory(FakeParticipants(), settings.get("hub_name", "Hub"))
    async with TestClient(TestServer(admin_app(ledger, **settings))) as client:
        yield Operator(client, ledger)
