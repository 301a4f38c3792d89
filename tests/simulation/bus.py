"""A simulated Kafka broker, as far as the hub relies on one: logs, transactions with markers, fencing, groups' offsets.

A marker takes an offset of its own. The records of a transaction can be read once its marker is in their log and no
earlier transaction is open there; markers may be written late, and to each log at another time.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from itertools import count
from typing import Any, Final

from aiokafka.errors import ProducerFenced

from tests.simulation.loop import START_S
from tests.simulation.swarm import Swarm

Place = tuple[str, int]  # a topic's name on the broker, a partition
Headers = Sequence[tuple[str, bytes]]
Sent = tuple[bytes, "bytes | None", int, Headers]  # key, value, time in milliseconds, headers
WAKE_S: Final = 0.001
TRANSACTION_TIMEOUT_S: Final = 60.0
_ORDER: Final = count()


class Transaction:
    """A transaction of one transactional id. `sequence` numbers the committed ones in their order."""

    __slots__ = ("committed", "entries", "epoch", "owner", "sequence", "timeout", "unmarked")

    def __init__(self, owner: str, epoch: int) -> None:
        self.owner = owner
        self.epoch = epoch
        self.committed: bool | None = None  # None while it is open
        self.sequence = -1
        self.timeout: asyncio.TimerHandle | None = None
        self.entries: list[Entry] = []
        self.unmarked: dict[Place, None] = {}  # logs whose marker is still to be written


class Entry:
    """One offset of a log: a record or a marker. What clients read has the names of aiokafka's ConsumerRecord."""

    __slots__ = ("headers", "is_marker", "key", "offset", "order", "place", "timestamp", "transaction", "value")

    def __init__(
        self,
        place: Place,
        offset: int,
        timestamp_ms: int,
        key: bytes | None,
        value: bytes | None,
        transaction: Transaction | None,
        headers: Headers = (),
        *,
        is_marker: bool = False,
    ) -> None:
        self.place = place
        self.headers = headers
        self.offset = offset
        self.order = next(_ORDER)  # among the entries of all logs, whatever the clock says
        self.timestamp = timestamp_ms
        self.key = key
        self.value = value
        self.transaction = transaction
        self.is_marker = is_marker

    @property
    def is_committed(self) -> bool:
        """Whether a `read_committed` consumer gets this record, once no earlier transaction is open."""
        return not self.is_marker and (self.transaction is None or self.transaction.committed is True)


class Log:
    """One partition of a topic. `first` is the first offset that is not deleted."""

    def __init__(self, place: Place, *, has_arrival_times: bool) -> None:
        self.place = place
        self.has_arrival_times = has_arrival_times
        self.entries: list[Entry] = []
        self.first = 0
        self.stalled_until_s = 0.0
        self.listeners: dict[Any, None] = {}  # the clients that read this log
        self._open: dict[Transaction, int] = {}  # open transactions and the first offset of each

    @property
    def stable_end(self) -> int:
        """The last stable offset: a `read_committed` consumer reads up to here, exclusive."""
        return min(self._open.values()) if self._open else len(self.entries)

    def add(
        self,
        timestamp_ms: int,
        key: bytes | None,
        value: bytes | None,
        transaction: Transaction | None,
        headers: Headers = (),
        *,
        is_marker: bool = False,
    ) -> Entry:
        offset = len(self.entries)
        entry = Entry(self.place, offset, timestamp_ms, key, value, transaction, headers, is_marker=is_marker)
        self.entries.append(entry)
        if is_marker:
            assert transaction is not None
            del self._open[transaction]
        elif transaction is not None:
            self._open.setdefault(transaction, entry.offset)
        return entry

    def read(self, position: int, count_max: int) -> tuple[list[Entry], int]:
        """Return at most `count_max` committed records from `position` on, and the position to continue at."""
        end = self.stable_end
        records = []
        while position < end:
            entry = self.entries[position]
            position += 1
            if entry.is_committed:
                records.append(entry)
                if len(records) == count_max:
                    break
        return records, position


