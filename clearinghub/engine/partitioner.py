"""Which partition of a topic a key belongs to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from aiokafka.partitioner import murmur2

_KEYS_REMEMBERED_MAX: Final = 10_000


class Partitioner:
    """Kafka's default partitioner. It remembers keys' hashes: participants are few and come in every record."""

    def __init__(self, output_partitions: Mapping[str, int]) -> None:
        """Serve the topics in `output_partitions`, each with its number of partitions."""
        self._output_partitions = output_partitions
        self._hashes: dict[str, int] = {}

    def __call__(self, topic: str, key: str) -> int:
        """Return the partition of a key in a topic."""
        hashed = self._hashes.get(key)
        if hashed is None:
            if len(self._hashes) >= _KEYS_REMEMBERED_MAX:
                self._hashes.clear()
            hashed = self._hashes[key] = murmur2(key.encode()) & 0x7FFFFFFF
        return hashed % self._output_partitions[topic]
