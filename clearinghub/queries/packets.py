"""ILP packets of transfers, read back from the prepare messages: the ledger stores where each is, not its body."""

from __future__ import annotations

import asyncio
from typing import Any, Final

import orjson
from aiokafka import AIOKafkaConsumer, TopicPartition

from clearinghub.config import Settings
from clearinghub.domain.transfers.transfer import Transfer
from clearinghub.kafka.access import kafka_access
from clearinghub.messages import split
from clearinghub.ports import LedgerUnavailableError
from clearinghub.queries.reader import HttpLedgerReader

READ_TIMEOUT_S: Final = 5.0


class KafkaPacketReader:
    """Queries the workers of all partitions for a transfer, then reads its message at the offset in its row."""

    def __init__(self, settings: Settings, ledger: HttpLedgerReader) -> None:
        self._settings = settings
        self._ledger = ledger

    async def ilp_packet(self, transfer_id: str) -> str | None:
        """Return the ilpPacket of a transfer, or None; see `clearinghub.ports.PacketReader`."""
        partitions = range(self._settings.partitions)
        found = await asyncio.gather(*(self._ledger.transfer(partition, transfer_id) for partition in partitions))
        for partition, transfer in zip(partitions, found, strict=True):
            if transfer is not None and transfer.prepare_offset is not None:
                return await self._packet_at(partition, transfer, transfer.prepare_offset)
        return None

    async def _packet_at(self, partition: int, transfer: Transfer, offset: int) -> str | None:
        topic = "prepare" if transfer.bulk_id is None else "bulk-prepare"
        place = TopicPartition(self._settings.topic(topic), partition)
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self._settings.kafka_bootstrap, enable_auto_commit=False, **kafka_access(self._settings)
        )
        try:
            async with asyncio.timeout(READ_TIMEOUT_S):
                await consumer.start()
                consumer.assign([place])
                if offset < (await consumer.beginning_offsets([place]))[place]:
                    return None  # the topic's retention is over
                consumer.seek(place, offset)
                record = await consumer.getone()
        except TimeoutError as error:
            raise LedgerUnavailableError(f"{place.topic}/{partition} at {offset}") from error
        finally:
            await consumer.stop()
        _header, body = split(record.value)
        return _packet_in(orjson.loads(body), transfer) if record.offset == offset else None


def _packet_in(content: dict[str, Any], transfer: Transfer) -> str:
    """Return the packet in the body of POST /transfers, or in the transfer's item of POST /bulkTransfers."""
    if transfer.bulk_id is None:
        return str(content["ilpPacket"])
    lines = content["individualTransfers"]
    return next(str(one["ilpPacket"]) for one in lines if one["transferId"] == transfer.transfer_id)
