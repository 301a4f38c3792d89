"""Fill a settlement window with committed transfers by writing their rows to the changelogs of a stopped ledger."""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping, Sequence
from typing import Final

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from clearinghub.domain.settlement.netting import Net
from clearinghub.domain.transfers.transfer import State, Transfer
from clearinghub.engine.partitioner import Partitioner
from clearinghub.kafka.topology.declared import changelog_name
from tables.nets import decode_net, encode_net
from tables.transfers import TRANSFERS
from tests.integration.ledger_load import CURRENCY
from tests.unit.domain.samples import CONDITION, FULFILMENT

AMOUNT: Final = 10_000
AT_ONCE: Final = 5_000  # rows that are sent before the broker's confirmations are awaited


async def fill_window(bootstrap: str, application: str, partitions: int, names: Sequence[str], transfers: int) -> None:
    """Add `transfers` transfers to the only window that has nets; each DFSP pays the next one equally often.

    No ledger worker may be running. Positions do not change, since each DFSP receives what it pays; so the books are
    those that real payments would have left, except for the accounts' histories.

    Raises:
        ValueError: `transfers` is no multiple of the number of DFSPs.
    """
    if transfers % len(names):
        raise ValueError(f"{transfers} transfers for {len(names)} DFSPs")
    nets = await _open_nets(bootstrap, application, partitions)
    window = int(next(iter(nets)).split("/")[1])
    each = transfers // len(names)
    partition_of = Partitioner({"command": partitions})
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all", enable_idempotence=True, linger_ms=20)
    await producer.start()
    try:
        for payer, payee in zip(names, [*names[1:], names[0]], strict=True):
            number = partition_of("command", payer)
            await _write_transfers(
                producer, changelog_name(application, "transfers"), number, payer, payee, window, each
            )
            key = f"net/{window}/{CURRENCY}/POSITION/NET/{payer}/"
            row = _more(nets[key], each)
            changelog = changelog_name(application, "nets")
            await producer.send_and_wait(changelog, encode_net(row), key=key.encode(), partition=number)
    finally:
        await producer.stop()


def _more(net: Net, transfers: int) -> Net:
    moved = transfers * AMOUNT
    return Net(net.debits + moved, net.credits + moved, net.debit_count + transfers, net.credit_count + transfers)


async def _write_transfers(
    producer: AIOKafkaProducer, changelog: str, partition: int, payer: str, payee: str, window: int, count: int
) -> None:
    now_ms = int(time.time() * 1000)
    history = ((State.RECEIVED_PREPARE, now_ms), (State.RESERVED, now_ms), (State.RECEIVED_FULFIL, now_ms))
    sent = []
    for number in range(count):
        name = str(uuid.uuid4())
        row = Transfer(
            name,
            payer,
            payee,
            AMOUNT,
            CURRENCY,
            CONDITION,
            now_ms,
            (*history, (State.COMMITTED, now_ms)),
            name,
            fulfil_hash=name,
            fulfilment=FULFILMENT,
            window=window,
        )
        sent.append(await producer.send(changelog, TRANSFERS.encode(row), key=name.encode(), partition=partition))
        if number % AT_ONCE == AT_ONCE - 1:
            for future in sent:
                await future
            sent.clear()
    for future in sent:
        await future


async def _open_nets(bootstrap: str, application: str, partitions: int) -> Mapping[str, Net]:
    """Return the current nets of all partitions, by the keys of their rows."""
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, isolation_level="read_committed", enable_auto_commit=False)
    await consumer.start()
    try:
        changelog = changelog_name(application, "nets")
        places = [TopicPartition(changelog, number) for number in range(partitions)]
        consumer.assign(places)
        await consumer.seek_to_beginning(*places)
        ends = await consumer.end_offsets(places)
        rows: dict[str, bytes | None] = {}
        while any([await consumer.position(place) < end for place, end in ends.items()]):
            for records in (await consumer.getmany(timeout_ms=200)).values():
                rows.update({record.key.decode(): record.value for record in records})
    finally:
        await consumer.stop()
    return {key: decode_net(value) for key, value in rows.items() if key.startswith("net/") and value is not None}
