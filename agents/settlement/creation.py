"""How a settlement is made of its windows' nets, in bounded steps (protocol 9.3, design 7).

A command stores the settlement and takes its contents. Then its accounts and their legs are made, an entry of the
contents after the other; then legs and accounts are published; at last the settlement itself is, and the operator's
reply follows. Each record makes some (`settlement_entries_at_once`) and leaves the rest to the next
(`MakeSettlementMessage`). Until it is whole the settlement cannot be advanced or aborted.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import groupby
from typing import Final

from msgspec.structs import replace

from agents.posting import emit_reply
from agents.settlement.settlements import (
    LATEST,
    Answer,
    find_account,
    find_settlement,
    latest_settlement,
    move_contents,
    publish_account,
    publish_legs,
    put_settlement,
    settlement_result,
    store_settlement,
)
from agents.settlement.windows import find_window, send_to_itself
from agents.turn import Turn
from clearinghub.domain.errors import Rejection
from clearinghub.domain.settlement.creation import begin, choose_contents, find_settlement_model, new_account, take_in
from clearinghub.domain.settlement.netting import ContentSums, NettingGroup
from clearinghub.domain.settlement.settlement import WHOLE, Leg, Settlement
from clearinghub.engine.record import View
from clearinghub.messages.commands import CommandMessage, CreateSettlement
from clearinghub.messages.settlement import MakeSettlementMessage
from tables.counters import COUNTERS
from tables.participants import PARTICIPANTS
from tables.settlements import (
    ACCOUNTS,
    ENTRIES,
    LEGS,
    MAKINGS,
    SUMS,
    Making,
    StoredEntry,
    StoredLeg,
    account_key,
    accounts_prefix,
    entries_prefix,
    entry_place,
    leg_key,
    leg_place,
    legs_prefix,
    making_key,
    sums_key,
)

_ENTRIES: Final = "entries"  # stages: entries of the contents become accounts and legs,
_LEGS: Final = "legs"  # the legs are published,
_ACCOUNTS: Final = "accounts"  # the accounts are,
_DONE: Final = "done"


def create_settlement(turn: Turn, message: CommandMessage, command: CreateSettlement) -> Answer | None:
    """Create a settlement of closed windows by a model; None if the reply follows when it is whole."""
    view = turn.view
    hub = view.get(PARTICIPANTS, turn.hub_name)
    model = find_settlement_model(hub, command.model)
    if isinstance(model, Rejection):
        return model
    assert hub is not None
    window_ids = list(dict.fromkeys(command.windows))
    windows = {number: window for number in window_ids if (window := find_window(view, number)) is not None}

    def stored(window_id: int, netting_group: NettingGroup) -> ContentSums:
        return view.get(SUMS, sums_key(window_id, netting_group)) or ContentSums()

    chosen = choose_contents(hub, model, window_ids, windows, stored)
    if isinstance(chosen, Rejection):
        return chosen
    contents = {(number, netting_group): stored(number, netting_group) for number, netting_group in chosen}
    settlement = begin(latest_settlement(view) + 1, model, command.reason, contents, turn.now_ms)
    if isinstance(settlement, Rejection):
        return settlement
    view.put(COUNTERS, LATEST, settlement.settlement_id)
    put_settlement(view, settlement)
    move_contents(view, settlement, turn.now_ms)
    making = Making(message.correlation_id, message.reply_to, _ENTRIES)
    whole = _make(turn, settlement, making)
    return None if whole is None else settlement_result(view, whole)


def on_make_settlement(turn: Turn, message: MakeSettlementMessage, _body: bytes) -> None:
    """Make some more of a settlement; with the last of it, reply to the operator who has created it."""
    view = turn.view
    making = view.get(MAKINGS, making_key(message.settlement))
    if making is None or _place(making) != message.place:
        return
    settlement = find_settlement(view, message.settlement)
    assert settlement is not None
    whole = _make(turn, settlement, making)
    if whole is not None:
        emit_reply(view, making, settlement_result(view, whole))


def request_making(view: View, settlement_id: int) -> None:
    """Continue to make a settlement; a second record that requests it has no effect."""
    making = view.get(MAKINGS, making_key(settlement_id))
    assert making is not None
    send_to_itself(view, MakeSettlementMessage(settlement=settlement_id, place=_place(making)))


def _place(making: Making) -> str:
    return f"{making.stage}/{making.content}/{making.cursor}"


def _make(turn: Turn, settlement: Settlement, making: Making) -> Settlement | None:
    """Make as much as one record takes; return the settlement if it is whole, else store how far it is."""
    view, left = turn.view, turn.context.settlement_entries_at_once
    while making.stage != _DONE:
        if not left:
            put_settlement(view, settlement)
            view.put(MAKINGS, making_key(settlement.settlement_id), making)
            request_making(view, settlement.settlement_id)
            return None
        settlement, making, count = _STAGES[making.stage](view, settlement, making, left)
        left -= count
    view.delete(MAKINGS, making_key(settlement.settlement_id))
    for currency, total in making.totals.items():
        assert total == 0, f"{currency} of closed windows adds up to {total}"
    whole = replace(settlement, stage=WHOLE)
    store_settlement(view, whole, turn.now_ms)
    return whole


def _take_entries(view: View, settlement: Settlement, making: Making, left: int) -> tuple[Settlement, Making, int]:
    """Take entries of the content that is due into the settlement's accounts and legs."""
    window_id, netting_group = settlement.contents[making.content]
    keys = view.keys(ENTRIES, entries_prefix(window_id, netting_group), making.cursor, left)
    for key in keys:
        entry = view.get(ENTRIES, key)
        assert entry is not None
        settlement = _take_entry(view, settlement, key, entry)
    total = sum(entry.net.amount for key in keys if (entry := view.get(ENTRIES, key)) is not None)
    currency = netting_group.currency
    making = replace(making, totals={**making.totals, currency: making.totals.get(currency, 0) + total})
    if len(keys) == left:
        return settlement, replace(making, cursor=keys[-1]), len(keys)
    if making.content + 1 < len(settlement.contents):
        return settlement, replace(making, content=making.content + 1, cursor=""), len(keys)
    return settlement, replace(making, stage=_LEGS, cursor=""), len(keys)


