"""The day's settlements: step by step, with an acknowledgement that fails, one that is aborted, and the bank's part."""

from __future__ import annotations

from typing import Any, Final
from uuid import uuid4

from clearinghub.domain.settlement.settlement import (
    ABORTED,
    COMMITTED,
    PENDING,
    RECORDED,
    RESERVED,
    SETTLED,
    SettlementState,
)
from clearinghub.tools.client.admin import AdminClient, AdminError
from clearinghub.tools.client.operations import (
    COMMIT_FUNDS_OUT,
    RECORD_FUNDS_IN,
    RESERVE_FUNDS_OUT,
    Funds,
    Operations,
)
from clearinghub.tools.client.settlement import Settlement, SettlementOperations
from sandbox.demo.day.accounts import POSITION, Accounts
from sandbox.demo.day.books import Account, DayBooks
from sandbox.demo.day.problems import Problems

REASON: Final = "the day's settlement"
NOT_ALLOWED: Final = "3000"


class Settling:
    """One settlement of one currency. All methods raise AdminError; what is not as it must be is told to `problems`."""

    def __init__(
        self, admin: AdminClient, base_path: str, currency: str, accounts: Accounts, books: DayBooks, problems: Problems
    ) -> None:
        self._admin = admin
        self._base_path = base_path
        self.currency = currency
        self._accounts = accounts
        self._books = books
        self._problems = problems
        self._operations = SettlementOperations(admin, base_path)
        self._nets: dict[Account, int] = {}
        self._participants: dict[Account, int] = {}  # the API's ids
        self.number = 0

    async def create(self, model: str, windows: list[int]) -> None:
        """A settlement of these windows, whose nets must be those of the books."""
        self._nets = {
            (self.currency, name): gross.net for name, gross in self._books.gross(windows, self.currency).items()
        }
        created = await self._operations.create(model, windows, REASON)
        self.number = created.settlement_id
        by_id = {self._accounts.account_id(account, POSITION): account for account in self._nets}
        for participant in created.participants:
            for line in participant.accounts:
                if line.account_id not in by_id:
                    raise AdminError(
                        f"others trade in {self.currency}: settlement {self.number} has their accounts too"
                    )
                account = by_id[line.account_id]
                self._participants[account] = participant.participant_id
                told = line.net.amount_units if line.net else None
                self._problems.check_amount(f"{self} net of {account[1]}", self._nets[account], told)
        self._problems.check(f"{self} accounts", sorted(self._nets), sorted(self._participants))
        self._check_state(created, PENDING)

    async def step(self, state: SettlementState, *, failing: Account | None = None) -> None:
        """Take all accounts one state further; the acknowledgement of one may fail, and then the whole must wait."""
        before = await self._operations.settlement(self.number)
        asked = [account for account in self._nets if account != failing]
        lines = [self._line(account, state) for account in asked]
        if failing is not None:
            lines.append(self._line(failing, SETTLED))  # of a step that it is far from
        answer = await self._put("", {"participants": lines})
        refused = {
            line["id"]: line["errorInformation"]["errorCode"]
            for participant in answer["participants"]
            for line in participant["accounts"]
            if "errorInformation" in line
        }
        expected = {} if failing is None else {self._accounts.account_id(failing, POSITION): NOT_ALLOWED}
        self._problems.check(f"{self} lines refused at {state.value}", expected, refused)
        self._move(state, asked)
        after = SettlementState(before.state) if failing is not None else state
        await self._check(state.value, after)

    async def acknowledge(self, account: Account, state: SettlementState) -> None:
        """The one that had failed, by itself; it takes the whole with it."""
        path = f"/participants/{self._participants[account]}/accounts/{self._accounts.account_id(account, POSITION)}"
        await self._put(path, {"state": state.value, "reason": REASON})
        self._move(state, [account])
        await self._check(f"{state.value}, acknowledged", state)

    async def abort(self) -> None:
        """Everything that was moved must go back."""
        aborted = await self._operations.abort(self.number, "the bank does not open")
        for account, net in self._nets.items():
            if net < 0:
                self._books.unsettle(account, net)
        await self._check("aborted", ABORTED)
        states = {line.state for one in aborted.participants for line in one.accounts}
        self._problems.check(f"{self} states of the accounts", {ABORTED.value}, states)

    async def bank(self) -> int:
        """What the bank has moved is booked: net senders pay out of their funds, recipients are paid into theirs."""
        operations, payments = Operations(self._admin), 0
        for account, net in self._nets.items():
            if net == 0:
                continue
            funds = Funds(str(uuid4()), account[1], self.currency, abs(net), f"settlement {self.number}", REASON)
            answer = await operations.request_funds(RECORD_FUNDS_IN if net < 0 else RESERVE_FUNDS_OUT, funds)
            if net > 0:
                answer = await operations.complete_funds_out(
                    COMMIT_FUNDS_OUT, account[1], self.currency, funds.transfer_id, REASON
                )
            self._problems.check(f"{self} funds of {account[1]}", "COMMITTED", answer.state)
            self._books.add_funds(account, -net)
            payments += 1
        return payments

    def recipient(self) -> Account:
        """The account that is owed most."""
        return min(self._nets, key=lambda account: self._nets[account])

    @property
    def size(self) -> int:
        """How many accounts it has."""
        return len(self._nets)

    def __str__(self) -> str:
        return f"settlement {self.number}"

    def _move(self, state: SettlementState, accounts: list[Account]) -> None:
        """Recipients give up their claims at RESERVED, senders are relieved at COMMITTED (protocol 9.4)."""
        for account in accounts:
            net = self._nets[account]
            if (state is RESERVED and net < 0) or (state is COMMITTED and net > 0):
                self._books.settle(account, net)

    async def _check(self, when: str, state: SettlementState) -> None:
        self._check_state(await self._operations.settlement(self.number), state)
        await self._accounts.check(f"{self} {when}", self._books, self._problems)

    def _check_state(self, settlement: Settlement, state: SettlementState) -> None:
        self._problems.check(f"state of {self}", state.value, settlement.state)

    def _line(self, account: Account, state: SettlementState) -> dict[str, Any]:
        line = {"id": self._accounts.account_id(account, POSITION), "state": state.value, "reason": REASON}
        return {"id": self._participants[account], "accounts": [line]}

    async def _put(self, path: str, body: dict[str, Any]) -> Any:
        return (await self._admin.call("PUT", f"{self._base_path}/settlements/{self.number}{path}", body)).content


STEPS: Final = (RECORDED, RESERVED, COMMITTED, SETTLED)
