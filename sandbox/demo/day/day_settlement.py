"""One settlement of the day, state by state; one account may fail, or it may be aborted, and the bank pays the nets."""

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
from sandbox.demo.day.day_accounts import POSITION, Accounts
from sandbox.demo.day.day_books import Account, DayBooks
from sandbox.demo.day.problems import Problems

REASON: Final = "the day's settlement"
NOT_ALLOWED: Final = "3000"


class DaySettlement:
    """One settlement of one currency; differences are noted in `problems`. All methods raise AdminError."""

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
        self._participants: dict[Account, int] = {}  # ids of the settlement API
        self.number = 0

    async def create(self, model: str, windows: list[int]) -> None:
        """Create a settlement of these windows; its nets must be those of the books."""
        self._nets = {
            (self.currency, name): gross.net for name, gross in self._books.gross(windows, self.currency).items()
        }
        created = await self._operations.create(model, windows, REASON)
        self.number = created.settlement_id
        by_id = {self._accounts.account_id(account, POSITION): account for account in self._nets}
        for participant in created.participants:
            for part in participant.accounts:
                if part.account_id not in by_id:
                    raise AdminError(
                        f"others trade in {self.currency}: settlement {self.number} has their accounts too"
                    )
                account = by_id[part.account_id]
                self._participants[account] = participant.participant_id
                net_units = part.net.amount_units if part.net else None
                self._problems.check_amount(f"{self} net of {account[1]}", self._nets[account], net_units)
        self._problems.check(f"{self} accounts", sorted(self._nets), sorted(self._participants))
        self._check_state(created, PENDING)

    async def step(self, state: SettlementState, *, failing: Account | None = None) -> None:
        """Move all accounts to `state`; the `failing` one must be refused, and then the settlement keeps its state."""
        before = await self._operations.settlement(self.number)
        moved = [account for account in self._nets if account != failing]
        changes = [self._change(account, state) for account in moved]
        if failing is not None:
            changes.append(self._change(failing, SETTLED))  # a state that cannot follow yet
        answer = await self._put("", {"participants": changes})
        refused = {
            part["id"]: part["errorInformation"]["errorCode"]
            for participant in answer["participants"]
            for part in participant["accounts"]
            if "errorInformation" in part
        }
        expected = {} if failing is None else {self._accounts.account_id(failing, POSITION): NOT_ALLOWED}
        self._problems.check(f"{self} accounts refused at {state.value}", expected, refused)
        self._move(state, moved)
        after = SettlementState(before.state) if failing is not None else state
        await self._check(state.value, after)

    async def acknowledge(self, account: Account, state: SettlementState) -> None:
        """Move the account that had failed to `state`; the whole settlement must follow."""
        path = f"/participants/{self._participants[account]}/accounts/{self._accounts.account_id(account, POSITION)}"
        await self._put(path, {"state": state.value, "reason": REASON})
        self._move(state, [account])
        await self._check(f"{state.value}, acknowledged", state)

    async def abort(self) -> None:
        """Abort the settlement; all nets that were moved must be moved back."""
        aborted = await self._operations.abort(self.number, "the bank does not open")
        for account, net in self._nets.items():
            if net < 0:
                self._books.unsettle(account, net)
        await self._check("aborted", ABORTED)
        states = {part.state for participant in aborted.participants for part in participant.accounts}
        self._problems.check(f"{self} states of the accounts", {ABORTED.value}, states)

    async def book_bank_payments(self) -> int:
        """Book the nets as funds, as an operator does after the bank has paid; return how many payments.

        Net senders pay out of their funds, net recipients are paid into theirs.
        """
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

    def largest_recipient(self) -> Account:
        """Return the account that is owed most."""
        return min(self._nets, key=lambda account: self._nets[account])

    @property
    def size(self) -> int:
        """How many accounts take part."""
        return len(self._nets)

    def __str__(self) -> str:
        return f"settlement {self.number}"

    def _move(self, state: SettlementState, accounts: list[Account]) -> None:
        """Book the nets that a state moves: the recipients' at RESERVED, the senders' at COMMITTED (protocol 9.4)."""
        for account in accounts:
            net = self._nets[account]
            if (state is RESERVED and net < 0) or (state is COMMITTED and net > 0):
                self._books.settle(account, net)

    async def _check(self, when: str, state: SettlementState) -> None:
        self._check_state(await self._operations.settlement(self.number), state)
        await self._accounts.check(f"{self} {when}", self._books, self._problems)

    def _check_state(self, settlement: Settlement, state: SettlementState) -> None:
        self._problems.check(f"state of {self}", state.value, settlement.state)

    def _change(self, account: Account, state: SettlementState) -> dict[str, Any]:
        part = {"id": self._accounts.account_id(account, POSITION), "state": state.value, "reason": REASON}
        return {"id": self._participants[account], "accounts": [part]}

    async def _put(self, path: str, body: dict[str, Any]) -> Any:
        return (await self._admin.call("PUT", f"{self._base_path}/settlements/{self.number}{path}", body)).content


STEPS: Final = (RECORDED, RESERVED, COMMITTED, SETTLED)
