"""A walk through the hub's features in memory: what it writes are the golden records that are no samples."""

from __future__ import annotations

import json
from typing import Any, Final

from clearinghub.domain.parties.party import BatchItem, PartyId
from clearinghub.domain.quotes.agreement import Action
from clearinghub.engine.record import TableSpec
from clearinghub.messages import Message, encode
from clearinghub.messages.bulk import BulkFulfilMessage, BulkGetMessage, BulkPrepareMessage
from clearinghub.messages.parties import PartyBatchMessage, PartyMessage
from clearinghub.messages.quotes import AgreementMessage
from clearinghub.messages.transfers import FulfilAction, FulfilMessage, GetMessage, PrepareMessage
from tests.fakes import Emitted, MemoryView
from tests.in_memory_hub import InMemoryHub
from tests.unit.domain.samples import CONDITION, FULFILMENT

UNIT: Final = 10_000
PARTIES: Final = ("payerfsp", "payeefsp")
HEADERS: Final = {"content-type": "application/vnd.interoperability.transfers+json;version=1.1", "date": "d"}
MODEL: Final = {
    "name": "DEFERREDNETUSD",
    "granularity": "NET",
    "interchange": "MULTILATERAL",
    "delay": "DEFERRED",
    "currency": "USD",
    "require_liquidity_check": True,
    "ledger_account_type": "POSITION",
    "settlement_account_type": "SETTLEMENT",
    "auto_position_reset": True,
}


class RecordingView(MemoryView):
    """A partition that notes the type of each row that was ever stored, with its last bytes."""

    def put(self, table: TableSpec[Any], key: str, row: Any) -> None:
        super().put(table, key, row)
        name = type(row).__name__ if not isinstance(row, int) else "Number"
        self.stored[table.name, name, key] = self.tables[table.name][key]

    @property
    def stored(self) -> dict[tuple[str, str, str], bytes]:
        """The last bytes of each row, by table, type and key."""
        kept: dict[tuple[str, str, str], bytes] = self.__dict__.setdefault("_stored", {})
        return kept


