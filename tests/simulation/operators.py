"""The simulated operators: they set the scheme up, then change limits, flags and funds while payments run."""

from __future__ import annotations

import asyncio
from typing import Any

import orjson

from tests.simulation import wire
from tests.simulation.bus import Bus, Entry
from tests.simulation.dfsps import Dfsps

ACCOUNTS = ["POSITION", "SETTLEMENT"]
MODELS = (("NET", "MULTILATERAL", "DEFERRED"), ("NET", "BILATERAL", "DEFERRED"), ("GROSS", "BILATERAL", "IMMEDIATE"))


class Operators:
    """Sends commands and reads their replies on topic `reply`."""

    def __init__(self, bus: Bus, dfsps: Dfsps) -> None:
        self.accounts: dict[tuple[str, str], int] = {}
        self._bus = bus
        self._dfsps = dfsps
        self._draw = bus.swarm.random
        self._waiting: dict[str, asyncio.Future[Any]] = {}
        self._count = 0
        self._models: list[str] = []
        self._logs = [bus.logs["reply", number] for number in range(bus.swarm.partitions)]
        self._positions = [0] * len(self._logs)
        for log in self._logs:
            log.listeners[self] = None

    def wake(self, after_s: float) -> None:
        """Read the topic after some seconds: the bus has new records."""
        asyncio.get_running_loop().call_later(after_s, self._read)

    def _read(self) -> None:
        for number, log in enumerate(self._logs):
            records, self._positions[number] = log.read(self._positions[number], 1_000)
            self._take(records)

    def _take(self, records: list[Entry]) -> None:
        for record in records:
            assert record.value is not None
            reply = orjson.loads(record.value.partition(b"\n")[0])
            waiting = self._waiting.pop(reply["correlation_id"], None)
            if waiting is not None and not waiting.done():
                waiting.set_result(reply)

    async def command(self, name: str, participant: str, /, **args: Any) -> dict[str, Any]:
        """Send a command and return its reply."""
        self._count += 1
        correlation_id = f"c{self._count}"
        waiting = self._waiting[correlation_id] = asyncio.get_running_loop().create_future()
        await self._dfsps.send(wire.command(name, participant, correlation_id, args))
        reply: dict[str, Any] = await waiting
        return reply

    async def set_up(self) -> None:
        """Open the hub's account, which must come first; then register DFSPs with endpoints, limits and funds."""
        await self.command("open-hub-account", wire.HUB, currency="USD", account_type="HUB_RECONCILIATION")
        await asyncio.gather(*(self._join(name) for name in self._dfsps.names))

    async def _join(self, name: str) -> None:
        room = self._bus.swarm.room
        reply = await self.command(
            "register-participant", name, currency=wire.CURRENCY, account_types=ACCOUNTS, is_proxy=False
        )
        _width, _id, _name, _active, _created_at_ms, _is_proxy, accounts, *_rest = reply["result"]["participant"]
        for account_id, _currency, account_type, *_flags in accounts:
            self.accounts[name, account_type] = account_id
        await asyncio.gather(
            *(
                self.command("set-endpoint", name, endpoint_type=kind, value=url.format(name))
                for kind, url in self._dfsps.endpoints.items()
            ),
            self.command("set-initial-limit", name, currency=wire.CURRENCY, net_debit_cap=room, initial_position=0),
        )
        await self.command("record-funds-in", name, request=self._funds(name, room))

    async def close_window(self) -> None:
        """Close the last window known to be open, or at times one that is not."""
        wrong = self._bus.swarm.has("closing windows") and self._draw.random() < 0.2
        number = self._open_window() + (self._draw.choice((-1, 1)) if wrong else 0)
        await self.command("close-window", wire.HUB, window=number, reason="end of the day")

    def _open_window(self) -> int:
        logs = [log for (topic, _partition), log in self._bus.logs.items() if topic == "settlement-windows"]
        rows = [orjson.loads(one.value) for log in logs for one in log.entries if one.is_committed and one.value]
        return max((row["settlementWindowId"] for row in rows), default=1)

    async def change_models(self) -> None:
        """Add a settlement model, or switch one on or off."""
        if self._models and self._draw.random() < 0.5:
            name, active = self._draw.choice(self._models), self._draw.random() < 0.5
            await self.command("set-settlement-model-active", wire.HUB, model_name=name, active=active)
            return
        granularity, interchange, delay = self._draw.choice(MODELS)
        name = f"M{len(self._models)}"
        self._models.append(name)
        model = {
            "name": name,
            "granularity": granularity,
            "interchange": interchange,
            "delay": delay,
            "currency": self._draw.choice((wire.CURRENCY, None)),
            "require_liquidity_check": True,
            "ledger_account_type": "POSITION",
            "settlement_account_type": "SETTLEMENT",
            "auto_position_reset": True,
        }
        await self.command("add-settlement-model", wire.HUB, model=model)

    def _funds(self, name: str, amount: int) -> dict[str, Any]:
        self._count += 1
        return {
            "transfer_id": f"f{self._count}",
            "account_id": self.accounts[name, "SETTLEMENT"],
            "amount": amount,
            "currency": wire.CURRENCY,
            "hash": f"h{self._count}",
            "external_reference": "bank",
            "extensions": None,
        }

    async def interfere(self) -> None:
        """Do one thing that an operator may do at any time."""
        draw, room = self._draw, self._bus.swarm.room
        name = draw.choice(self._dfsps.names)
        kind = draw.choice(("limit", "limit", "funds in", "funds out", "funds out", "active", "account"))
        self._bus.counts["commands"] += 1
        if kind == "limit":
            cap = draw.choice((0, room // 2, room, 2 * room))
            await self.command(
                "adjust-limit", name, currency=wire.CURRENCY, net_debit_cap=cap, alarm_percent=draw.choice((0, 10, 80))
            )
        elif kind == "funds in":
            request = self._funds(name, draw.randint(1, room))
            await self.command("record-funds-in", name, request=request)
            if draw.random() < 0.5:
                await self.command("record-funds-in", name, request=request)
        elif kind == "funds out":
            await self._take_out(name, draw.randint(1, room))
        elif kind == "active":
            await self.command("set-active", name, active=False)
            await asyncio.sleep(draw.uniform(0.0, 1.0))
            await self.command("set-active", name, active=True)
        else:
            account_id = self.accounts[name, "POSITION"]
            await self.command("set-account-active", name, account_id=account_id, active=False)
            await asyncio.sleep(draw.uniform(0.0, 1.0))
            await self.command("set-account-active", name, account_id=account_id, active=True)

    async def _take_out(self, name: str, amount: int) -> None:
        request = self._funds(name, amount)
        await self.command("reserve-funds-out", name, request=request)
        ends = [self._draw.choice(("commit-funds-out", "abort-funds-out")) for _ in range(self._draw.choice((1, 2)))]
        for end in ends:
            await self.command(end, name, account_id=request["account_id"], transfer_id=request["transfer_id"])
