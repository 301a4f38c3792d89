"""Stand-ins for what the delivery talks to, and notifications made in one line."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Mapping

from agents.callback_delivery import ParkedAgent
from clearinghub.callbacks.deliverer import Deliverer
from clearinghub.callbacks.http_client import DestinationError
from clearinghub.callbacks.notification import Notification
from clearinghub.callbacks.parking import Parking
from clearinghub.callbacks.sender import Reason
from clearinghub.config import Settings
from clearinghub.domain.participants.participant import Participant
from clearinghub.engine.record import Record
from clearinghub.messages import NotificationMessage, ParkedMessage, decode
from clearinghub.ports import RecorderUnavailableError

PUT_TYPE = "FSPIOP_CALLBACK_URL_TRANSFER_PUT"
PLAIN = Notification(
    NotificationMessage(
        notification_id="n-1",
        id="t-1",
        receiver="payerfsp",
        source="Hub",
        method="PUT",
        resource="transfers",
        endpoint=PUT_TYPE,
        path="/transfers/t-1",
        variables={"transferId": "t-1"},
        headers={},
    ),
    b'{"transferState":"COMMITTED"}',
)


def notification(receiver: str = "payerfsp", transfer_id: str = "t-1", body: bytes = b"{}") -> Notification:
    changed = PLAIN.changed(
        receiver=receiver, id=transfer_id, path=f"/transfers/{transfer_id}", variables={"transferId": transfer_id}
    )
    return changed._replace(body=body)


def settings(**changes: object) -> Settings:
    fast: dict[str, object] = {
        "callback_timeout_ms": 1_000,
        "callback_retries_max": 2,
        "callback_retry_first_ms": 1,
        "callback_retry_longest_ms": 2,
        "callback_breaker_open_ms": 30,
        "stop_timeout_ms": 1_000,
    }
    return Settings.model_validate(fast | changes)


class Endpoints:
    """Participants with one endpoint each: `http://{name}/transfers/{{transferId}}`, or the ones given."""

    def __init__(self, *names: str, **templates: str) -> None:
        self._templates = {name: f"http://{name}/transfers/{{{{transferId}}}}" for name in names} | templates

    def get(self, name: str) -> Participant | None:
        template = self._templates.get(name)
        if template is None:
            return None
        return Participant(1, name, active=True, created_at_ms=0, endpoints={PUT_TYPE: template} if template else {})

    @property
    def changes(self) -> int:
        return len(self._templates)

    def all(self) -> list[Participant]:
        return [participant for name in self._templates if (participant := self.get(name)) is not None]

    async def reach(self, name: str, version: int) -> None: ...


class ScriptedTransport:
    """Answers with the host's script, then with 200; `hold` keeps a host's answers back until released."""

    def __init__(self, **scripts: list[int | DestinationError | Exception]) -> None:
        self.sent: list[tuple[str, bytes]] = []
        self.in_flight: dict[str, int] = defaultdict(int)
        self.in_flight_max: dict[str, int] = defaultdict(int)
        self._scripts = scripts
        self._held: dict[str, asyncio.Event] = {}

    def hold(self, host: str) -> asyncio.Event:
        return self._held.setdefault(host, asyncio.Event())

    async def send(self, method: str, url: str, headers: Mapping[str, str], body: bytes, peer: str) -> int:
        host = url.split("/")[2]
        self.sent.append((url, body))
        self.in_flight[host] += 1
        self.in_flight_max[host] = max(self.in_flight_max[host], self.in_flight[host])
        try:
            await asyncio.sleep(0)
            if host in self._held:
                await self._held[host].wait()
        finally:
            self.in_flight[host] -= 1
        script = self._scripts.get(host)
        answer = script.pop(0) if script else 200
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def close(self) -> None:
        return None


class MemoryParkedLog:
    """Topic `parked` in memory; the first `failures` writes fail. `feed` hands what was written to a parking."""

    def __init__(self, failures: int = 0) -> None:
        self.records: dict[int, list[Record]] = defaultdict(list)
        self.reads = 0
        self.failures = failures
        self.first: dict[int, int] = defaultdict(int)  # the records before it are deleted

    async def append(self, partition: int, key: str, value: bytes) -> None:
        await asyncio.sleep(0)
        if self.failures > 0:
            self.failures -= 1
            raise RecorderUnavailableError
        log = self.records[partition]
        log.append(Record("parked", partition, len(log), 0, key.encode(), value))

    async def bounds(self, partition: int) -> tuple[int, int]:
        return self.first[partition], len(self.records[partition])

    async def read(self, partition: int, offset: int) -> list[Record]:
        self.reads += 1
        await asyncio.sleep(0)
        return self.records[partition][max(offset, self.first[partition]) :][:100]

    def callbacks(self, partition: int = 0) -> list[ParkedMessage]:
        """Return what was parked, in order."""
        found = (decode(one.value)[0] for one in self.records[partition])
        return [one for one in found if isinstance(one, ParkedMessage)]

    async def keep_feeding(self, parking: Parking) -> None:
        """Read the topic from its beginning, as the consumer does."""
        agent = ParkedAgent(parking)
        fed: dict[int, int] = defaultdict(int)
        while True:
            for partition, log in list(self.records.items()):
                if new := log[fed[partition] :]:
                    fed[partition] = len(log)
                    await agent.take(new, len(log))
            await asyncio.sleep(0.005)


def parking_of(
    deliverer: Deliverer,
    log: MemoryParkedLog | None = None,
    now_ms: Callable[[], int] = lambda: 0,
    unreadable: list[tuple[Record, str]] | None = None,
    start: int = 0,
    **changes: object,
) -> Parking:
    """Return a parking over a topic in memory."""

    async def write_unreadable(record: Record, error: str) -> None:
        if unreadable is not None:
            unreadable.append((record, error))

    return Parking(settings(**changes), log or MemoryParkedLog(), deliverer, now_ms, lambda _: start, write_unreadable)


class FakeDeadLetters:
    """Collects dead letters; the first `failures` writes fail."""

    def __init__(self, failures: int = 0) -> None:
        self.letters: list[tuple[Notification, Reason]] = []
        self._failures = failures

    async def write(self, given_up: Notification, reason: Reason) -> None:
        await asyncio.sleep(0)
        if self._failures > 0:
            self._failures -= 1
            raise ConnectionError("no broker")
        self.letters.append((given_up, reason))

    def reasons(self) -> list[str]:
        return [reason.code.value for _, reason in self.letters]
