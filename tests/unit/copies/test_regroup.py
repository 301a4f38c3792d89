"""Rows and messages of a copy on another number of partitions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import msgspec
import pytest
from msgspec.structs import replace

from clearinghub.copies import CopyError
from clearinghub.copies.in_flight import MessageInFlight
from clearinghub.copies.regroup.messages import close_again, regrouped
from clearinghub.copies.regroup.rows import Places, RowOfPartition, the_one_to_keep
from clearinghub.copies.regroup.settlement import PerPartitionRows
from clearinghub.copies.row_store import StoredRow
from clearinghub.domain.settlement.window import Window, WindowState
from clearinghub.domain.transfers.transfer import State, Transfer
from clearinghub.messages import decode, decode_as, encode
from clearinghub.messages.settlement import (
    CloseWindowMessage,
    ForgetWindowMessage,
    SchemeMessage,
    WindowMarkerMessage,
    WindowUsedMessage,
)
from clearinghub.messages.transfers import ClaimedId, ClaimsMessage, CreditMessage, FulfilMessage, TimeoutMessage
from tables.claims import home_of
from tables.counters import COUNTERS
from tables.nets import MARKERS, NETS, StoredNet
from tables.scheme import SCHEME, SchemeCopy
from tables.settlements import SETTLEMENT_WINDOWS, window_key
from tables.transfers import TRANSFERS
from tables.windows import OPEN, WINDOWS

HUB = "Hub"
OLD, NEW = 2, 3
PLACES = Places(NEW)


def in_flight(message: msgspec.Struct, key: str = "", topic: str = "credit") -> MessageInFlight:
    return MessageInFlight(0, 1, topic, 1, key.encode(), encode(message, b"body"))


def receivers(*messages: MessageInFlight) -> list[tuple[int, str]]:
    """Return where each message goes, and its kind."""
    return [(one.partition, type(decode(one.value)[0]).__name__) for one in regrouped(messages, PLACES, HUB)]


@pytest.mark.parametrize("name", ["alpha", "beta", "gamma", "delta"])
def test_a_credit_goes_where_its_account_is(name: str) -> None:
    credit = CreditMessage(id="t", participant=name, currency="XTS", account_type="POSITION", change=-1, entry="e")

    assert [(PLACES.of_name(name), "CreditMessage")] == receivers(in_flight(credit, name))


def test_the_coordinators_messages_go_to_the_coordinator() -> None:
    used = WindowUsedMessage(window=3)

    assert [(PLACES.of_name(HUB), "WindowUsedMessage")] == receivers(in_flight(used, HUB, "settlement"))


def test_new_models_on_their_way_to_some_reach_all_once() -> None:
    scheme = in_flight(SchemeMessage(hub_version=4, models=()), topic="settlement")

    assert [(number, "SchemeMessage") for number in range(NEW)] == receivers(scheme, scheme)


def test_a_fulfil_on_the_ring_begins_its_way_anew() -> None:
    fulfil = FulfilMessage(id="t1", action="commit", source="a", hash="h", headers={}, hops=1)
    (one,) = regrouped([in_flight(fulfil, "t1", "lookup")], PLACES, HUB)
    message, body = decode(one.value)

    assert isinstance(message, FulfilMessage)
    assert (0, b"body", "lookup") == (message.hops, body, one.topic)


def test_what_the_new_partitions_do_by_themselves_is_left_out() -> None:
    messages = (
        CloseWindowMessage(window=1),
        ForgetWindowMessage(window=1),
        WindowMarkerMessage(window=1, source=0),
        TimeoutMessage(id="t"),
    )

    assert [] == receivers(*map(in_flight, messages))


def test_a_window_under_way_is_ordered_to_close_on_every_partition() -> None:
    orders = list(close_again([7], PLACES))

    assert list(range(NEW)) == [one.partition for one in orders]
    assert {CloseWindowMessage(window=7)} == {decode(one.value)[0] for one in orders}


def rows_of(rows: Iterable[tuple[int, StoredRow]]) -> dict[tuple[int, str, str], bytes]:
    found: dict[tuple[int, str, str], bytes] = {}
    for partition, row in rows:
        place = (partition, row.table, row.key.decode())
        assert place not in found
        found[place] = row.value
    return found


def regroup(*rows: tuple[int, str, str, bytes]) -> tuple[Mapping[tuple[int, str, str], bytes], PerPartitionRows]:
    per_partition = PerPartitionRows(OLD, PLACES, HUB)
    for partition, table, key, value in rows:
        per_partition.take(partition, StoredRow(table, key.encode(), value))
    return rows_of(per_partition.rows()), per_partition


def counter(partition: int, name: str, value: int) -> tuple[int, str, str, bytes]:
    return partition, "counters", name, COUNTERS.encode(value)


def test_ids_and_final_states_go_on_after_the_highest() -> None:
    rows, _ = regroup(counter(0, "id", 4), counter(1, "id", 5), counter(0, "final", 10), counter(1, "final", 80))
    highest = (5 - 1) * OLD + 1 + 1

    for number in range(NEW):
        next_id = COUNTERS.decode(rows[number, "counters", "id"]) * NEW + number + 1
        assert next_id > highest
        assert 80 == COUNTERS.decode(rows[number, "counters", "final"])


def test_counters_of_the_coordinator_stay_with_it() -> None:
    rows, _ = regroup(counter(1, "window", 6), counter(1, "settlement", 2))
    coordinator = PLACES.of_name(HUB)

    assert 6 == COUNTERS.decode(rows[coordinator, "counters", "window"])
    assert {coordinator} == {partition for partition, _, key in rows if key in ("window", "settlement")}
    assert {6} == {WINDOWS.decode(rows[number, "windows", OPEN]) for number in range(NEW)}


def window(number: int, state: WindowState) -> tuple[int, str, str, bytes]:
    row = Window(number, state, None, 1, 1, used=True, reported=(0,) if state is WindowState.PROCESSING else ())
    return 1, "settlement", window_key(number), SETTLEMENT_WINDOWS.encode(row)


def test_a_window_under_way_is_reported_anew() -> None:
    reported = ("entry/2/XTS/POSITION/NET/alpha/", "sums/2/XTS/POSITION/NET", "report/2/0", "publication/2")
    others = (
        "entry/22/XTS/POSITION/NET/alpha/",
        "sums/1/XTS/POSITION/NET",
        "publication/22",
        "making/2",
        "account/2/1",
    )
    rows, per_partition = regroup(
        window(2, WindowState.PROCESSING),
        window(3, WindowState.OPEN),
        counter(1, "window", 3),
        *((1, "settlement", key, b"[1,[]]") for key in (*reported, *others)),
    )
    coordinator = PLACES.of_name(HUB)

    assert [2] == per_partition.processing_windows()
    assert () == SETTLEMENT_WINDOWS.decode(rows[coordinator, "settlement", window_key(2)]).reported
    kept = {key for partition, table, key in rows if table == "settlement" and partition == coordinator}
    assert {*others, window_key(2), window_key(3)} == kept
    for number in range(NEW):
        assert () == MARKERS.decode(rows[number, "nets", "markers/2"]).sources
        assert 3 == WINDOWS.decode(rows[number, "windows", OPEN])


def test_nets_go_with_their_accounts_and_those_of_closed_windows_are_left_out() -> None:
    net = NETS.encode(StoredNet())
    rows, _ = regroup(
        window(1, WindowState.CLOSED),
        window(2, WindowState.OPEN),
        (0, "nets", "net/1/XTS/POSITION/NET/alpha/", net),
        (0, "nets", "net/2/XTS/POSITION/NET/alpha/", net),
        (1, "nets", "net/2/XTS/POSITION/NET/beta/alpha", net),
    )

    assert {
        (PLACES.of_name("alpha"), "net/2/XTS/POSITION/NET/alpha/"),
        (PLACES.of_name("beta"), "net/2/XTS/POSITION/NET/beta/alpha"),
    } == {(partition, key) for partition, table, key in rows if table == "nets"}


def test_every_partition_has_the_newest_models() -> None:
    old, new = SCHEME.encode(SchemeCopy(hub_version=3)), SCHEME.encode(SchemeCopy(hub_version=5))
    rows, _ = regroup((0, "nets", "scheme", new), (1, "nets", "scheme", old))

    assert {new} == {rows[number, "nets", "scheme"] for number in range(NEW)}


def transfer(payer: str, *states: State) -> StoredRow:
    row = Transfer("t1", payer, "payee", 1, "XTS", "c", 1, tuple((state, 1) for state in states), "h")
    return StoredRow("transfers", b"t1", TRANSFERS.encode(row))


RESERVED = (State.RECEIVED_PREPARE, State.RESERVED)


COMMITTED = (*RESERVED, State.COMMITTED)


@pytest.mark.parametrize("order", [1, -1])
@pytest.mark.parametrize(
    ("kept", "dropped"), [(RESERVED, COMMITTED), (RESERVED, (State.INVALID,)), (COMMITTED, (State.INVALID,))]
)
def test_of_two_transfers_under_one_id_the_more_important_stays(
    kept: tuple[State, ...], dropped: tuple[State, ...], order: int
) -> None:
    important = RowOfPartition(1, transfer("beta", *kept))
    other = RowOfPartition(0, transfer("alpha", *dropped))

    assert important is the_one_to_keep([other, important][::order])


def test_two_open_transfers_under_one_id_cannot_share_a_partition() -> None:
    both = [RowOfPartition(number, transfer("alpha", *RESERVED)) for number in range(2)]

    with pytest.raises(CopyError, match="t1 of table transfers is open on partitions 0 and 1"):
        the_one_to_keep(both)


def test_a_transfer_whose_id_is_not_reported_yet_is_reported_on_its_new_partition() -> None:
    per_partition = PerPartitionRows(OLD, PLACES, HUB)
    per_partition.take_counters(0, [StoredRow("counters", b"stored", COUNTERS.encode(9))])
    per_partition.take_counters(0, [StoredRow("counters", b"reported", COUNTERS.encode(7))])
    per_partition.take_counters(1, [StoredRow("counters", b"stored", COUNTERS.encode(20))])
    per_partition.take_counters(1, [StoredRow("counters", b"reported", COUNTERS.encode(20))])

    def numbered(partition: int, number: int) -> int | None:
        row = TRANSFERS.encode(replace(TRANSFERS.decode(transfer("alpha", *RESERVED).value), number=number))
        return TRANSFERS.decode(per_partition.renumbered(partition, 2, StoredRow("transfers", b"t1", row)).value).number

    assert [7, 21, 22, 20] == [numbered(0, 7), numbered(0, 8), numbered(0, 9), numbered(1, 20)]
    rows = rows_of(per_partition.rows())
    assert [20, 20, 22] == [COUNTERS.decode(rows[number, "counters", "stored"]) for number in range(NEW)]
    assert [20, 20, 20] == [COUNTERS.decode(rows[number, "counters", "reported"]) for number in range(NEW)]


def test_claims_go_to_the_new_homes_of_their_ids() -> None:
    ids = [f"id-{number}" for number in range(20)]
    message = ClaimsMessage(claimed=tuple(ClaimedId(one, "transfer", "alpha", None, "transfer") for one in ids))
    found = [
        (one.partition, claimed.id)
        for one in regrouped([in_flight(message, "id-0", "lookup")], PLACES, HUB)
        for claimed in decode_as(ClaimsMessage, one.value)[0].claimed
    ]

    assert sorted((home_of(one, NEW), one) for one in ids) == sorted(found)


def _all_names() -> Iterator[str]:
    yield from ("alpha", "beta", "gamma", HUB)


def test_names_go_where_kafkas_partitioner_puts_them() -> None:
    assert {0, 1, 2} >= {PLACES.of_name(name) for name in _all_names()}
    assert [Places(1).of_name(name) for name in _all_names()] == [0, 0, 0, 0]
