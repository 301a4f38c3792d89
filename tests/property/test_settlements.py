"""Any order of payments, closings, settlement calls and deliveries: money is conserved, no state is forbidden (9.4)."""

from __future__ import annotations

from collections import Counter
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from clearinghub.domain.settlement.settlement import ABORTING, WHOLE
from clearinghub.domain.settlement.settlement import SettlementState as State
from clearinghub.domain.settlement.window import WindowState
from tests.nets import entries_of
from tests.property.settlement_world import CURRENCIES, DFSPS, NET_MODELS, SettlementWorld

# By the state of the whole, the states that its accounts may have (protocol 9.4); and one that not all may have.
ALLOWED: dict[State, tuple[set[State], State | None]] = {
    State.PENDING_SETTLEMENT: ({State.PENDING_SETTLEMENT, State.PS_TRANSFERS_RECORDED}, State.PS_TRANSFERS_RECORDED),
    State.PS_TRANSFERS_RECORDED: (
        {State.PS_TRANSFERS_RECORDED, State.PS_TRANSFERS_RESERVED},
        State.PS_TRANSFERS_RESERVED,
    ),
    State.PS_TRANSFERS_RESERVED: (
        {State.PS_TRANSFERS_RESERVED, State.PS_TRANSFERS_COMMITTED},
        State.PS_TRANSFERS_COMMITTED,
    ),
    State.PS_TRANSFERS_COMMITTED: ({State.PS_TRANSFERS_COMMITTED}, None),
    State.SETTLING: ({State.PS_TRANSFERS_COMMITTED, State.SETTLED}, State.SETTLED),
    State.SETTLED: ({State.SETTLED}, None),
    State.ABORTED: ({State.ABORTED}, None),
}
FORWARD = (State.PS_TRANSFERS_RECORDED, State.PS_TRANSFERS_RESERVED, State.PS_TRANSFERS_COMMITTED, State.SETTLED)
RECIPIENTS_MOVED = {State.PS_TRANSFERS_RESERVED, State.PS_TRANSFERS_COMMITTED, State.SETTLED}
SENDERS_MOVED = {State.PS_TRANSFERS_COMMITTED, State.SETTLED}


def _moved_states(net: int) -> set[State]:
    return RECIPIENTS_MOVED if net < 0 else SENDERS_MOVED