class Bus:
    """The broker. `request` delays a request and its answer; what the request does takes no time."""

    def __init__(self, swarm: Swarm, counts: Counter[str]) -> None:
        self.swarm = swarm
        self.counts = counts
        self.logs: dict[Place, Log] = {}
        self.wall_offset_s = 0.0
        self.unavailable_until_s: dict[int, float] = {}  # numbers of partitions that take no records
        self.committed: list[Transaction] = []
        self.crashes: list[tuple[str, int]] = []  # the group, and how many transactions were committed before
        self.group_offsets: dict[str, dict[Place, int]] = {}
        self.generations: dict[str, int] = {}
        self._random = swarm.random
        self._epochs: dict[str, int] = {}
        self._current: dict[str, Transaction] = {}
        self._loop = asyncio.get_running_loop()

    def create(self, topic: str, partitions: int, *, has_arrival_times: bool) -> None:
        for partition in range(partitions):
            self.logs[topic, partition] = Log((topic, partition), has_arrival_times=has_arrival_times)

    def wall_ms(self) -> int:
        """The broker's clock, in milliseconds since 1970."""
        return int((START_S + self._loop.time() + self.wall_offset_s) * 1000)

    # -- the network

    def request(self, act: Callable[[], Any]) -> asyncio.Future[Any]:
        """Carry a request out after a delay, and resolve the result after another; the sender's death stops neither."""
        answer = self._loop.create_future()

        def arrive() -> None:
            try:
                result = act()
            except Exception as error:  # noqa: BLE001 - the client handles the broker's refusal
                self._loop.call_later(self.swarm.delay_s(), _fail, answer, error)
            else:
                self._loop.call_later(self.swarm.delay_s(), _resolve, answer, result)

        self._loop.call_later(self.swarm.request_delay_s(), arrive)
        return answer

    # -- records

    def append(
        self, topic: str, partition: int, key: bytes | None, value: bytes | None, headers: Headers = ()
    ) -> Entry:
        """Write one record outside any transaction."""
        log = self.logs[topic, partition]
        entry = log.add(self.wall_ms(), key, value, None, headers)
        self._wake(log)
        return entry

    def is_unavailable(self, partition: int) -> bool:
        """Whether a partition's number takes no records now: too few of its replicas are in sync."""
        return self.unavailable_until_s.get(partition, 0.0) > self._loop.time()

    def stall(self, place: Place, seconds: float) -> None:
        """Stop all reads of a log for some seconds."""
        log = self.logs[place]
        log.stalled_until_s = self._loop.time() + seconds
        self._loop.call_later(seconds, self._wake, log)

    def _wake(self, log: Log) -> None:
        for client in log.listeners:
            client.wake(WAKE_S)

    # -- transactions

    def take_over(self, owner: str) -> int:
        """Return the next epoch of a transactional id; abort the transaction that the last epoch left open."""
        epoch = self._epochs[owner] = self._epochs.get(owner, -1) + 1
        transaction = self._current.get(owner)
        if transaction is not None and transaction.committed is None:
            self.counts["transactions aborted"] += 1
            self._end(transaction, committed=False)
        return epoch

    def is_concluded(self, owner: str) -> bool:
        """Whether all markers of the id's last transaction are written."""
        transaction = self._current.get(owner)
        return transaction is None or transaction.committed is None or not transaction.unmarked

    def check(self, owner: str, epoch: int) -> None:
        """Raise ProducerFenced unless `epoch` is the last one of the transactional id."""
        if epoch != self._epochs[owner]:
            self.counts["writes fenced"] += 1
            raise ProducerFenced(f"{owner}: epoch {epoch}, now {self._epochs[owner]}")

    def produce(self, owner: str, epoch: int, place: Place, records: Iterable[Sent]) -> int:
        """Append a batch to the owner's transaction, or begin one; return the offset of the batch's first record."""
        self.check(owner, epoch)
        transaction = self._current.get(owner)
        if transaction is None or transaction.committed is not None:
            transaction = self._current[owner] = Transaction(owner, epoch)
            transaction.timeout = self._loop.call_later(TRANSACTION_TIMEOUT_S, self._time_out, transaction)
        log = self.logs[place]
        first = len(log.entries)
        now_ms = self.wall_ms()
        for key, value, timestamp_ms, headers in records:
            time_ms = now_ms if log.has_arrival_times else timestamp_ms
            transaction.entries.append(log.add(time_ms, key, value, transaction, headers))
        transaction.unmarked[place] = None
        return first

    def commit(self, owner: str, epoch: int) -> None:
        self.check(owner, epoch)
        transaction = self._current[owner]
        assert transaction.committed is None
        self.counts["transactions committed"] += 1
        transaction.sequence = len(self.committed)
        self.committed.append(transaction)
        self._end(transaction, committed=True)

    def _time_out(self, transaction: Transaction) -> None:
        """Abort a transaction that nobody has ended in time, and fence its producer."""
        if transaction.committed is None:
            self.take_over(transaction.owner)

    def _end(self, transaction: Transaction, *, committed: bool) -> None:
        transaction.committed = committed
        if transaction.timeout is not None:
            transaction.timeout.cancel()
        for place in list(transaction.unmarked):
            delay_s = self.swarm.marker_delay_s()
            if delay_s:
                self._loop.call_later(delay_s, self._mark, transaction, place)
            else:
                self._mark(transaction, place)

    def _mark(self, transaction: Transaction, place: Place) -> None:
        log = self.logs[place]
        log.add(self.wall_ms(), None, None, transaction, is_marker=True)
        del transaction.unmarked[place]
        self._wake(log)


def _resolve(answer: asyncio.Future[Any], result: Any) -> None:
    if not answer.done():
        answer.set_result(result)


def _fail(answer: asyncio.Future[Any], error: Exception) -> None:
    if not answer.done():
        answer.set_exception(error)
        answer.exception()  # mark the exception as retrieved: the sender may be dead