def _take_entry(view: View, settlement: Settlement, key: str, entry: StoredEntry) -> Settlement:
    netting_group, party = entry_place(key)
    number, account_id = settlement.settlement_id, entry.account.account_id
    account = find_account(view, number, account_id)
    if account is None:
        account = new_account(settlement, party.participant, entry.account, netting_group.currency)
        settlement = replace(settlement, accounts=settlement.accounts + 1)
    at = leg_key(number, account_id, party.counterparty if settlement.terms.by_pairs else "")
    leg = view.get(LEGS, at)
    if leg is None:
        settlement = replace(settlement, legs=settlement.legs + 1)
    before = 0 if leg is None else leg.net
    after = before + entry.net.amount
    view.put(LEGS, at, StoredLeg(after))
    view.put(ACCOUNTS, account_key(number, account_id), take_in(account, before, after))
    return settlement


def _publish_legs(view: View, settlement: Settlement, making: Making, left: int) -> tuple[Settlement, Making, int]:
    keys = view.keys(LEGS, legs_prefix(settlement.settlement_id), making.cursor, left)
    for account_id, of_account in groupby(keys, lambda key: leg_place(key)[0]):
        account = find_account(view, settlement.settlement_id, account_id)
        assert account is not None
        legs = [Leg(leg_place(key)[1], leg.net) for key in of_account if (leg := view.get(LEGS, key)) is not None]
        publish_legs(view, settlement, account, legs)
    if len(keys) == left:
        return settlement, replace(making, cursor=keys[-1]), len(keys)
    return settlement, replace(making, stage=_ACCOUNTS, cursor=""), len(keys)


def _publish_accounts(view: View, settlement: Settlement, making: Making, left: int) -> tuple[Settlement, Making, int]:
    keys = view.keys(ACCOUNTS, accounts_prefix(settlement.settlement_id), making.cursor, left)
    for key in keys:
        account = view.get(ACCOUNTS, key)
        assert account is not None
        publish_account(view, settlement, account)
    if len(keys) == left:
        return settlement, replace(making, cursor=keys[-1]), len(keys)
    return settlement, replace(making, stage=_DONE, cursor=""), len(keys)


_STAGES: Final[dict[str, Callable[[View, Settlement, Making, int], tuple[Settlement, Making, int]]]] = {
    _ENTRIES: _take_entries,
    _LEGS: _publish_legs,
    _ACCOUNTS: _publish_accounts,
}