class SettlementMachine(RuleBasedStateMachine):
    """Operators, DFSPs and the broker in any order: what each rule does may happen at any time."""

    def __init__(self) -> None:
        super().__init__()
        self.world = SettlementWorld()
        self.seen: dict[tuple[int, int], State] = {}

    @rule(pair=st.permutations(DFSPS), amount=st.integers(0, 50), currency=st.sampled_from(CURRENCIES))
    def pay(self, pair: list[str], amount: int, currency: str) -> None:
        self.world.pay(pair[0], pair[1], amount, currency)

    @rule()
    def close(self) -> None:
        open_ids = [one.window_id for one in self.world.windows() if one.state is WindowState.OPEN]
        assert 1 == len(open_ids)
        self.world.command("close-window", window=open_ids[0], reason="closed")

    @rule(window_id=st.integers(1, 5))
    def close_again(self, window_id: int) -> None:
        if WindowState.PROCESSING in {one.state for one in self.world.windows() if one.window_id == window_id}:
            self.world.command("close-window", window=window_id, reason="still waiting")

    @precondition(lambda self: self.world.hub.waiting)
    @rule(data=st.data())
    def lose(self, data: st.DataObject) -> None:
        self.world.lose(data.draw(st.sampled_from(sorted(self.world.hub.waiting))))

    @rule(model=st.sampled_from(NET_MODELS), ids=st.sets(st.integers(1, 5), min_size=1, max_size=3))
    def create(self, model: str, ids: set[int]) -> None:
        self.world.command("create-settlement", model=model, reason="r", windows=sorted(ids))

    @precondition(lambda self: self.world.settlements())
    @rule(data=st.data(), whole=st.booleans())
    def advance(self, data: st.DataObject, whole: bool) -> None:
        settlement = data.draw(st.sampled_from(self.world.settlements()))
        accounts_now = self.world.accounts(settlement.settlement_id)
        if not accounts_now:
            return
        lines = accounts_now if whole else data.draw(st.lists(st.sampled_from(accounts_now), max_size=4))
        following = data.draw(st.sampled_from(FORWARD)) if not whole else self._following(settlement.state)
        accounts: list[dict[str, Any]] = [
            {
                "participant_id": account.participant_id,
                "account_id": account.account_id,
                "state": following.value,
                "reason": "r",
                "external_reference": None,
            }
            for account in lines
        ]
        self.world.command("advance-settlement", settlement=settlement.settlement_id, accounts=accounts)

    @staticmethod
    def _following(state: State) -> State:
        return next((one for one in FORWARD if list(State).index(one) > list(State).index(state)), State.SETTLED)

    @precondition(lambda self: self.world.settlements())
    @rule(data=st.data())
    def abort(self, data: st.DataObject) -> None:
        settlement = data.draw(st.sampled_from(self.world.settlements()))
        self.world.command(
            "abort-settlement", settlement=settlement.settlement_id, reason="no", external_reference=None
        )

    @precondition(lambda self: self.world.hub.waiting)
    @rule(data=st.data(), count=st.integers(1, 8))
    def deliver(self, data: st.DataObject, count: int) -> None:
        for _ in range(count):
            if self.world.hub.waiting:
                self.world.deliver(data.draw(st.sampled_from(sorted(self.world.hub.waiting))))

    @rule()
    def deliver_all(self) -> None:
        self.world.deliver_all()

    @invariant()
    def money_is_conserved(self) -> None:
        assert dict.fromkeys(CURRENCIES, 0) == {one: self.world.total(one) for one in CURRENCIES}

    @invariant()
    def no_state_is_forbidden(self) -> None:
        for one in self.world.settlements():
            allowed, not_by_all = ALLOWED[one.state]
            accounts = self.world.accounts(one.settlement_id)
            states = {account.state for account in accounts}
            if one.stage == ABORTING:
                continue
            assert states <= allowed
            assert states != {not_by_all}
            for account in accounts:
                key = (one.settlement_id, account.account_id)
                order = list(State)
                assert order.index(self.seen.get(key, account.state)) <= order.index(account.state), "a step back"
                self.seen[key] = account.state

    @invariant()
    def a_content_is_in_one_settlement_at_most(self) -> None:
        settled = Counter(
            content for one in self.world.settlements() if one.state is not State.ABORTED for content in one.contents
        )
        assert set(settled.values()) <= {1}

    def teardown(self) -> None:
        self.world.deliver_all()
        for window in self.world.windows():  # the oldest first; twice, for a marker may come before it is waited for
            for _ in range(2):
                self.close_again(window.window_id)
                self.world.deliver_all()
        self.money_is_conserved()
        self.no_state_is_forbidden()
        for settlement in self.world.settlements():
            assert (0, 0, 0, WHOLE) == (
                settlement.moving,
                settlement.in_turn,
                settlement.commands_waiting,
                settlement.stage,
            )
            accounts = self.world.accounts(settlement.settlement_id)
            assert settlement.accounts == len(accounts) > 0
            for account in accounts:
                assert not account.is_moving
                legs = self.world.legs(settlement.settlement_id, account.account_id)
                assert account.net == sum(legs)
                moved = [net for net in legs if account.state in (RECIPIENTS_MOVED if net < 0 else SENDERS_MOVED)]
                assert -sum(moved) == account.moved
        self._nets_are_those_of_the_transfers()

    def _nets_are_those_of_the_transfers(self) -> None:
        view = self.world.hub.coordinator
        for window in self.world.windows():
            assert window.state not in (WindowState.PROCESSING, WindowState.FAILED), window.reason
            if window.state is WindowState.OPEN:
                continue
            stored: Counter[tuple[str, str]] = Counter()
            for (netting_group, party), net in entries_of(view, window.window_id).items():
                stored[party.participant, netting_group.currency] += net.amount
            assert self.world.expected.get(window.window_id, Counter()) == stored


SettlementMachine.TestCase.settings = settings(max_examples=40, stateful_step_count=50, deadline=None)
TestSettlements = SettlementMachine.TestCase