class Walk:
    """A hub that has seen a day of everything."""

    def __init__(self) -> None:
        self.hub = InMemoryHub(make_view=RecordingView)
        self.records: list[Emitted] = []
        self._follow_all()
        self._set_up()
        self._transfers()
        self._bulk()
        self._agreements()
        self._parties()
        self._funds()
        self._settle()

    @property
    def rows(self) -> dict[tuple[str, str, str], bytes]:
        """The last bytes of each row, by table, type and key."""
        return {
            place: data
            for view in self.hub.views
            if isinstance(view, RecordingView)
            for place, data in view.stored.items()
        }

    def _follow_all(self) -> None:
        append, hub = self.hub._append, self.hub

        def noting(one: Emitted) -> None:
            self.records.append(one)
            append(one)

        hub._append = noting  # type: ignore[method-assign]
        for topic in (
            "notification",
            "reply",
            "participants",
            "dead-letter",
            "transfers",
            "positions",
            "events",
            "settlement-windows",
            "settlements",
            "oracle",
        ):
            hub.followers[topic].append(self.records.append)

    def _send(self, topic: str, key: str, message: Message, body: bytes = b"{}") -> None:
        self.hub.write(topic, key, encode(message, body))

    def _set_up(self) -> None:
        for kind in ("HUB_MULTILATERAL_SETTLEMENT", "HUB_RECONCILIATION"):
            self.hub.command("open-hub-account", "Hub", {"currency": "USD", "account_type": kind})
        self.hub.command("add-settlement-model", "Hub", {"model": MODEL})
        for name in PARTIES:
            types = ["POSITION", "SETTLEMENT"]
            self.hub.command(
                "register-participant", name, {"currency": "USD", "account_types": types, "is_proxy": False}
            )
            limit = {"currency": "USD", "net_debit_cap": 1_000 * UNIT, "initial_position": 0}
            self.hub.command("set-initial-limit", name, limit)
            self.hub.command("set-endpoint", name, {"endpoint_type": "TRANSFER_POST", "value": "http://x/transfers"})

    def _prepare(self, transfer_id: str, amount: int = 5 * UNIT) -> None:
        payer, payee = PARTIES
        self._send(
            "prepare",
            payer,
            PrepareMessage(
                id=transfer_id,
                source=payer,
                payer=payer,
                payee=payee,
                amount=amount,
                currency="USD",
                condition=CONDITION,
                expires_at_ms=self.hub.now_ms + 30_000,
                hash="h",
                headers=HEADERS,
            ),
        )

    def _fulfil(self, transfer_id: str, action: FulfilAction, destination: str | None = "payerfsp") -> None:
        self._send(
            "fulfil",
            destination or "payeefsp",
            FulfilMessage(
                id=transfer_id,
                action=action,
                source="payeefsp",
                destination=destination,
                fulfilment=FULFILMENT if action in ("commit", "reserve") else None,
                error_code="5104" if action == "abort" else None,
                error_description="no" if action == "abort" else None,
                hash="f",
                headers=HEADERS,
            ),
        )

    def _transfers(self) -> None:
        self._funds_in("payerfsp", 500)
        for number, action in enumerate(("commit", "reserve", "reject", "abort")):
            self._prepare(f"t-{action}")
            self._fulfil(f"t-{action}", action, None if number == 0 else "payerfsp")  # type: ignore[arg-type]
        self._prepare("t-refused", amount=5_000 * UNIT)
        self._prepare("t-expired")
        self._send("lookup", "payeefsp", GetMessage(id="t-commit", source="payeefsp"))
        self._send("lookup", "payeefsp", GetMessage(id="t-unknown", source="payeefsp"))
        self.hub.now_ms += 60_000
        self.hub.punctuate()

    def _bulk(self) -> None:
        payer, payee = PARTIES
        body = {
            "bulkTransferId": "b",
            "bulkQuoteId": "q",
            "payerFsp": payer,
            "payeeFsp": payee,
            "expiration": "2023-11-14T23:00:00.000Z",
            "individualTransfers": [_item(number) for number in range(2)],
        }
        prepare = BulkPrepareMessage(
            id="b",
            source=payer,
            payer=payer,
            payee=payee,
            expires_at_ms=self.hub.now_ms + 30_000,
            hash="h",
            amounts=(UNIT, UNIT),
            hashes=("1", "2"),
        )
        self._send("bulk-prepare", payer, prepare, json.dumps(body).encode())
        results = {
            "bulkTransferState": "COMPLETED",
            "individualTransferResults": [
                {"transferId": "b-0", "fulfilment": FULFILMENT},
                {"transferId": "b-1", "errorInformation": {"errorCode": "5104", "errorDescription": "no"}},
            ],
        }
        fulfil = BulkFulfilMessage(id="b", action="fulfil", source=payee, destination=payer, hash="f")
        self._send("bulk-fulfil", payer, fulfil, json.dumps(results).encode())
        self._send("bulk-fulfil", payee, BulkGetMessage(id="b", source=payee))

    def _agreements(self) -> None:
        payer, payee = PARTIES
        self._send(
            "agreement",
            "q",
            AgreementMessage(
                resource="quotes",
                action=Action.REQUEST,
                id="q",
                source=payer,
                destination=payee,
                path="/quotes",
                headers=HEADERS,
                payer_fsp=payer,
                payee_fsp=payee,
                hash="h",
            ),
        )

    def _parties(self) -> None:
        party, headers = PartyId("MSISDN", "100", None), {"content-type": "application/json"}
        batch = PartyBatchMessage(
            id="r", source="payeefsp", currency="USD", items=(BatchItem(party, None),), headers=headers
        )
        self._send("party", "r", batch)
        lookup = PartyMessage(
            resource="parties",
            method="GET",
            is_error=False,
            path="/parties/MSISDN/100",
            source="payerfsp",
            destination=None,
            party=party,
            headers=headers,
        )
        self._send("party", "MSISDN/100", lookup)

    def _funds_in(self, name: str, amount: int) -> None:
        participant = self.hub.participants.get(name)
        assert participant is not None
        account = participant.account("USD", "SETTLEMENT")
        assert account is not None
        request = {
            "transfer_id": f"in-{name}",
            "account_id": account.account_id,
            "amount": amount * UNIT,
            "currency": "USD",
            "reason": "test",
            "external_reference": "bank",
            "hash": "h",
        }
        self.hub.command("record-funds-in", name, {"request": request})

    def _funds(self) -> None:
        self._funds_in("payeefsp", 100)

    def _settle(self) -> None:
        self.hub.command("close-window", "Hub", {"window": 1, "reason": "end of day"})
        create = {"model": "DEFERREDNETUSD", "reason": "day 1", "windows": [1]}
        self.hub.command("create-settlement", "Hub", create)


def _item(number: int) -> dict[str, Any]:
    amount = {"currency": "USD", "amount": "1"}
    return {"transferId": f"b-{number}", "transferAmount": amount, "ilpPacket": "AYIBgQ", "condition": CONDITION}
