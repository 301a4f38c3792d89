"""Fill a copy of a hub with committed transfers: restored, it is a hub with so many in its open window."""

from __future__ import annotations

import time
import uuid
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from msgspec.structs import replace

from clearinghub.copies.folder import Copy, CopyWriter
from clearinghub.copies.row_store import StoredRow
from clearinghub.domain.transfers.transfer import State, Transfer
from clearinghub.engine.partitioner import Partitioner
from tables.counters import COUNTERS, FINAL
from tables.nets import NETS, StoredNet
from tables.transfers import TRANSFERS
from tests.integration.ledger_load import CURRENCY
from tests.unit.domain.samples import CONDITION, FULFILMENT

AMOUNT: Final = 10_000


def fill_copy(source: Path, target: Path, names: Sequence[str], transfers: int) -> None:
    """Write the copy in `source` to `target` with `transfers` more, all in the window that has nets already.

    Each DFSP pays the next one equally often, so positions do not change, and the books are those that payments would
    have left. The number of transfers is rounded down to a multiple of the DFSPs'.
    """
    copy, writer = Copy.open(source), CopyWriter(target)
    window = _window(copy)
    each = transfers // len(names)
    partitions = []
    for one in copy.manifest.partitions:
        of_name = Partitioner({"command": len(copy.manifest.partitions)})
        payers = [name for name in names if of_name("command", name) == one.partition]
        rows, counts = writer.write_rows(one.partition, _filled(copy, one.partition, names, payers, window, each))
        messages = writer.write_messages(one.partition, copy.messages(one.partition))
        last = one.last_final_state + each * len(payers)
        partitions.append(replace(one, rows=dict(counts), last_final_state=last, files=(rows, messages)))
    writer.finish(replace(copy.manifest, partitions=tuple(partitions)))


def _window(copy: Copy) -> int:
    keys = (row.key for one in copy.manifest.partitions for row in copy.rows(one.partition) if row.table == NETS.name)
    return next(int(key.split(b"/")[1]) for key in keys if key.startswith(b"net/"))


def _filled(
    copy: Copy, partition: int, names: Sequence[str], payers: Sequence[str], window: int, each: int
) -> Iterator[StoredRow]:
    last = 0
    for row in copy.rows(partition):
        if row.table == COUNTERS.name and row.key == FINAL.encode():
            last = COUNTERS.decode(row.value)
            yield row._replace(value=COUNTERS.encode(last + each * len(payers)))
        elif row.table == NETS.name and row.key.startswith(f"net/{window}/{CURRENCY}/POSITION/NET/".encode()):
            yield row._replace(value=NETS.encode(_more(NETS.decode(row.value), each)))
        else:
            yield row
    paid: Counter[str] = Counter()
    for number in range(each * len(payers)):
        payer = payers[number % len(payers)]
        paid[payer] += 1
        payee = names[(names.index(payer) + 1) % len(names)]
        yield _transfer(payer, payee, window, last + number + 1)
    assert set(paid.values()) <= {each}


def _more(stored: StoredNet, transfers: int) -> StoredNet:
    net, moved = stored.net, transfers * AMOUNT
    return StoredNet(
        replace(
            net,
            debits=net.debits + moved,
            credits=net.credits + moved,
            debit_count=net.debit_count + transfers,
            credit_count=net.credit_count + transfers,
        )
    )


def _transfer(payer: str, payee: str, window: int, sequence: int) -> StoredRow:
    now_ms = int(time.time() * 1000)
    states = (State.RECEIVED_PREPARE, State.RESERVED, State.RECEIVED_FULFIL, State.COMMITTED)
    name = str(uuid.uuid4())
    row = Transfer(
        name,
        payer,
        payee,
        AMOUNT,
        CURRENCY,
        CONDITION,
        now_ms,
        tuple((state, now_ms) for state in states),
        name,
        fulfil_hash=name,
        fulfilment=FULFILMENT,
        window=window,
        sequence=sequence,
    )
    return StoredRow(TRANSFERS.name, name.encode(), TRANSFERS.encode(row))
