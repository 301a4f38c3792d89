"""Rows and messages are books that add up, or it is said what does not."""

from __future__ import annotations

import pytest

from clearinghub.copies import CopyError
from clearinghub.copies.balance import BooksOfRows
from clearinghub.copies.row_store import StoredRow
from clearinghub.domain.participants.participant import Account, Participant
from clearinghub.domain.participants.position import Position
from clearinghub.domain.settlement.netting import Net
from clearinghub.domain.settlement.window import Window, WindowState
from clearinghub.domain.transfers.transfer import State, Transfer
from clearinghub.messages import encode
from clearinghub.messages.transfers import CreditMessage
from tables.nets import NETS, StoredNet
from tables.participants import PARTICIPANTS
from tables.positions import POSITIONS
from tables.settlements import SETTLEMENT_WINDOWS, window_key
from tables.transfers import TRANSFERS

CREDIT = CreditMessage(id="t", participant="b", currency="XTS", account_type="POSITION", change=-5, entry="e", window=1)


def account(name: str, value: int) -> StoredRow:
    row = Position(name, "XTS", "POSITION", 1, value)
    return StoredRow("positions", f"{name}/XTS/POSITION".encode(), POSITIONS.encode(row))


def participant(name: str) -> StoredRow:
    row = Participant(
        1, name, active=True, created_at_ms=1, accounts=(Account(1, "XTS", "POSITION", active=True, created_at_ms=1),)
    )
    return StoredRow("participants", name.encode(), PARTICIPANTS.encode(row))


def net(name: str, **counts: int) -> StoredRow:
    return StoredRow("nets", f"net/1/XTS/POSITION/NET/{name}/".encode(), NETS.encode(StoredNet(Net(**counts))))


def transfer(state: State) -> StoredRow:
    row = Transfer("t", "a", "b", 5, "XTS", "c", 1, ((State.RESERVED, 1), (state, 1)), "h")
    return StoredRow("transfers", b"t", TRANSFERS.encode(row))


def books(*rows: StoredRow, messages: tuple[CreditMessage, ...] = ()) -> BooksOfRows:
    found = BooksOfRows()
    for row in (participant("a"), participant("b"), *rows):
        found.add(row)
    for message in messages:
        found.add_message(encode(message))
    return found


def test_a_reserved_transfer_explains_what_its_payer_owes() -> None:
    found = books(account("a", 5), account("b", 0), transfer(State.RESERVED))

    assert ({"XTS": 0}, []) == (found.balances(), found.faults())


def test_a_credit_on_its_way_completes_a_commit() -> None:
    rows = (account("a", 5), account("b", 0), transfer(State.COMMITTED), net("a", debits=5, debit_count=1))
    found = books(*rows, messages=(CREDIT,))

    assert ({"XTS": 0}, []) == (found.balances(), found.faults())


def test_a_lost_credit_is_found() -> None:
    found = books(account("a", 5), account("b", 0), transfer(State.COMMITTED), net("a", debits=5, debit_count=1))

    assert {"XTS": 5} == found.balances()
    assert [
        "the nets of window 1, XTS POSITION NET add up to 5, not to zero",
        "window 1, XTS POSITION NET has 1 debits without their other side",
    ] == found.faults()


def test_nets_of_a_closed_window_that_some_partitions_have_deleted_say_nothing() -> None:
    window = Window(1, WindowState.CLOSED, None, 1, 1)
    closed = StoredRow("settlement", window_key(1).encode(), SETTLEMENT_WINDOWS.encode(window))

    assert [] == books(account("a", 0), account("b", 0), net("a", debits=5, debit_count=1), closed).faults()


def test_an_account_without_its_row_is_found() -> None:
    assert ["account b/XTS/POSITION is of a participant and has no row"] == books(account("a", 0)).faults()


def test_a_row_of_no_participants_account_is_found() -> None:
    found = books(account("a", 0), account("b", 0), account("c", 0))

    assert ["account c/XTS/POSITION has a row and is of no participant"] == found.faults()


def test_a_message_of_a_later_release_is_no_message_to_add_up() -> None:
    with pytest.raises(CopyError, match="of a later release"):
        BooksOfRows().add_message(b'{"kind":"credit-and-more","v":1}\n')
