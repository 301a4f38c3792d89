"""The engine's environment: clocks and Kafka clients. Tests replace them by simulated ones."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from aiokafka import AIOKafkaConsumer

from clearinghub.engine.producer_epoch import EpochProducer


def _no_sender(**_settings: Any) -> Any:
    raise NotImplementedError("this environment has no sender for messages between partitions")


@dataclass(frozen=True, slots=True)
class Environment:
    """The process's clocks, in seconds, and the functions that make its Kafka clients.

    `wall_s` counts from 1970 and may jump. `steady_s` counts from any moment and never jumps. `make_sender` makes what
    the relay writes with (relay.py, `Sender`); an engine with one partition needs none.
    """

    wall_s: Callable[[], float] = time.time
    steady_s: Callable[[], float] = time.monotonic
    make_producer: Callable[..., Any] = EpochProducer
    make_consumer: Callable[..., Any] = AIOKafkaConsumer
    make_sender: Callable[..., Any] = _no_sender

    def wall_ms(self) -> int:
        """Return the time in whole milliseconds since 1970."""
        return int(self.wall_s() * 1000)


REAL: Final = Environment()
